"""Every form of series comes to one array; every other input is refused in words."""

import re
import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from sktime.datatypes import convert_to

from skgdpd._series.panel import (
    FORMS,
    Panel,
    _stack,
    as_list,
    check_panel,
    check_values,
    join,
    read_panel,
)


@pytest.fixture
def values():
    # Twelve series: "10" sorts before "2" as a string, so sorted instances would show.
    return np.random.default_rng(0).normal(size=(12, 3, 7))


def object_array(items):
    array = np.empty(len(items), dtype=object)
    for i, item in enumerate(items):
        array[i] = item
    return array


FORMS_OF_A_PANEL = {
    "array": lambda values: values,
    "single precision": lambda values: values.astype(np.float32),
    "Fortran order": np.asfortranarray,
    "negative strides": lambda values: values[:, :, ::-1].copy()[:, :, ::-1],
    "nested lists": lambda values: values.tolist(),
    "list of arrays": list,
    "tuple of arrays": tuple,
    "object array of arrays": lambda values: object_array(list(values)),
    "object array of numbers": lambda values: values.astype(object),
    "torch tensor": torch.from_numpy,
    "torch tensor with a gradient": lambda values: torch.from_numpy(values).requires_grad_(),
    "list of torch tensors": lambda values: [torch.from_numpy(x) for x in values],
    "numpy3D": lambda values: convert_to(values, "numpy3D"),
    "pd-multiindex": lambda values: convert_to(values, "pd-multiindex"),
    "df-list": lambda values: convert_to(values, "df-list"),
    "nested_univ": lambda values: convert_to(values, "nested_univ"),
}


@pytest.mark.parametrize("form", FORMS_OF_A_PANEL)
def test_all_forms_give_the_same_values(form, values):
    given_form = FORMS_OF_A_PANEL[form](values)
    panel = read_panel(given_form)
    expected = values.astype(np.float32) if form == "single precision" else values
    np.testing.assert_array_equal(panel.values.astype(float), expected.astype(float))
    assert not panel.flat
    assert (len(panel), panel.n_channels, panel.n_timepoints) == values.shape


FORMS_OF_A_TABLE = {
    "array": lambda table: table,
    "nested lists": lambda table: table.tolist(),
    "list of rows": list,
    "frame": pd.DataFrame,
    "frame with names": lambda table: pd.DataFrame(
        table, columns=[f"t{i}" for i in range(table.shape[1])]
    ),
    "frame with an index": lambda table: pd.DataFrame(
        table, index=range(100, 100 - len(table), -1)
    ),
    "torch tensor": torch.from_numpy,
    "Fortran order": np.asfortranarray,
    "object array of numbers": lambda table: table.astype(object),
    "numpyflat": lambda table: convert_to(table[:, None], "numpyflat"),
}


@pytest.mark.parametrize("form", FORMS_OF_A_TABLE)
def test_a_table_is_a_panel_of_one_channel(form, values):
    table = values[:, 0]
    panel = read_panel(FORMS_OF_A_TABLE[form](table))
    np.testing.assert_array_equal(panel.values.astype(float), table[:, None])
    assert panel.flat


def test_an_object_array_of_rows_is_read_as_the_list_of_rows_is(values):
    rows = list(values[:, 0])
    np.testing.assert_array_equal(read_panel(object_array(rows)).values, read_panel(rows).values)


@pytest.mark.parametrize("kind", [np.int8, np.int64, np.uint16, np.float16, np.bool_])
def test_any_kind_of_number_is_taken(kind):
    whole = np.arange(24).reshape(2, 3, 4).astype(kind)
    values = check_values(read_panel(whole).values).values
    assert values.dtype == np.float32
    np.testing.assert_array_equal(values, whole.astype(np.float32))


@settings(deadline=None, max_examples=25)
@given(
    arrays(
        np.float64,
        array_shapes(min_dims=3, max_dims=3, min_side=1, max_side=5),
        elements=st.floats(-1e6, 1e6),
    )
)
def test_a_list_of_series_is_their_stack(values):
    np.testing.assert_array_equal(read_panel(list(values)).values, values)


def test_multi_indexed_instances_keep_the_order_in_which_they_stand(values):
    # y has that order, and so does sktime's own conversion.
    instances = ["10", "9", "b", "a"]
    index = pd.MultiIndex.from_product([instances, range(values.shape[2])])
    frame = pd.DataFrame(
        values[: len(instances)].transpose(0, 2, 1).reshape(-1, values.shape[1]), index=index
    )
    np.testing.assert_array_equal(read_panel(frame).values, values[: len(instances)])
    np.testing.assert_array_equal(convert_to(frame, "numpy3D"), values[: len(instances)])


def test_shuffled_multi_index_of_sktime_reads_as_sktime_reads_it(values):
    frame = convert_to(values, "pd-multiindex")
    shuffled = pd.concat([frame.loc[[i]] for i in range(len(values) - 1, -1, -1)])
    np.testing.assert_array_equal(read_panel(shuffled).values, values[::-1])


def test_frames_in_a_list_have_a_column_a_channel(values):
    frames = [pd.DataFrame(series.T, columns=["x", "y", "z"]) for series in values]
    np.testing.assert_array_equal(read_panel(frames).values, values)


def test_reading_leaves_read_only_input_as_it_is(values):
    values = values.astype(np.float32)
    before = values.copy()
    values.flags.writeable = False
    panel = read_panel(values)
    np.testing.assert_array_equal(check_values(panel.values).values, before)
    np.testing.assert_array_equal(values, before)
    assert not values.flags.writeable


def test_nothing_after_the_cut_is_looked_at(values):
    for rest in (np.nan, np.inf, 1e300):
        spoilt = values.copy()
        spoilt[:, :, 4:] = rest
        for form in ("array", "list of arrays", "pd-multiindex", "nested_univ", "torch tensor"):
            panel = read_panel(FORMS_OF_A_PANEL[form](spoilt)).first(4)
            np.testing.assert_array_equal(
                check_values(panel.values).values, values[:, :, :4].astype(np.float32)
            )


def test_take_and_first_keep_the_form(values):
    for panel in (read_panel(values), read_panel(values[:, 0])):
        some = panel.take(np.array([3, 1])).first(2)
        np.testing.assert_array_equal(some.values, panel.values[[3, 1], :, :2])
        assert some.flat == panel.flat


def test_neighbours_are_taken_without_a_copy(values):
    panel = check_panel(read_panel(values), "X")
    some = panel.take(np.array([1, 2]))
    np.testing.assert_array_equal(some.values, panel.values[1:3])
    assert np.shares_memory(some.values, panel.values)
    assert len(panel.take(np.array([], dtype=int))) == 0


def test_checked_values_are_contiguous_single_precision(values):
    checked = check_values(np.asfortranarray(values)[:, ::2, 1:5]).values
    assert checked.flags.c_contiguous
    assert checked.dtype == np.float32
    np.testing.assert_array_equal(checked, values[:, ::2, 1:5].astype(np.float32))


def test_the_largest_single_precision_values_pass_even_if_their_sum_does_not_fit():
    largest = np.full((50, 2, 50), np.finfo(np.float32).max)
    np.testing.assert_array_equal(check_values(largest).values, largest)


@pytest.mark.parametrize(
    ("bad", "kind"),
    [
        (np.nan, "NaN"),
        (np.inf, "infinity or a value too large for single precision"),
        (-np.inf, "infinity or a value too large for single precision"),
        (1e300, "infinity or a value too large for single precision"),
    ],
)
@pytest.mark.parametrize("place", [(0, 0, 0), (3, 2, 6), (11, 0, 5)])
def test_a_value_that_is_not_finite_is_refused_with_its_place(bad, kind, place, values):
    values[place] = bad
    sample, channel, time = place
    with pytest.raises(
        ValueError,
        match=f"the_name contains {kind}: 1 of 252 values, the first in series {sample}, "
        f"channel {channel}, at time point {time}. All values must be finite",
    ):
        check_values(values, "the_name")


def test_infinities_of_both_signs_do_not_cancel(values):
    values[0, 0, 0], values[0, 0, 1] = np.inf, -np.inf
    with pytest.raises(ValueError, match=r"infinity.*2 of 252 values"):
        check_values(values)


REFUSED = {
    "no dimension": (np.float64(3), "X is a float64; allowed are " + FORMS),
    "nothing": (None, "is None; allowed are a 3-D array"),
    "one dimension": (np.zeros(5), "X.reshape(1, -1) is one series of 5 time points"),
    "one dimension, a list": ([1.0, 2.0], "X.reshape(1, -1) is one series of 2 time points"),
    "four dimensions": (np.zeros((2, 2, 2, 2)), "X has 4 dimensions; allowed are " + FORMS),
    "four dimensions in a list": (
        [np.zeros((2, 3, 4))],
        "series 0 of X is 3-dimensional of type float64; in a list each must be a numeric",
    ),
    "no series": (np.zeros((0, 2, 5)), "Found array with 0 sample(s) (shape=(0, 2, 5))"),
    "no rows": (np.zeros((0, 5)), "Found array with 0 sample(s) (shape=(0, 5))"),
    "no list items": ([], "Expected 2D array, got 1D array"),
    "no frame rows": (pd.DataFrame({"a": []}), "X has 0 sample(s); a minimum of 1 is required"),
    "no channels": (np.zeros((3, 0, 5)), "Found array with 0 feature(s) (shape=(3, 0, 5))"),
    "no columns": (pd.DataFrame(index=range(3)), "0 feature(s)"),
    "strings": (
        np.array([["a", "b"], ["c", "d"]]),
        "X has values of the type <U1; they must be real",
    ),
    "one string": ("series", "='series' is a name; open files"),
    "a list of strings": (["a", "b"], "X has values of the type <U1; they must be real"),
    "strings in a list": (
        [np.zeros((1, 2)), np.array([["a", "b"]])],
        "series 1 of X is 2-dimensional of type <U1; in a list each must be a numeric",
    ),
    "strings in a frame": (
        pd.DataFrame({"x": ["a", "b"]}),
        "column 'x' of X holds texts, such as 'a'",
    ),
    "complex": (
        np.zeros((2, 3), dtype=complex),
        "X has values of the type complex128; they must be real",
    ),
    "unequal channels": (
        [np.zeros((2, 3)), np.zeros((5, 3))],
        "the series of X have different numbers of channels ([2, 5]); all must have the same",
    ),
    "unequal lengths of channels": (
        pd.DataFrame({"x": [pd.Series([1.0, 2.0])], "y": [pd.Series([1.0, 2.0, 3.0])]}),
        "a series of X has channels of different lengths",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_panel_is_refused_in_words(case):
    bad, message = REFUSED[case]
    with pytest.raises(ValueError, match=re.escape(message)):
        read_panel(bad)


# Series of unequal length


def ragged_series(lengths=(6, 2, 4), n_channels=2):
    rng = np.random.default_rng(0)
    return [rng.normal(size=(n_channels, length)) for length in lengths]


RAGGED_FORMS = {
    "list": lambda series: series,
    "nested lists": lambda series: [s.tolist() for s in series],
    "object array": object_array,
    "frames": lambda series: [pd.DataFrame(s.T) for s in series],
    "multi-indexed": lambda series: pd.concat(
        {i: pd.DataFrame(s.T, columns=["a", "b"]) for i, s in enumerate(series)}
    ),
    "nested": lambda series: pd.DataFrame(
        {k: [pd.Series(s[k]) for s in series] for k in range(2)}
    ),
}


@pytest.mark.parametrize("form", RAGGED_FORMS)
def test_series_of_unequal_length_end_in_nan(form):
    series = ragged_series()
    values = read_panel(RAGGED_FORMS[form](series)).values
    assert values.shape == (3, 2, 6)
    for row, s in zip(values, series, strict=True):
        np.testing.assert_array_equal(row[:, : s.shape[1]], s)
        assert np.isnan(row[:, s.shape[1] :]).all()
    checked = check_values(values)
    assert checked.lengths.tolist() == [6, 2, 4]
    assert not checked.gaps
    for found, s in zip(as_list(values), series, strict=True):
        np.testing.assert_array_equal(found, s)


def test_the_end_of_a_series_is_nan_in_all_channels_to_the_last_point():
    values = np.zeros((4, 2, 5))
    values[1, 0, 3:] = np.nan  # one channel only: missing values
    values[2, :, 2] = np.nan  # in the middle: missing values
    values[3, :, 4:] = np.nan  # the end
    with pytest.raises(ValueError, match="X contains NaN: 4 of 40 values, the first in series 1"):
        check_values(values)
    checked = check_values(values, gaps=True)
    assert checked.gaps
    assert checked.lengths.tolist() == [5, 5, 5, 4]
    rigid = check_values(values, gaps=True, ragged=False)
    assert rigid.lengths is None
    with pytest.raises(ValueError, match="6 of 40 values"):
        check_values(values, ragged=False)


def test_a_series_that_is_too_short_is_named():
    values = np.zeros((3, 1, 4))
    values[1, :, 1:] = np.nan
    with pytest.raises(ValueError, match=r"series 1 of X has 1 time point\(s\) before"):
        check_values(values, min_length=2)
    values[1] = np.nan
    with pytest.raises(ValueError, match=r"series 1 of X has 0 time point\(s\) before"):
        check_values(values)


@given(st.lists(st.integers(1, 7), min_size=1, max_size=5), st.integers(0, 3))
@settings(deadline=None, max_examples=30)
def test_padding_further_changes_nothing(lengths, more):
    values = _stack(ragged_series(lengths), "X").values
    padded = np.pad(values, ((0, 0), (0, 0), (0, more)), constant_values=np.nan)
    for found, s in zip(as_list(padded), ragged_series(lengths), strict=True):
        np.testing.assert_array_equal(found, s)


def test_joined_panels_end_where_they_ended():
    short, long = Panel(np.ones((2, 1, 3))), Panel(np.zeros((1, 1, 5)))
    joined = join(short, long).values
    assert joined.shape == (3, 1, 5)
    assert check_values(joined).lengths.tolist() == [3, 3, 5]


def test_a_hierarchical_frame_is_refused_rather_than_taken_for_a_table():
    index = pd.MultiIndex.from_product([["shop"], ["a", "b"], range(3)])
    with pytest.raises(ValueError, match="index levels"):
        read_panel(pd.DataFrame({"x": np.arange(6.0)}, index=index))


@pytest.mark.parametrize(
    "bad", [np.zeros((2, 2, 2, 2)), [np.zeros((1, 2)), np.zeros((2, 2))], [np.zeros((1, 2, 3))]]
)
def test_errors_use_the_name_that_they_are_given(bad):
    with pytest.raises(ValueError, match="X_unlabeled"):
        read_panel(bad, "X_unlabeled")


def test_a_sparse_matrix_is_refused():
    sparse = pytest.importorskip("scipy.sparse")
    with pytest.raises(
        TypeError, match="Sparse data was passed for X, but dense data is required"
    ):
        read_panel(sparse.eye(3))


def test_wrong_channels_are_refused_by_a_fitted_classifier_with_both_numbers(values):
    from skgdpd import PrefixClassifier

    y = np.arange(len(values)) % 2
    clf = PrefixClassifier("lstm1-8", earliness=1.0, max_epochs=1, random_state=0).fit(values, y)
    for wrong in (values[:, :1], values[:, 0], np.concatenate([values, values], 1)):
        channels = 1 if wrong.ndim == 2 else wrong.shape[1]
        with pytest.raises(ValueError, match=f"X has {channels} channels.* is expecting 3"):
            clf.predict(wrong)


def test_a_panel_counts_its_series_channels_and_time_points():
    panel = Panel(np.zeros((4, 3, 2)))
    assert (len(panel), panel.n_channels, panel.n_timepoints) == (4, 3, 2)


@pytest.mark.parametrize("n_points", [0, 3])
@pytest.mark.parametrize(
    "values", [np.ones(3, complex), np.array(["2020-01-01"] * 3, "M8[D]"), np.ones(3, "m8[s]")]
)
@pytest.mark.parametrize("form", ["nested", "long", "frames", "lists"])
def test_frames_of_what_is_no_real_number_are_refused(form, values, n_points):
    values = values[:n_points]
    if form == "nested":
        X = pd.DataFrame([[pd.Series(values)], [pd.Series(values)]])
    elif form == "long":
        index = pd.MultiIndex.from_product([["a", "b"], range(n_points)])
        X = pd.DataFrame({"x": np.r_[values, values]}, index)
    else:
        X = [pd.DataFrame({"x": values})] * 2 if form == "frames" else [values[None]] * 2
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ValueError, match=r"\bX\b"):
            read_panel(X)
