"""Errors of torch for want of memory, which are told as Python's own."""

import pytest
import torch

from skgdpd._runtime.memory import NO_PRIMITIVE, with_memory_errors


@with_memory_errors
def fail(error):
    raise error


def test_what_torch_can_t_have_is_told_in_bytes():
    with pytest.raises(MemoryError, match=r"not enough memory.*could not have 4[0-9]+ bytes more"):
        with_memory_errors(torch.empty)(10**15)


def test_convolutions_without_memory_are_told():
    with pytest.raises(MemoryError, match="a convolution could not have what it needs"):
        fail(RuntimeError(NO_PRIMITIVE))


@pytest.mark.parametrize(
    "error", [RuntimeError(f"{NO_PRIMITIVE} descriptor"), RuntimeError("oh"), ValueError("no")]
)
def test_other_errors_stay_what_they_are(error):
    with pytest.raises(type(error)) as told:
        fail(error)
    assert told.value is error
