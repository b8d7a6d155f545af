"""Bundled and made-up series, and series from files."""

import shutil
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from skgdpd import datasets
from skgdpd.datasets import (
    TrainTest,
    load_basic_motions,
    load_bundled,
    load_file,
    load_gunpoint,
    load_italy_power_demand,
    make_bumps,
)

BUNDLED = Path(find_spec("sktime").submodule_search_locations[0]) / "datasets" / "data"


def assert_same(one, other):
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a, b)


# What comes with sktime


@pytest.mark.parametrize(
    ("load", "train", "test", "labels"),
    [
        (load_gunpoint, (50, 1, 150), (150, 1, 150), ["1", "2"]),
        (load_italy_power_demand, (67, 1, 24), (1029, 1, 24), ["1", "2"]),
        (
            load_basic_motions,
            (40, 6, 100),
            (40, 6, 100),
            ["badminton", "running", "standing", "walking"],
        ),
    ],
)
def test_bundled_sets_have_the_archives_shapes_and_labels(load, train, test, labels):
    data = load()
    assert data.X.shape == train
    assert data.X_test.shape == test
    for X, y in ((data.X, data.y), (data.X_test, data.y_test)):
        assert X.dtype == np.float32
        assert np.isfinite(X).all()
        assert len(X) == len(y)
        assert sorted(map(str.lower, set(y))) == labels
    assert_same(load(), data)


def test_without_sktime_the_error_names_the_command(monkeypatch):
    def refuse(name):
        raise ImportError(name)

    monkeypatch.setattr("skgdpd._runtime.extras.importlib.import_module", refuse)
    with pytest.raises(ImportError, match=r"sktime is needed .*pip install 'skgdpd\[sktime\]'"):
        load_gunpoint()


# Bumps


def test_bumps_have_the_shape_asked_for_and_half_of_each_class():
    X, y = make_bumps(n_samples=30, n_timepoints=17, n_channels=3, random_state=0)
    assert X.shape == (30, 3, 17)
    assert X.dtype == np.float32
    np.testing.assert_array_equal(np.bincount(y), [15, 15])


def test_bumps_are_seeded():
    assert_same(make_bumps(random_state=1), make_bumps(random_state=1))
    assert_same(make_bumps(random_state=np.random.RandomState(1)), make_bumps(random_state=1))
    assert not np.array_equal(make_bumps(random_state=1)[0], make_bumps(random_state=2)[0])


def test_bumps_differ_a_lot_late_and_not_in_size_early():
    X, y = make_bumps(n_samples=400, noise=0.0, random_state=0)
    X = X[:, 0]
    late = X[:, 40:]
    assert (late[y == 1].max(1) > 2.5).all()
    assert (late[y == 0].min(1) < -2.5).all()
    early = X[:, :20]
    for label in (0, 1):
        np.testing.assert_allclose(early[y == label].max(1), 1, atol=0.05)
    # Class 1's early bump is the narrower one.
    assert early[y == 1].sum(1).max() < early[y == 0].sum(1).min()


def test_noise_of_bumps_has_the_deviation_asked_for_and_channels_have_their_own():
    clean = make_bumps(200, n_channels=2, noise=0.0, random_state=0)[0]
    noisy = make_bumps(200, n_channels=2, noise=0.7, random_state=0)[0]
    np.testing.assert_array_equal(clean[:, 0], clean[:, 1])
    noise = noisy - clean
    assert noise.std() == pytest.approx(0.7, rel=0.02)
    assert abs(np.corrcoef(noise[:, 0].ravel(), noise[:, 1].ravel())[0, 1]) < 0.05


# Files


@pytest.mark.parametrize(
    ("name", "shape"), [("GunPoint", (50, 1, 150)), ("BasicMotions", (40, 6, 100))]
)
def test_a_ts_file_is_read_with_its_test_part_as_the_bundled_set_is(name, shape):
    data = load_file(BUNDLED / name / f"{name}_TRAIN.ts")
    assert isinstance(data, TrainTest)
    assert data.X.shape == shape
    assert data.X.dtype == np.float32
    bundled = {"GunPoint": load_gunpoint, "BasicMotions": load_basic_motions}[name]()
    assert_same((data.X, data.X_test), (bundled.X, bundled.X_test))
    # sktime's reader writes labels in small letters, ours leaves them as they are.
    assert_same((np.char.lower(data.y), np.char.lower(data.y_test)), (bundled.y, bundled.y_test))


def test_a_path_may_be_a_string():
    path = BUNDLED / "UnitTest" / "UnitTest_TRAIN.ts"
    assert_same(load_file(str(path)), load_file(path))


@pytest.fixture
def parts():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(8, 5)).astype(np.float32)
    X_test = rng.normal(size=(6, 5)).astype(np.float32)
    return X, np.array(list("aabbabab")), X_test, np.array(list("bbaaab"))


def write_tsv(path, X, y):
    lines = [
        "\t".join([label, *map(repr, map(float, row))]) for row, label in zip(X, y, strict=True)
    ]
    path.write_text("\n".join(lines) + "\n")
    return path


def write_ts(path, X, y, header=""):
    lines = [",".join(map(repr, map(float, row))) for row in X]
    if y is not None:
        lines = [f"{line}:{label}" for line, label in zip(lines, y, strict=True)]
    labels = "false" if y is None else "true " + " ".join(sorted(set(y)))
    head = [
        "@problemName p",
        "@timeStamps false",
        "@missing false",
        "@univariate true",
        f"@equalLength {'true' if len({len(row) for row in X}) == 1 else 'false'}",
        f"@classLabel {labels}",
        "@data",
    ]
    path.write_text("\n".join([header, *head, *lines]).strip() + "\n")
    return path


def write_npz(path, X, y):
    np.savez(path, X=X, y=y)
    return path


WRITERS = {".tsv": write_tsv, ".ts": write_ts, ".npz": write_npz}


@pytest.mark.parametrize("suffix", WRITERS)
def test_a_train_file_brings_the_test_file_beside_it(suffix, parts, tmp_path):
    X, y, X_test, y_test = parts
    write = WRITERS[suffix]
    train = write(tmp_path / f"Data_TRAIN{suffix}", X, y)
    write(tmp_path / f"Data_TEST{suffix}", X_test, y_test)
    assert_same(load_file(train), (X[:, None], y, X_test[:, None], y_test))


@pytest.mark.parametrize("suffix", WRITERS)
def test_a_single_file_is_split_in_halves_within_each_class(suffix, parts, tmp_path):
    X, y, *_ = parts
    data = load_file(WRITERS[suffix](tmp_path / f"data{suffix}", X, y))
    for labels in (data.y, data.y_test):
        assert sorted(labels) == ["a", "a", "b", "b"]
    both = np.concatenate([data.X, data.X_test])[:, 0]
    labels = np.concatenate([data.y, data.y_test])
    order = [int(np.flatnonzero((both == row).all(1))[0]) for row in X]
    assert sorted(order) == list(range(8))
    np.testing.assert_array_equal(labels[order], y)


@pytest.mark.parametrize("suffix", WRITERS)
def test_a_train_file_alone_is_split_in_halves(suffix, parts, tmp_path):
    X, y, *_ = parts
    data = load_file(WRITERS[suffix](tmp_path / f"data_TRAIN{suffix}", X, y))
    assert len(data.X) == len(data.X_test) == 4


@pytest.mark.parametrize("suffix", WRITERS)
def test_series_are_single_precision_whatever_the_file(suffix, parts, tmp_path):
    X, y, *_ = parts
    data = load_file(WRITERS[suffix](tmp_path / f"data{suffix}", X.astype(float), y))
    assert data.X.dtype == np.float32
    assert data.X_test.dtype == np.float32


def test_halves_are_seeded(tmp_path):
    X, y = make_bumps(40, 10, random_state=0)
    path = write_npz(tmp_path / "data.npz", X, y)
    assert_same(load_file(path), load_file(path, random_state=0))
    assert_same(load_file(path, 3), load_file(path, np.random.RandomState(3)))
    assert not np.array_equal(load_file(path, 1).X, load_file(path, 2).X)


def test_an_npz_file_may_hold_both_parts(parts, tmp_path):
    X, y, X_test, y_test = parts
    path = tmp_path / "data.npz"
    np.savez(path, X_train=X[:, None], y_train=y, X_test=X_test[:, None], y_test=y_test, more=[1])
    assert_same(load_file(path), (X[:, None], y, X_test[:, None], y_test))


def test_the_archives_tsv_of_numbers_with_blank_lines_is_read(parts, tmp_path):
    path = tmp_path / "data.tsv"
    path.write_text("1\t0.5\t-1e-3\tNaN\n\n-1\t2\t3\t4\n1\t5\t6\t7\n-1\t8\t9\t10\n\n")
    data = load_file(path)
    assert sorted([*data.y, *data.y_test]) == ["-1", "-1", "1", "1"]
    assert np.isnan(np.concatenate([data.X, data.X_test])).sum() == 1


def test_the_bundled_ts_and_tsv_of_one_set_agree(tmp_path):
    for suffix in (".ts", ".tsv"):
        shutil.copy(BUNDLED / "ArrowHead" / f"ArrowHead_TRAIN{suffix}", tmp_path)
    by_ts = load_file(tmp_path / "ArrowHead_TRAIN.ts")
    by_tsv = load_file(tmp_path / "ArrowHead_TRAIN.tsv")
    np.testing.assert_array_equal(by_ts.y, by_tsv.y)
    np.testing.assert_allclose(by_ts.X, by_tsv.X, atol=1e-5)


# Errors


def test_a_missing_file_is_named(tmp_path):
    path = tmp_path / "none.ts"
    with pytest.raises(FileNotFoundError, match=r"there is no file .*none\.ts"):
        load_file(path)
    with pytest.raises(FileNotFoundError, match="there is no file"):
        load_file(tmp_path)


@pytest.mark.parametrize("suffix", [*WRITERS, ".arff"])
def test_an_empty_file_is_named(suffix, tmp_path):
    path = tmp_path / f"nothing{suffix}"
    path.touch()
    with pytest.raises(ValueError, match=f"nothing{suffix} is empty"):
        load_file(path)


@pytest.mark.parametrize("name", ["data.arff", "data", "data.npy", "data.ts.gz"])
def test_another_suffix_is_refused_with_those_allowed(name, tmp_path):
    path = tmp_path / name
    path.write_text("x")
    with pytest.raises(ValueError, match=f"{name} is not a .ts, .tsv or .npz file"):
        load_file(path)


TS = "@problemName p\n@classLabel true a b\n@data\n"
MALFORMED = {
    "shorter line.tsv": (
        "1\t2\t3\n\n1\t2\n",
        "line 3: 1 values, in line 1 2; all must have equally many",
    ),
    "commas.tsv": ("1,2,3\n1,2,3\n", "line 1"),
    "word.tsv": ("1\t2\t3\n1\t2\tx\n", "line 2: could not convert string to float: 'x'"),
    "gap.tsv": ("1\t2\t3\n1\t\t2\n", "line 2: could not convert string to float: ''"),
    "numbers of columns.tsv": (
        "0\t1\t2\t3\n0\t.5\t.2\t.1\n1\t.3\t.2\t.1\n",
        "line 1: '0' and 3 ascending .* look like a header",
    ),
    "blank.tsv": ("\n\n", "no line with a series"),
    "no data.ts": ("1,2,3:a\n", "no @data line; is it a .ts file"),
    "nothing after.ts": (TS, "no series after @data"),
    "no label.ts": (TS + "1,2:a\n1,2\n", "line 5: no colon, so no label"),
    "word.ts": (TS + "1,2:a\n1,x:b\n", "line 5: could not convert string to float: 'x'"),
    "shorter line.ts": (
        "@equalLength true\n" + TS + "1,2,3:a\n1,2:b\n",
        "line 6: 2 values, in line 5 3; all must have equally many",
    ),
    "longer channel.ts": (TS + "1,2:3,4:a\n1,2:3,4,5:b\n", r"line 5: channels of \[2, 3\]"),
    "more channels.ts": (TS + "1,2:a\n1,2:3,4:b\n", "line 5: 2 channels, in line 4 1"),
    "stamps.ts": ("@timeStamps true\n" + TS + "(0,1),(1,2):a\n", "has time stamps"),
    "text.npz": ("this is no archive", "can't be read as an .npz file"),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_file_is_refused_with_its_name_and_what_is_wrong(name, tmp_path):
    text, message = MALFORMED[name]
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(ValueError, match=f"{name}.*{message}"):
        load_file(path)


def test_a_ts_file_without_labels_is_refused(parts, tmp_path):
    path = write_ts(tmp_path / "data.ts", parts[0], None)
    with pytest.raises(ValueError, match=r"data\.ts has no class labels"):
        load_file(path)


def test_series_of_unequal_length_end_in_nan():
    data = load_file(BUNDLED / "JapaneseVowels" / "JapaneseVowels_TRAIN.ts")
    assert data.X.shape == (270, 12, 29)
    assert data.X.shape[1:] == data.X_test.shape[1:]
    lengths = (~np.isnan(data.X[:, 0])).sum(1)
    assert (lengths.min(), lengths.max()) == (7, 26)
    assert not np.isnan(data.X[:, :, :7]).any()
    assert_same(load_bundled("japanese_vowels"), data)


def test_bundled_sets_are_known_by_name():
    for name in ("gunpoint", "osuleaf", "arrow_head", "acsf1"):
        data = load_bundled(name)
        assert data.X.ndim == 3
        assert len(data.X) == len(data.y)
        assert set(data.y_test) <= set(data.y)
    with pytest.raises(ValueError, match="name='gun point'; allowed are gunpoint, italy"):
        load_bundled("gun point")


def test_gaps_in_a_ts_file_are_read_as_nan(tmp_path):
    path = tmp_path / "data.ts"
    path.write_text(TS + "1,?:NaN,2:a\n3,4:5,6:a\n")
    X, _, X_test, _ = load_file(path)
    both = np.concatenate([X, X_test])
    both = both[np.argsort(both[:, 0, 0])]
    np.testing.assert_array_equal(both, [[[1, np.nan], [np.nan, 2]], [[3, 4], [5, 6]]])


@pytest.mark.parametrize("suffix", [".tsv", ".ts"])
def test_a_byte_order_mark_and_windows_line_ends_change_nothing(suffix, parts, tmp_path):
    # As spreadsheets on Windows write them.
    plain = WRITERS[suffix](tmp_path / f"plain{suffix}", *parts[:2])
    marked = tmp_path / f"marked{suffix}"
    text = plain.read_text().replace("\n", "\r\n")
    marked.write_bytes(text.encode("utf-8-sig"))
    assert_same(load_file(marked), load_file(plain))


def test_npz_arrays_of_other_names_are_refused_with_those_needed(tmp_path):
    path = tmp_path / "data.npz"
    np.savez(path, data=np.zeros((3, 4)), X_train=np.zeros((3, 4)))
    with pytest.raises(
        ValueError, match=r"arrays \['X_train', 'data'\]; it needs X_train, y_train"
    ):
        load_file(path)


@pytest.mark.parametrize(
    ("X", "y"),
    [
        (np.zeros((4, 5)), np.zeros(3)),
        (np.zeros(4), np.zeros(4)),
        (np.zeros((4, 1, 1, 5)), np.zeros(4)),
        (np.zeros((0, 5)), np.zeros(0)),
        (np.zeros((4, 5)), np.array([[0], [1], [0], [1]])),
        (np.zeros((4, 5)), np.float64(1)),
        (np.array([["a", "b", "c"]] * 4), np.array([0, 1, 0, 1])),
    ],
)
def test_npz_arrays_that_are_no_labelled_series_are_refused(X, y, tmp_path):
    path = write_npz(tmp_path / "data.npz", X, y)
    with pytest.raises(ValueError, match=r"data.npz has series .*they must be"):
        load_file(path)


def test_pickled_objects_in_an_npz_file_are_never_loaded(tmp_path):
    path = write_npz(tmp_path / "data.npz", np.zeros((2, 3)), np.array(["a", None], dtype=object))
    with pytest.raises(ValueError, match=r"can't be read .*allow_pickle=False"):
        load_file(path)


@pytest.mark.parametrize("suffix", WRITERS)
def test_a_test_part_of_shorter_series_is_padded(suffix, parts, tmp_path):
    X, y, X_test, y_test = parts
    write = WRITERS[suffix]
    train = write(tmp_path / f"Data_TRAIN{suffix}", X, y)
    write(tmp_path / f"Data_TEST{suffix}", X_test[:, :4], y_test)
    data = load_file(train)
    assert data.X_test.shape[1:] == data.X.shape[1:]
    assert np.isnan(data.X_test[:, :, 4:]).all()
    assert not np.isnan(data.X_test[:, :, :4]).any()


def test_a_test_part_of_other_channels_is_refused(tmp_path):
    (tmp_path / "Data_TRAIN.ts").write_text(TS + "1,2:a\n3,4:b\n")
    (tmp_path / "Data_TEST.ts").write_text(TS + "1,2:1,2:a\n3,4:3,4:b\n")
    with pytest.raises(ValueError, match=r"training series have 1 channels and test series 2"):
        load_file(tmp_path / "Data_TRAIN.ts")


@pytest.mark.parametrize("suffix", WRITERS)
def test_too_few_series_to_split_are_refused_with_their_number(suffix, tmp_path):
    path = WRITERS[suffix](tmp_path / f"data{suffix}", np.zeros((2, 3)), ["a", "b"])
    with pytest.raises(ValueError, match="2 series of 2 classes are too few for"):
        load_file(path)


def test_everything_public_is_known():
    public = {
        n for n, v in vars(datasets).items() if getattr(v, "__module__", "") == datasets.__name__
    }
    assert {name for name in public if not name.startswith("_")} == {
        "SeriesWithIds",
        "AutoregressiveClasses",
        "TrainTest",
        "from_long",
        "load_basic_motions",
        "load_bundled",
        "load_file",
        "load_gunpoint",
        "load_italy_power_demand",
        "load_table",
        "make_bumps",
    }
