"""How the documentation is built: ``make docs``. Needs no network."""

import os
import sys
import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

# One thread, before torch is imported: the gallery's networks are small.
os.environ.setdefault("OMP_NUM_THREADS", "1")
HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "_ext"))

import skgdpd  # noqa: E402

project = "skgdpd"
author = "the skgdpd developers"
copyright = author
version = release = skgdpd.__version__

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx_gallery.gen_gallery",
    "mathml",
]
templates_path = ["_templates"]
exclude_patterns = ["_build"]
nitpicky = False

myst_enable_extensions = ["dollarmath", "amsmath"]
myst_heading_anchors = 3

autosummary_generate = True
autodoc_mock_imports = [] if find_spec("aeon") else ["aeon"]  # it has an environment of its own
autodoc_typehints = "none"  # numpydoc's sections say it
autodoc_member_order = "groupwise"
toc_object_entries_show_parents = "hide"  # else long names are cut in the list beside a page
numpydoc_show_class_members = False
numpydoc_xref_param_type = False

sphinx_gallery_conf = {
    "examples_dirs": str(HERE.parent / "examples"),
    "gallery_dirs": "auto_examples",
    "filename_pattern": r"\.py$",
    "ignore_pattern": r"data_parallel\.py$",  # needs processes of its own
    "within_subsection_order": "ExampleTitleSortKey",
    "abort_on_example_error": True,
    "download_all_examples": False,
    "remove_config_comments": True,
    "show_memory": False,
    "show_signature": False,
    "plot_gallery": "True",
    "min_reported_time": 1,
    "capture_repr": ("_repr_html_",),  # what a plotting call returns is no output worth reading
    "parallel": 2,
}

html_theme = "pydata_sphinx_theme"
html_title = "skgdpd"
html_static_path = ["_static"]
html_css_files = ["skgdpd.css"]
html_show_sourcelink = False
html_copy_source = False
html_math_renderer = "mathml"
html_sidebars = {"**": ["all-pages.html"]}
html_theme_options = {
    "show_prev_next": False,
    "navigation_with_keys": False,
    "secondary_sidebar_items": ["page-toc"],
    "navbar_center": [],  # the side bar has all pages
    "footer_start": ["copyright"],
    "footer_end": [],
}

# If asked for, names of other packages become links; that fetches their lists of names.
if os.environ.get("SKGDPD_INTERSPHINX"):
    extensions.append("sphinx.ext.intersphinx")
    intersphinx_mapping = {
        "python": ("https://docs.python.org/3", None),
        "numpy": ("https://numpy.org/doc/stable", None),
        "sklearn": ("https://scikit-learn.org/stable", None),
        "torch": ("https://docs.pytorch.org/docs/stable", None),
    }

# As in the tests: a warning in an example is something to mend.
warnings.filterwarnings("error", module=r"skgdpd(\.|$)")


def skip_member(app: Sphinx, what: str, name: str, member: Any, skip: bool, options: Any) -> bool:
    """Leave out what classes inherit from other packages, which have pages of their own."""
    function = getattr(member, "fget", None) or getattr(member, "__func__", member)
    module = getattr(function, "__module__", None) or ""
    foreign = callable(function) and not module.startswith("skgdpd")
    return True if foreign or name.endswith(("_request", "_routing")) else skip


def setup(app: Sphinx) -> None:
    """Called by sphinx."""
    app.connect("autodoc-skip-member", skip_member)
