"""Signals on offsets, which a conversion to single precision may lose."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skgdpd._series.precision import check_like_training, check_precision

WAVES = np.sin(np.arange(60.0)).reshape(3, 1, 20)


def loses(values, *scale):
    try:
        if scale:
            check_like_training(values, np.array([scale]), "X")
        else:
            check_precision(values)
    except ValueError:
        return True
    return False


@settings(max_examples=60, deadline=None)
@given(st.floats(-5, 9), st.floats(-2, 3), st.booleans())
def test_what_is_refused_is_what_the_conversion_loses(offset, size, negative):
    offset = (-1 if negative else 1) * 10.0**offset
    values = WAVES * 10.0**size + offset
    kept = values.astype(np.float32).astype(np.float64)
    error = np.sqrt(np.mean((kept - values) ** 2) / np.mean(np.var(values, axis=2)))
    if not 0.09 < error < 0.11:
        assert loses(values) == (error > 0.1)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.int8, np.uint8, bool])
def test_types_that_single_precision_holds_lose_nothing(dtype):
    assert not loses(np.clip(100 * WAVES + 100, 0, 120).astype(dtype))


@pytest.mark.parametrize("dtype", [np.int32, np.uint32, np.int64, np.uint64, np.float64])
def test_whole_numbers_may_lose_their_last_digits(dtype):
    assert loses((10 * WAVES + 2e9).astype(dtype))
    assert not loses((10 * WAVES + 2**20).astype(dtype))


def test_rounding_and_constants_are_no_signal():
    assert not loses(np.full((3, 2, 20), 1e9))
    assert not loses(np.full((2, 1, 100), 0.1).cumsum(0) + 1e9)
    assert not loses(np.zeros((0, 1, 20)))


def test_missing_values_count_for_nothing():
    values = WAVES + 1e9
    values[:, :, ::2] = np.nan
    assert loses(values)
    assert not loses(np.full((3, 1, 20), np.nan))
    ended = WAVES.copy()
    ended[1, :, 4:] = np.nan
    assert not loses(ended)


def test_the_channel_is_named():
    with pytest.raises(
        ValueError, match=r"X has values up to 1e\+09 in channel 1.*subtract the offset"
    ):
        check_precision(np.concatenate([WAVES, WAVES + 1e9], 1))


def test_beside_training_series_the_series_is_named():
    far = WAVES + np.array([0, 0, 1e9])[:, None, None]
    with pytest.raises(ValueError, match="in series 12, channel 0"):
        check_like_training(far, np.ones((1, 1)), first=10)


@pytest.mark.parametrize("spike", [1e9, -1e9])
def test_a_spike_is_a_signal(spike):
    values = WAVES.copy()
    values[1, 0, 7] = spike
    assert not loses(values[1:2], 1.0)


def test_what_is_small_beside_training_series_may_be_lost():
    assert not loses(1e-6 * WAVES + 1e3, 1.0)
    assert loses(WAVES + 1e9, 1.0)
    assert not loses(WAVES + 1e9, 0.0)  # the channel was constant
