"""Numbers below the normal ones, with which processors are slow."""

import threading

import numpy as np
import pytest
import torch

from skgdpd import PrefixClassifier
from skgdpd._runtime.denormals import flushed_denormals, flushes_denormals
from skgdpd.nets import make_backbone

TINY = torch.finfo(torch.float32).tiny
pytestmark = pytest.mark.skipif(
    not torch.set_flush_denormal(False), reason="this processor keeps such numbers"
)


def halved(value):
    return (torch.full((1000,), value) / 2).unique().item()


@pytest.mark.parametrize("found", [False, True])
def test_within_the_block_they_are_zero_and_after_it_all_is_as_found(found):
    torch.set_flush_denormal(found)
    try:
        with flushed_denormals():
            assert halved(TINY) == 0
            assert halved(2 * TINY) == TINY
        assert flushes_denormals() == found
        with pytest.raises(KeyError), flushed_denormals():
            raise KeyError
        assert flushes_denormals() == found
        assert halved(TINY) == (0 if found else TINY / 2)
    finally:
        torch.set_flush_denormal(False)


def test_other_threads_see_nothing_of_it():
    seen = []
    with flushed_denormals():
        started, looked = threading.Event(), threading.Event()

        def look():
            started.wait()
            torch.set_flush_denormal(False)
            seen.append(flushes_denormals())
            looked.set()

        thread = threading.Thread(target=look)
        thread.start()
        started.set()
        looked.wait()
        thread.join()
        assert flushes_denormals()
    assert seen == [False]


class Watching(torch.nn.Module):
    """A backbone that notes how numbers are taken while it is trained."""

    def __init__(self):
        super().__init__()
        self.inner = make_backbone("lstm1-8", 1, 10)
        self.n_features = self.inner.n_features
        self.seen = set()

    def forward(self, x, lengths=None):
        if self.training:
            self.seen.add(flushes_denormals())
        return self.inner(x, lengths)


def data():
    y = np.tile([0, 1], 10)
    return np.random.default_rng(0).normal(size=(20, 1, 20)) + y[:, None, None], y


def test_networks_train_without_them_and_leave_the_setting():
    X, y = data()
    clf = PrefixClassifier(student=Watching(), max_epochs=2, random_state=0).fit(X, y)
    assert clf.module_.backbone.seen == {True}
    assert not flushes_denormals()
