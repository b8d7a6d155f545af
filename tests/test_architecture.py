"""The rooms of the house: who may import whom."""

import ast
from pathlib import Path

import pytest

import skgdpd

ROOT = Path(skgdpd.__file__).parent

# From the bottom up; a module may import from its own layer and from those before it.
LAYERS = [
    {
        "_version", "_random", "_device", "_extras", "_split", "_docs", "_files", "_threads",
        "_fingerprint", "_thread_choice", "_denormals", "_storage", "_workers", "_atomic",
    },
    {"nets", "diffusion"},
    {"training"},
    {"distillers"},
    {
        "_panel", "_truncation", "_unlabeled", "_ensemble", "_views", "_network", "_onnx",
        "_teacher", "_linear_head", "_teacher_maps", "_taught_rows", "_generator", "_prior_model",
        "_task", "_persistence", "_base", "_stream", "_callbacks",
        "datasets", "metrics",
    },
    {"_prefix", "_prior", "_gdpd", "_gendd", "_paper"},
    {"_deferred", "_search", "_recordings"},
    {"plotting", "testing", "sktime"},
    {"benchmarking", "_demo", "_commands"},
    {"_cli", "__main__", "__init__"},
]  # fmt: skip
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}
MODULES = sorted(ROOT.rglob("*.py"))


def room(path):
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imported_rooms(path):
    package = path.relative_to(ROOT).parts[:-1]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = package[: len(package) - node.level + 1]
            target = (*base, *(node.module or "").split("."))
            names = [target[0]] if target[0] else [alias.name for alias in node.names]
            yield from names
        elif isinstance(node, ast.Import):
            assert not any(alias.name.split(".")[0] == "skgdpd" for alias in node.names)


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_go_downward_only(path):
    assert room(path) in LEVEL, "a new room needs a place in LAYERS"
    for other in imported_rooms(path):
        assert LEVEL[other] <= LEVEL[room(path)], f"{path.name} imports {other}"


def test_modules_stay_small():
    sizes = {str(p.relative_to(ROOT)): len(p.read_text().splitlines()) for p in MODULES}
    large = {name: size for name, size in sizes.items() if size > 450}
    assert not large, "split by idea, not by size; then this passes again"
