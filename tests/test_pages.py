"""Pages and stories: linked, complete, and their code is code."""

import ast
import doctest
import importlib
import importlib.util
import re
import runpy
import shlex
import shutil
import subprocess
import sys
from collections import Counter
from importlib.util import find_spec
from pathlib import Path

import pytest

from skgdpd._cli.main import main
from skgdpd.nets import registry

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted(
    [*DOCS.glob("*.md"), *DOCS.glob("results/*.md"), ROOT / "README.md", ROOT / "CHANGELOG.md"]
)


def blocks(page, language="python"):
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)


ELSEWHERE = {
    ("gendd.md", ""): "its series are not defined on the page; "
    "tests/estimators/test_gendd.py has the same calls",
    ("howto-mlflow.md", ""): "MLflow keeps its store for the whole process; "
    "tests/persistence/test_mlflow.py runs the page in a process of its own",
    ("howto-serving.md", "import fastapi"): "needs FastAPI; tests/cli/test_serving.py runs it",
    ("parallel.md", "import ray"): "needs ray; tests/model_selection/test_parallel.py does so",
    ("parallel.md", "from distributed"): "needs dask; tests/model_selection/test_parallel.py "
    "does so",
    ("scaling.md", "dist.init_process_group"): "needs processes that torchrun starts; "
    "tests/runtime/test_workers.py starts some",
    ("sktime.md", ""): "TEASER needs numba, and the page takes minutes; tests/test_sktime.py runs "
    "the page with smaller networks",
    ("streams.md", "import bytewax"): "needs Bytewax; tests/early/test_bytewax.py runs it",
    ("streams.md", "import ray"): "needs ray; tests/early/test_stream_workers.py runs it",
}
"""Code that is not run here: its page, words of its block ("" for all blocks), and the reason."""
LONG = {
    ("displays.md", "for degradation in"): "makes the table above it, of eight fits",
    ("testing.md", "RocketClassifier"): "a hundred fits of sktime's, which need numba",
}
"""Blocks that take longer, and need no block before them."""
SLOW = {"aeon.md", "howto-optuna.md", "parallel.md"}
"""Pages whose code takes more than some ten seconds of one core."""
PRINTING = [ROOT / "README.md", DOCS / "index.md", DOCS / "howto-unlabelled.md"]
"""Pages whose code prints the numbers of its comments; all of it is run."""
RUN = [
    pytest.param(page, marks=[pytest.mark.slow] * (page.name in SLOW))
    for page in PAGES
    if blocks(page) and (page.name, "") not in ELSEWHERE and page not in PRINTING
]
"""Pages whose blocks of code are run in their order, with the names of the blocks before."""
COMPANIONS = ["aeon", "mapie", "optuna", "shap", "sklearn.callback", "skops"]
"""Modules that may be missing, as those of scikit-learn 1.9; a page is run up to their recipe."""
FLAGS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))


def name_of(path):
    return str(path.relative_to(ROOT))


def missing(block):
    """Return the companion that a block imports and that is not installed, or None."""
    for name in COMPANIONS:
        if re.search(rf"^(import|from) {name}\b", block, re.M) and not find_spec(name):
            return name
    return None


def anchors(page):
    """Anchors of a page's headings, as they are on the web."""
    titles = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_between_pages_lead_somewhere(page):
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        path, _, anchor = target.partition("#")
        if "://" in target or path.startswith("auto_examples/"):
            name = Path(path).stem
            assert "://" in target or name == "index" or name in {e.stem for e in EXAMPLES}
            continue
        place = (page.parent / path).resolve() if path else page
        assert place.is_file(), target
        assert not anchor or anchor in anchors(place), target


def test_every_page_is_in_the_index():
    toctrees = "\n".join(blocks(DOCS / "index.md", r"\{toctree\}"))
    listed = {f"{line}.md" for line in toctrees.splitlines() if line and line[0] != ":"}
    pages = {str(p.relative_to(DOCS)) for p in PAGES if p.is_relative_to(DOCS)} - {"index.md"}
    assert pages <= listed, "add the page to a toctree of docs/index.md"
    # Sphinx makes these itself, and would write over a page of that name.
    assert not pages & {"search.md", "genindex.md", "modindex.md"}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_code_on_pages_is_python(page):
    for block in blocks(page):
        if ">>> " not in block:
            ast.parse(block)


# aeon 1.6 and numba, and shap 0.51 and matplotlib 3.11; none of it ours.
@pytest.mark.filterwarnings("ignore:unsafe cast from uint64 to int64")
@pytest.mark.filterwarnings("ignore:The set_.* function will be:PendingDeprecationWarning")
@pytest.mark.parametrize("page", RUN, ids=name_of)
def test_a_page_runs_from_its_first_block_to_its_last(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    # A page may register a backbone, which other tests would find.
    monkeypatch.setattr(registry, "_BACKBONES", dict(registry._BACKBONES))
    names = {"__name__": page.name}
    runner = doctest.DocTestRunner(optionflags=FLAGS)
    left_out = [words for name, words in (*ELSEWHERE, *LONG) if name == page.name]
    for block in blocks(page):
        if any(words in block for words in left_out):
            continue
        if missing(block):
            pytest.skip(f"{missing(block)} is not installed; all before its recipe has run")
        if ">>> " not in block:
            exec(compile(block, page.name, "exec"), names)
            continue
        test = doctest.DocTestParser().get_doctest(block, names, page.name, str(page), 0)
        test.globs = names
        assert not runner.run(test, clear_globs=False).failed
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")


@pytest.mark.parametrize("page", PRINTING, ids=name_of)
def test_printed_numbers_are_those_of_the_page(page, capsys):
    names = {"__name__": page.name}
    for block in blocks(page):
        exec(compile(block, page.name, "exec"), names)
        printed = capsys.readouterr().out.splitlines()
        comments = re.findall(r"^print\(.*\)  # (.*)$", block, re.MULTILINE)
        assert len(comments) == len(printed)
        for comment, line in zip(comments, printed, strict=True):
            found = [float(number) for number in re.findall(r"\d+\.\d+", line)]
            for number in map(float, re.findall(r"\d+\.\d+", comment)):
                # The last digits of other processors may differ.
                assert any(number == pytest.approx(each, rel=0.02) for each in found), line


@pytest.mark.slow
@pytest.mark.parametrize(("name", "words"), LONG)
def test_a_long_block_runs_by_itself(name, words):
    (block,) = [block for block in blocks(DOCS / name) if words in block]
    exec(compile(block, name, "exec"), {"__name__": name})


@pytest.mark.parametrize(("name", "words"), [*ELSEWHERE, *LONG])
def test_code_that_is_left_out_is_there_and_is_tested(name, words):
    found = [block for block in blocks(DOCS / name) if words in block]
    assert found
    assert len(found) == 1 or not words, "the words must name one block"
    for path in re.findall(r"tests/[\w/]+\.py", ELSEWHERE.get((name, words), "")):
        assert (ROOT / path).is_file(), path
    assert (name, words) in LONG or "tests/" in ELSEWHERE[name, words]


def test_a_companion_that_is_not_installed_is_named(monkeypatch):
    monkeypatch.setattr(sys.modules[__name__], "find_spec", lambda name: None)
    assert missing("import numpy as np\nimport shap\n") == "shap"
    assert missing("from mapie.classification import SplitConformalClassifier\n") == "mapie"
    assert missing("import shapes\n# import optuna\n") is None


def test_the_commands_of_the_page_of_csv_files_run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    page = DOCS / "howto-csv.md"
    exec(compile(blocks(page)[0], page.name, "exec"), {})
    rows = [line.split(",") for line in Path("points.csv").read_text().splitlines()]
    Path("more.csv").write_text("\n".join(map(",".join, rows)))
    Path("new.csv").write_text("\n".join(",".join(row[:-1]) for row in rows))
    commands, _ = blocks(page, "sh")
    for command in commands.splitlines():
        words = shlex.split(command.partition(" > ")[0])
        assert words[:3] == ["python", "-m", "skgdpd"]
        assert main(words[3:]) == 0
    assert "id,label,p_no,p_yes\np0," in capsys.readouterr().out


@pytest.mark.skipif(not all(map(shutil.which, ["sh", "awk", "shuf", "sort"])), reason="no shell")
def test_the_split_in_the_shell_keeps_each_patient_in_one_part(tmp_path):
    page = DOCS / "howto-csv.md"
    ill = {f"p{i}": ["no", "yes"][i % 3 == 0] for i in range(30)}  # 20 and 10 patients
    points = [f"{patient},{hour},70,{label}" for patient, label in ill.items() for hour in (0, 1)]
    (tmp_path / "points.csv").write_text("\n".join(["patient,hour,pulse,ill", *points, ""]))
    labels = [f"{patient},{label}" for patient, label in ill.items()]
    (tmp_path / "patients.csv").write_text("\n".join(["patient,ill", *labels, ""]))
    _, commands = blocks(page, "sh")
    subprocess.run(["sh", "-e", "-c", commands], cwd=tmp_path, check=True)
    header, *train = (tmp_path / "train.csv").read_text().splitlines()
    again, *test = (tmp_path / "test.csv").read_text().splitlines()
    assert header == again == "patient,hour,pulse,ill"
    assert sorted(train + test) == sorted(points)
    named = Counter(ill[patient] for patient in {row.partition(",")[0] for row in test})
    assert named.total() == 10
    assert named["yes"] in (3, 4)  # every third of each class
    assert len(test) == 20
    assert not {row.partition(",")[0] for row in test} & {row.partition(",")[0] for row in train}


@pytest.mark.parametrize("example", EXAMPLES, ids=name_of)
def test_a_story_compiles_and_begins_with_its_title(example):
    text = example.read_text()
    tree = ast.parse(text)
    compile(tree, str(example), "exec")
    title = (ast.get_docstring(tree) or "").splitlines()
    if "data_parallel" not in example.name:
        assert set(title[1]) == {"="}
        assert len(title[1]) == len(title[0])


def test_a_story_uses_what_there_is():
    for example in EXAMPLES:
        for node in ast.walk(ast.parse(example.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("skgdpd"):
                module = importlib.import_module(node.module)
                assert all(hasattr(module, alias.name) for alias in node.names), example.name


@pytest.mark.slow
@pytest.mark.parametrize("example", EXAMPLES, ids=name_of)
def test_a_story_runs(example, monkeypatch):
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("agg")
    from matplotlib import pyplot

    runpy.run_path(str(example))
    drawn = pyplot.get_fignums()
    pyplot.close("all")
    assert drawn or "data_parallel" in example.name


@pytest.fixture(scope="module")
def check_links():
    spec = importlib.util.spec_from_file_location("check_pages", DOCS / "check_pages.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.check_links


def test_the_checker_of_built_pages_finds_what_is_broken(check_links, tmp_path):
    (tmp_path / "b.html").write_text('<h1 id="there">B</h1>')
    (tmp_path / "p.png").write_bytes(b"")
    good = '<a href="b.html#there">b</a><a href="https://x.org/y">x</a><img src="p.png" alt="P">'
    (tmp_path / "a.html").write_text(good)
    assert check_links(tmp_path) == []
    bad = '<a href="c.html">c</a><a href="b.html#gone">b</a><img src="q.png" alt="Q">'
    (tmp_path / "a.html").write_text(bad + '<img src="p.png">')
    faults = check_links(tmp_path)
    assert len(faults) == 4
    for part in ("c.html", "#gone", "q.png", "no words"):
        assert any(part in fault for fault in faults)


def test_printed_objects_are_a_fault(check_links, tmp_path):
    (tmp_path / "a.html").write_text("<p>Text(a) is fine</p>")
    assert check_links(tmp_path) == []
    (tmp_path / "a.html").write_text("<pre>Text(0.5, 1.0, 'Title')</pre>")
    assert "printed object" in check_links(tmp_path)[0]


def test_no_pages_are_a_fault(check_links, tmp_path):
    assert check_links(tmp_path)
