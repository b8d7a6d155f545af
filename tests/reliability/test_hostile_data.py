"""Files of series that are damaged or crafted: a clear error, exit code 2, and no traceback."""

import io
import os
import re
import struct
import zipfile
from collections import Counter

import crafting
import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from skgdpd._cli.main import main
from skgdpd._series.files import read_file
from skgdpd.datasets import load_file

RNG = np.random.default_rng(0)
X = RNG.normal(size=(8, 2, 6)).astype(np.float32)
Y = np.array(list("aabbabab"))


def npy(array):
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def header(shape, dtype="<f8"):
    """Return the header of an array alone, which may claim anything."""
    text = str({"descr": dtype, "fortran_order": False, "shape": shape}).encode()
    text += b" " * (-(len(text) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text


def tsv():
    rows = ["\t".join([y, *map(repr, map(float, x[0]))]) for x, y in zip(X, Y, strict=True)]
    return ("\n".join(rows) + "\n").encode()


def ts():
    rows = [
        ":".join([*(",".join(map(repr, map(float, row))) for row in x), y])
        for x, y in zip(X, Y, strict=True)
    ]
    head = "@problemName p\n@timeStamps false\n@equalLength true\n@classLabel true a b\n@data\n"
    return (head + "\n".join(rows) + "\n").encode()


def npz(compress):
    kind = zipfile.ZIP_DEFLATED if compress else zipfile.ZIP_STORED
    return crafting.zipped({"X.npy": npy(X), "y.npy": npy(Y)}, kind)


FILES = {
    "data.tsv": tsv,
    "data.ts": ts,
    "data.npz": lambda: npz(False),
    "packed.npz": lambda: npz(True),
}


def read(path):
    """Read a file; return what happened, of which nothing but two things is allowed."""
    try:
        series, labels, *_ = read_file(path)
    except (ValueError, OSError) as error:
        assert str(path) in str(error)  # noqa: PT017
        return "refused"
    assert series.ndim == 3
    assert series.dtype == np.float32
    assert labels.shape == (len(series),)
    assert not np.isinf(series).any()
    assert series.size < 10**6
    return "read"


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("n", [100, pytest.param(2500, marks=pytest.mark.slow)])
def test_damage_is_refused_or_read_as_series(tmp_path, promise, name, n):
    path, found = tmp_path / name, Counter()
    with crafting.limited_memory():
        for content in crafting.damages(FILES[name](), n, np.random.default_rng(n)):
            path.write_bytes(content)
            found[read(path)] += 1
    assert sum(found.values()) == n
    assert found["refused"] > n // 10
    promise(
        "A file of series that was damaged is refused with its name, or read as finite series of "
        "about its size.",
        "flips, cuts and lost parts of `.tsv`, `.ts` and `.npz` files",
        found,
    )


@pytest.mark.parametrize("suffix", [".tsv", ".ts", ".npz"])
@given(content=st.binary(min_size=1, max_size=200))
@example(content=b"@data\n1:\xff\n")
@example(content=b"a\t1\x00\n")
@example(content=b"a\t1e999\n")
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_bytes_are_refused_or_read(tmp_path, suffix, content):
    path = tmp_path / f"any{suffix}"
    path.write_bytes(content)
    read(path)


CRAFTED = {
    "no header": {"X.npy": b"", "y.npy": npy(Y)},
    "short header": {"X.npy": b"\x93NUMPY\x01\x00\xff\xff{", "y.npy": npy(Y)},
    "no array": {"X.npy": b"these are no arrays", "y.npy": npy(Y)},
    "400 TiB": {"X.npy": header((2**20, 2**10, 2**15)) + bytes(64), "y.npy": npy(Y)},
    "negative": {"X.npy": header((-1, 4)) + bytes(64), "y.npy": npy(Y)},
    "beyond all numbers": {"X.npy": header((2**62, 2**62)) + bytes(64), "y.npy": npy(Y)},
    "short": {"X.npy": npy(X)[:-8], "y.npy": npy(Y)},
    "long": {"X.npy": npy(X) + bytes(8), "y.npy": npy(Y)},
    "wide labels": {"X.npy": npy(X), "y.npy": header((8,), "<U250000000")},
    "empty labels": {"X.npy": npy(X), "y.npy": header((8,), "<U0")},
    "complex": {"X.npy": npy(X.astype(complex)), "y.npy": npy(Y)},
    "times": {"X.npy": npy(X), "y.npy": npy(np.zeros(8, "datetime64[s]"))},
    "records": {"X.npy": npy(X), "y.npy": npy(np.zeros(8, [("a", "f4")]))},
    "objects": {"X.npy": npy(X), "y.npy": header((8,), "|O") + b"\x80\x04N."},
    "future": {"X.npy": b"\x93NUMPY\x09\x00" + npy(X)[8:], "y.npy": npy(Y)},
    "code in the header": {
        "X.npy": header((1,)).replace(b"(1,)", b"f()!"),
        "y.npy": npy(Y),
    },
    "no points": {"X.npy": npy(X[:, :, :0]), "y.npy": npy(Y)},
    "beyond single precision": {"X.npy": npy(X.astype(float) * 1e300), "y.npy": npy(Y)},
}


def write(path, name):
    if name == "an npy file":
        content = npy(X)
    elif name == "damaged compression":
        content = bytearray(npz(True))
        content[60:120] = bytes(60)
    elif name == "encrypted":
        content = bytearray(npz(False))
        for start, flag in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
            content[content.find(start) + flag] |= 1
    elif name == "another compression":
        content = crafting.zipped({"X.npy": npy(X), "y.npy": npy(Y)}, zipfile.ZIP_BZIP2)
    elif name == "a bomb":
        content = bytearray(npz(True))
        place = content.find(b"PK\x01\x02")
        content[place + 24 : place + 28] = struct.pack("<I", 2**31)
    else:
        content = crafting.zipped(CRAFTED[name])
    path.write_bytes(content)


OTHERS = ["an npy file", "damaged compression", "encrypted", "another compression", "a bomb"]


@pytest.mark.parametrize("name", [*CRAFTED, *OTHERS])
def test_crafted_arrays_are_refused_with_exit_code_2(tmp_path, capsys, name):
    path = tmp_path / "data.npz"
    write(path, name)
    with crafting.limited_memory(2**28), pytest.raises(ValueError, match=re.escape(str(path))):
        load_file(path)
    assert main(["fit", str(path), "--out", str(tmp_path / "model.zip")]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("skgdpd: ")
    assert str(path) in err
    assert "Traceback" not in err
    assert [file.name for file in tmp_path.iterdir()] == ["data.npz"]


def test_an_array_file_of_another_name_is_told(tmp_path):
    write(tmp_path / "data.npz", "an npy file")
    with pytest.raises(ValueError, match=r"an \.npy file of another name"):
        load_file(tmp_path / "data.npz")


def test_arrays_of_other_names_are_not_read(tmp_path):
    members = {"X.npy": npy(X), "y.npy": npy(Y), "more.npy": header((2**40,))}
    (tmp_path / "data.npz").write_bytes(crafting.zipped(members))
    assert load_file(tmp_path / "data.npz").X.shape == (4, 2, 6)


def test_one_long_series_among_many_does_not_fill_the_memory(tmp_path):
    lines = ["@problemName p", "@classLabel true a b", "@data", ",".join(["1"] * 20_000) + ":a"]
    (tmp_path / "data.ts").write_text("\n".join([*lines, *["1:b"] * 40_000]) + "\n")
    with crafting.limited_memory(2**28), pytest.raises(ValueError, match="most of it padding"):
        load_file(tmp_path / "data.ts")


@pytest.mark.parametrize("suffix", [".ts", ".tsv", ".npz"])
def test_devices_and_pipes_are_refused(tmp_path, capsys, suffix):
    (tmp_path / f"zero{suffix}").symlink_to("/dev/zero")
    os.mkfifo(tmp_path / f"pipe{suffix}")
    for name, words in (("zero", "is a device"), ("pipe", "is a pipe")):
        path = tmp_path / f"{name}{suffix}"
        with pytest.raises(OSError, match=words):
            load_file(path)
        assert main(["predict", "none.zip", str(path)]) == 2
        capsys.readouterr()


def test_a_link_to_a_data_set_is_followed(tmp_path):
    """Data sets lie elsewhere, mostly on larger disks; nothing in them is a place."""
    (tmp_path / "elsewhere.npz").write_bytes(npz(False))
    (tmp_path / "data.npz").symlink_to(tmp_path / "elsewhere.npz")
    assert load_file(tmp_path / "data.npz").X.shape == (4, 2, 6)


# Headers, and what could mean two things


ROWS = "1\t0.5\t0.1\t0.2\n2\t0.4\t0.3\t0.9\n1\t0.2\t0.1\t0.7\n2\t0.1\t0.9\t0.5\n"
HEADERS = [
    "label\t0\t1\t2\n", "class\t7\t3\t9\n", "Target\t1\t1\t1\n", "name\t1\t2\t3\n",
    "y\t0.0\t0.1\t0.2\n", "id\t3\t1\t2\n", "0\t1\t2\t3\n", "-\t10\t20\t30\n", "0\t0.5\t1.0\t1.5\n",
]  # fmt: skip


@pytest.mark.parametrize("line", HEADERS)
def test_a_header_is_refused(tmp_path, line):
    path = tmp_path / "data.tsv"
    path.write_text(line + ROWS)
    with pytest.raises(ValueError, match=r"line 1: .* look like a header"):
        load_file(path)
    path.write_text(ROWS)
    assert len(load_file(path).X) == 2


@pytest.mark.parametrize("line", ["label\tt0\tt1\tt2\n", "\t0\t1\t2\n", "label\t\t\t\n"])
def test_a_header_of_texts_or_without_a_label_is_refused(tmp_path, line):
    path = tmp_path / "data.tsv"
    path.write_text(line + ROWS)
    with pytest.raises(ValueError, match="line 1: "):
        load_file(path)


@pytest.mark.parametrize(
    "rows",
    [
        ROWS,
        "1\t1\t2\t3\n" + ROWS,  # a ramp, of a class that others have
        "up\t1\t2\t3\nup\t2\t3\t4\ndown\t3\t2\t1\ndown\t2\t1\t0\n",
        "rise\t1\t2\t9\nfall\t3\t2\t1\nrise\t1\t2\t4\nfall\t2\t1\t0\n",
        "3\t1\t9\t2\n" + ROWS * 2 + "3\t1\t9\t2\n",
    ],
)
def test_series_that_only_resemble_a_header_are_read(tmp_path, rows):
    path = tmp_path / "data.tsv"
    path.write_text(rows)
    series, labels = read_file(path)
    assert len(series) == len(labels) == rows.count("\n")


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("data.tsv", "a\t1\t2\n\t1\t2\n", "line 2: no label"),
        ("data.ts", "@data\n1,2:a\n1,2:\n", "line 3: no label"),
        ("data.tsv", "a\t1_0\t2\n", "line 1: an underscore in a number"),
        ("data.tsv", "a\t1\t1e39\n", r"line 1: 1e\+39 is beyond single precision"),
        ("data.ts", "@data\n1,inf:a\n", "line 2: inf is beyond single precision"),
    ],
)
def test_what_could_mean_two_things_is_refused(tmp_path, name, text, words):
    (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=words):
        read_file(tmp_path / name)


def test_a_label_in_another_encoding_is_refused(tmp_path):
    path = tmp_path / "data.tsv"
    path.write_bytes("grün\t1\t2\nrot\t2\t1\n".encode("latin-1"))
    with pytest.raises(ValueError, match=r"line 1: the label .* is not text in UTF-8"):
        read_file(path)
    path.write_bytes("grün\t1\t2\nrot\t2\t1\n".encode())
    assert read_file(path)[1].tolist() == ["grün", "rot"]
