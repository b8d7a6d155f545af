"""The rooms of the house: imports go from a folder to those below it, and never in a circle."""

import ast
from pathlib import Path

import pytest

import skgdpd

ROOT = Path(skgdpd.__file__).parent

# From the top down; a room may import from those below it, and from none beside it.
FLOORS = [
    ["__main__"],
    ["_cli"],
    ["benchmarking"],
    ["sktime", "aeon", "__init__"],
    ["_public"],
    ["plotting"],
    ["stopping", "_adapters"],
    ["_early"],
    ["_model_selection"],
    ["_estimators"],
    ["_persistence"],
    ["_teachers"],
    ["_fitting"],
    ["distillers", "testing"],
    ["training", "datasets"],
    ["diffusion"],
    ["nets"],
    ["metrics"],
    ["_series"],
    ["_runtime"],
    ["_version"],
]
LEVEL = {name: -i for i, names in enumerate(FLOORS) for name in names}
FORBIDDEN = {
    "nets": {"_series"},
    "diffusion": {"_series"},
    "distillers": {"_fitting"},
}
MODULES = sorted(ROOT.rglob("*.py"))
MAX_LINES_OF_A_CLASS = 250


def name_of(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)


NAMES = {name_of(path) for path in MODULES}


def room(name):
    return name.split(".")[0]


def imports(path):
    """Modules of the package that a module imports when it is imported itself."""
    package = path.relative_to(ROOT).parts[:-1]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = package[: len(package) - node.level + 1]
            target = ".".join([*base, *([node.module] if node.module else [])])
            for alias in node.names:
                inner = f"{target}.{alias.name}" if target else alias.name
                yield inner if inner in NAMES else target or "__init__"
        elif isinstance(node, ast.Import):
            assert not any(alias.name.split(".")[0] == "skgdpd" for alias in node.names)


IMPORTS = {name_of(path): sorted(set(imports(path)) - {name_of(path)}) for path in MODULES}


@pytest.mark.parametrize("name", sorted(IMPORTS))
def test_imports_go_down(name):
    assert room(name) in LEVEL, "a new package needs a place in FLOORS"
    for other in IMPORTS[name]:
        if room(other) == room(name):
            continue
        assert LEVEL[room(other)] < LEVEL[room(name)], f"{name} imports {other}"
        assert room(other) not in FORBIDDEN.get(room(name), ()), f"{name} imports {other}"


def test_only_the_search_knows_of_batched_training():
    for name, others in IMPORTS.items():
        if any(other.startswith("_model_selection.batched") for other in others):
            assert name.startswith("_model_selection."), name


def test_no_import_leads_back():
    found = []
    done: set[str] = set()

    def visit(name, path):
        if name in path:
            found.append([*path[path.index(name) :], name])
            return
        if name in done:
            return
        for other in IMPORTS.get(name, ()):
            visit(other, [*path, name])
        done.add(name)

    for name in IMPORTS:
        visit(name, [])
    assert not found


def code_lines(tree):
    """Numbers of the lines of code of a syntax tree, docstrings left out."""
    lines = set()
    docstrings = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0]
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                docstrings |= set(range(first.lineno, first.end_lineno + 1))
        if hasattr(node, "lineno"):
            lines |= {node.lineno, node.end_lineno}
    return lines - docstrings


def test_no_class_knows_everything():
    sizes = {
        f"{name_of(path)}.{node.name}": len(code_lines(node))
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ClassDef)
    }
    large = {name: size for name, size in sizes.items() if size > MAX_LINES_OF_A_CLASS}
    assert not large, "a class of so many lines does more than one thing"


def test_no_constructor_has_more_than_22_parameters():
    large = {}
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef) and node.name == "__init__":
                n = len(node.args.args) - 1 + len(node.args.kwonlyargs)
                if n > 22:
                    large[name_of(path)] = n
    assert not large
