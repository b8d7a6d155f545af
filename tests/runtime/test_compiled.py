"""Compiled code that is kept in files: what is damaged, missing or shared does no harm."""

import gc
import importlib.util
import os
import subprocess
import sys
import textwrap
import threading

import pytest

numba = pytest.importorskip("numba")

from skgdpd._runtime import compiled as module  # noqa: E402
from skgdpd._runtime.compiled import SUFFIX, cache_folder, compiled  # noqa: E402

SIGNATURE = numba.int64(numba.int64)


@pytest.fixture
def told(monkeypatch, tmp_path):
    """A folder that the user has named."""
    folder = tmp_path / "told"
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(folder))
    return folder


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "arithmetic.py"
    path.write_text("def plus(a):\n    return a + 1\n")
    yield path
    sys.modules.pop("arithmetic", None)


def function(source):
    spec = importlib.util.spec_from_file_location("arithmetic", source)
    loaded = importlib.util.module_from_spec(spec)
    sys.modules["arithmetic"] = loaded  # numba imports the module of code that it loads
    spec.loader.exec_module(loaded)
    return loaded.plus


def compile_again(source):
    """The function, and whether it came from a file."""
    made = compiled(function(source), SIGNATURE)
    return made, sum(made.stats.cache_hits.values()) > 0


def files(folder):
    return sorted(folder.rglob(f"*{SUFFIX}"))


def test_code_is_kept_where_the_user_says(told, source):
    made, hit = compile_again(source)
    assert made(1) == 2
    assert not hit
    assert len(files(told)) == 1
    again, hit = compile_again(source)
    assert again(1) == 2
    assert hit


def test_code_is_kept_beside_the_bytecode(monkeypatch, source):
    monkeypatch.setattr(numba.config, "CACHE_DIR", "")
    assert compile_again(source)[0](1) == 2
    assert cache_folder(str(source)) == source.parent / "__pycache__"
    assert len(files(source.parent / "__pycache__")) == 1
    assert compile_again(source)[1]


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: data[: len(data) // 2],
        lambda data: data[:-1] + bytes([data[-1] ^ 1]),
        lambda data: data[:700] + bytes([data[700] ^ 255]) + data[701:],
        lambda data: b"garbage" * 100,
    ],
)
def test_damaged_code_is_made_anew(told, source, damage):
    compile_again(source)
    (path,) = files(told)
    path.write_bytes(damage(path.read_bytes()))
    made, hit = compile_again(source)
    assert made(1) == 2
    assert not hit
    assert compile_again(source)[1]


def test_a_file_that_is_no_code_of_this_numba_is_made_anew(told, source):
    compile_again(source)
    (path,) = files(told)
    module._write(path, b"a whole file, but of something else")
    made, hit = compile_again(source)
    assert (made(1), hit) == (2, False)


def test_a_folder_that_cannot_be_written_does_no_harm(monkeypatch, tmp_path, source):
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path / "file"))
    for _ in range(2):
        made, hit = compile_again(source)
        assert (made(1), hit) == (2, False)


def test_a_disk_that_is_full_does_no_harm(monkeypatch, told, source):
    def full(path, content):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "_write", full)
    assert compile_again(source)[0](1) == 2


def test_others_may_read_the_code(told, source):
    compile_again(source)
    (path,) = files(told)
    beside = path.with_name("beside")
    beside.touch()
    assert path.stat().st_mode == beside.stat().st_mode
    assert sorted(path.parent.iterdir()) == sorted([path, beside])


def test_changed_sources_are_compiled_and_older_code_removed(told, source):
    compile_again(source)
    source.write_text("def plus(a):\n    return a + 2\n")
    made, hit = compile_again(source)
    assert (made(1), hit) == (3, False)
    assert len(files(told)) == 1


def test_another_version_of_numba_may_have_no_such_cache(monkeypatch, told, source):
    monkeypatch.setattr(module, "_cache", lambda function: 1 / 0)
    assert compile_again(source)[0](1) == 2
    assert not files(told)


def test_threads_that_compile_at_once_do_no_harm(told, source):
    results = []

    def work():
        results.append(compile_again(source)[0](1))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [2] * 4
    assert len(files(told)) == 1


@pytest.mark.parametrize("is_enabled", [True, False])
def test_the_garbage_collector_is_left_as_found(monkeypatch, told, source, is_enabled):
    before = gc.isenabled()
    (gc.enable if is_enabled else gc.disable)()
    try:
        compiled(function(source), SIGNATURE)
        assert gc.isenabled() == is_enabled
        with pytest.raises(numba.core.errors.TypingError):
            compiled(lambda a: a.missing, SIGNATURE)
        assert gc.isenabled() == is_enabled
    finally:
        (gc.enable if before else gc.disable)()


@pytest.mark.slow
def test_kinds_of_processors_and_processes_may_share_a_folder(tmp_path, source):
    program = textwrap.dedent(
        """
        import arithmetic, numba
        from skgdpd._runtime.compiled import compiled
        made = compiled(arithmetic.plus, numba.int64(numba.int64))
        print(made(1), sum(made.stats.cache_hits.values()))
        """
    )
    path = os.pathsep.join([str(source.parent), *filter(None, sys.path)])

    def start(cpu):
        env = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path / "shared"), "PYTHONPATH": path}
        if cpu:
            env |= {"NUMBA_CPU_NAME": cpu, "NUMBA_CPU_FEATURES": ""}
        return subprocess.Popen([sys.executable, "-c", program], env=env, stdout=subprocess.PIPE)

    for hits in (b"2 0", b"2 1"):
        running = [start(cpu) for cpu in (None, "generic")]
        assert [process.communicate()[0].strip() for process in running] == [hits] * 2
    assert len(files(tmp_path / "shared")) == 2


def test_code_of_another_module_that_becomes_part_of_it_counts_too(told, source, tmp_path):
    path = tmp_path / "constants.py"
    path.write_text("ONE = 1\n")
    spec = importlib.util.spec_from_file_location("constants", path)
    constants = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(constants)

    def hits():
        made = compiled(function(source), SIGNATURE, [constants])
        return sum(made.stats.cache_hits.values())

    assert (hits(), hits()) == (0, 1)
    path.write_text("ONE = 2\n")
    assert hits() == 0
