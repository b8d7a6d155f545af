"""Links from the diagram of an estimator in a notebook to its page in the reference."""

from __future__ import annotations

import os
from functools import cache
from importlib.metadata import PackageNotFoundError, metadata


class LinksToDocs:
    """Mixin of estimators whose diagrams in notebooks link to their pages in the reference.

    The base address is the value of the environment variable ``SKGDPD_DOCS``, for instance of a
    local copy, or else the ``Documentation`` URL of the distribution. If there is neither, there
    is no link.
    """

    _doc_link_module = __name__.split(".")[0]

    @property
    def _doc_link_template(self) -> str:
        base = os.environ.get("SKGDPD_DOCS") or _documentation_url()
        return f"{base.rstrip('/')}/api/generated/{{page}}.html" if base else ""

    def _doc_link_url_param_generator(self) -> dict[str, str]:
        parts = type(self).__module__.split(".")[:2]
        public = [part for part in parts if not part.startswith("_")]
        return {"page": ".".join([*public, type(self).__name__])}


@cache
def _documentation_url() -> str:
    try:
        urls = metadata(LinksToDocs._doc_link_module).get_all("Project-URL") or []
    except PackageNotFoundError:  # a checkout that isn't installed
        return ""
    named = dict(url.split(", ", 1) for url in urls)
    return named.get("Documentation", "")
