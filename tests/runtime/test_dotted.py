"""Import of objects by their dotted names."""

import sys

import pytest

from skgdpd._runtime.dotted import load_dotted


def test_a_module_in_the_current_folder_is_found_by_an_installed_command(tmp_path, monkeypatch):
    (tmp_path / "of_this_folder.py").write_text("value = 3\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path])
    before = list(sys.path)
    try:
        assert load_dotted("of_this_folder.value") == 3
        assert sys.path == before
    finally:
        sys.modules.pop("of_this_folder", None)


@pytest.mark.parametrize("package", ["aeon", "sktime"])
def test_the_error_for_a_package_of_an_extra_has_the_command_for_it(monkeypatch, package):
    for name in [name for name in sys.modules if name.split(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [Missing(package), *sys.meta_path])
    with pytest.raises(ImportError, match=rf"pip install 'skgdpd\[{package}\]'"):
        load_dotted(f"{package}.classification.Some")


@pytest.mark.parametrize(
    ("name", "error", "words"),
    [
        ("no_such_package.Some", ModuleNotFoundError, "No module named 'no_such_package'"),
        ("math.no_such_function", AttributeError, "no_such_function"),
    ],
)
def test_other_errors_are_those_of_python(name, error, words):
    with pytest.raises(error, match=words):
        load_dotted(name)


class Missing:
    """Finder by which a package is not installed."""

    def __init__(self, package):
        self.package = package

    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == self.package:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
