"""Series in containers of polars, pyarrow, xarray and awkward, and in others like them."""

import numpy as np
import pytest

from skgdpd import PrefixClassifier
from skgdpd._series.panel import read_panel
from skgdpd.datasets import make_bumps

X, Y = make_bumps(12, 20, n_channels=2, random_state=0)


class Frame:
    """A frame that offers its columns by name and through a protocol, as polars' frames do."""

    def __init__(self, values, names):
        self.values, self.columns = np.asarray(values), list(names)
        self.shape = self.values.shape

    def __getitem__(self, name):
        return self.values[:, self.columns.index(name)]

    def __len__(self):
        return len(self.values)

    def __arrow_c_stream__(self, requested_schema=None):
        raise NotImplementedError


def test_a_column_of_a_table_named_as_labels_is_no_time_point():
    with pytest.raises(ValueError, match="X has a column 'label', which looks like labels"):
        read_panel(Frame(X[:, 0, :3], ["t0", "t1", "label"]))


class Labelled:
    """An array with named dimensions, as xarray's arrays are."""

    def __init__(self, values, dims):
        self.values, self.dims = values, dims
        self.shape, self.ndim = values.shape, values.ndim

    def __len__(self):
        return len(self.values)

    def __array__(self, dtype=None, copy=None):
        return np.array(self.values, dtype=dtype)

    def transpose(self, *dims):
        order = [self.dims.index(each) for each in dims]
        return Labelled(self.values.transpose(order), dims)


class Stream:
    def __arrow_c_stream__(self, requested_schema=None):
        raise NotImplementedError


class Interchange:
    def __dataframe__(self, nan_as_null=False, allow_copy=True):
        raise NotImplementedError


class Dataset:
    data_vars = {"a": 1}


class LazyFrame:
    @property
    def columns(self):
        raise AssertionError("asked for columns, of which polars warns")

    def lazy(self):
        return self

    def collect(self):
        raise NotImplementedError


def wide(values=X[:, 0], names=None):
    return Frame(values, [f"t{i}" for i in range(values.shape[1])] if names is None else names)


def test_a_frame_has_a_row_for_each_series():
    panel = read_panel(wide())
    np.testing.assert_array_equal(panel.values, X[:, :1])
    assert panel.flat


def test_frames_in_a_list_have_a_column_for_each_channel():
    # Equal lengths, so that numpy would stack them with channels and time exchanged.
    frames = [Frame(series.T, ["a", "b"]) for series in X]
    np.testing.assert_array_equal(read_panel(frames).values, X)
    frames[3] = Frame(X[3].T[:, ::-1], ["b", "a"])
    with pytest.raises(ValueError, match=r"series 3 of X has the columns \['b', 'a'\]"):
        read_panel(frames)


def test_names_of_time_points_are_compared():
    model = PrefixClassifier("rocket", max_epochs=0, random_state=0)
    plain = model.fit(X[:, 0], Y).predict_proba(X[:, 0])
    np.testing.assert_array_equal(model.fit(wide(), Y).predict_proba(wide()), plain)
    frames = [Frame(series.T, ["a", "b"]) for series in X]
    model.fit(frames, Y)
    assert model.feature_names_in_.tolist() == ["a", "b"]
    with pytest.raises(ValueError, match="same in another order"):
        model.predict([Frame(series.T, ["b", "a"]) for series in X])


@pytest.mark.parametrize("dims", [("series", "channel", "time"), ("a", "b", "c")])
def test_arrays_with_named_dimensions_are_read_as_arrays(dims):
    np.testing.assert_array_equal(read_panel(Labelled(X, dims)).values, X)
    each = [Labelled(series, dims[1:]) for series in X]
    np.testing.assert_array_equal(read_panel(each).values, X)


def test_time_must_be_the_last_of_named_dimensions():
    turned = Labelled(X.transpose(0, 2, 1), ("series", "time", "channel"))
    with pytest.raises(ValueError, match="the last must be 'time'") as caught:
        read_panel(turned)
    advice = str(caught.value).rpartition(": ")[2]
    np.testing.assert_array_equal(read_panel(eval(advice, {"X": turned})).values, X)
    with pytest.raises(ValueError, match=r"series 1 of X is a .*Labelled of the dimensions"):
        read_panel([X[0], Labelled(X[1].T, ("time", "channel"))])


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (Stream(), "Stream, of which only __arrow_c_stream__ is known; give pyarrow.table of it"),
        (Interchange(), "Interchange, of which only __dataframe__ is known; give a frame of"),
        (Dataset(), r"Dataset of named variables; give one array of them, such as X.to_dataarray"),
        (LazyFrame(), r"LazyFrame, whose rows are not read yet; give X.collect\(\)"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_can_not_be_taken_is_refused_by_name(given, words):
    with pytest.raises(TypeError, match=words):
        read_panel(given)


def test_frames_of_words_are_refused():
    with pytest.raises(ValueError, match="column 't1' of X has values of the type <U1"):
        read_panel(Frame(np.array([["1", "b"]]), ["t1", "t2"]))


# The packages themselves


def test_frames_of_polars():
    polars = pytest.importorskip("polars")
    frame = polars.DataFrame(X[:, 0], schema=[f"t{i}" for i in range(20)])
    np.testing.assert_array_equal(read_panel(frame).values, X[:, :1])
    frames = [polars.DataFrame(series.T, schema=["a", "b"]) for series in X]
    np.testing.assert_array_equal(read_panel(frames).values, X)
    with pytest.raises(TypeError, match="collect"):
        read_panel(frame.lazy())
    with pytest.raises(ValueError, match=r"X, row 0: .* of column 'a' is not a number"):
        read_panel(polars.DataFrame({"a": [[1.0, 2.0], [3.0, 4.0]]}))
    model = PrefixClassifier("rocket", max_epochs=0, random_state=0)
    labels = polars.Series(["no", "yes"])[Y.tolist()]
    assert model.fit(frame, labels).predict(frame).shape == (12,)
    # scikit-learn's own words: it knows the columns of these frames.
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict(frame[:, ::-1])


def test_tables_of_pyarrow():
    pyarrow = pytest.importorskip("pyarrow")
    table = pyarrow.table({f"t{i}": X[:, 0, i] for i in range(20)})
    np.testing.assert_array_equal(read_panel(table).values, X[:, :1])


def test_arrays_of_xarray():
    xarray = pytest.importorskip("xarray")
    array = xarray.DataArray(X, dims=("series", "channel", "time"))
    np.testing.assert_array_equal(read_panel(array).values, X)
    with pytest.raises(ValueError, match="the last must be 'time'"):
        read_panel(array.transpose("series", "time", "channel"))
    with pytest.raises(TypeError, match="named variables"):
        read_panel(array.to_dataset("channel"))


def test_arrays_of_awkward():
    awkward = pytest.importorskip("awkward")
    np.testing.assert_array_equal(read_panel(awkward.from_numpy(X)).values, X)
    ragged = awkward.Array([[1.0, 2.0, 3.0], [4.0]])
    np.testing.assert_array_equal(read_panel(ragged).values, [[[1, 2, 3]], [[4, np.nan, np.nan]]])
    with pytest.raises((TypeError, ValueError), match="X"):
        read_panel(awkward.Array([[1.0, None], [2.0, 3.0]]))
