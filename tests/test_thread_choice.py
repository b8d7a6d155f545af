"""How many threads a network is run on, and that they are given back."""

import numpy as np
import pytest
import torch

from skgdpd import DiffusionFeaturePrior, GDPDClassifier, PrefixClassifier
from skgdpd._thread_choice import (
    SHARED_A_STEP,
    SHARED_AT_ONCE,
    SHARED_VECTORS,
    chosen_threads,
    shared,
)
from skgdpd.datasets import make_bumps
from skgdpd.nets import make_backbone
from skgdpd.training import keep_threads
from skgdpd.training.net import TermNet

CPU = torch.device("cpu")


@pytest.fixture
def two_threads():
    found = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(found)


def test_small_recurrent_networks_keep_to_one_thread_and_large_batches_are_shared():
    small, wide = make_backbone("lstm2-32", 1, 100), make_backbone("lstm3-100", 1, 100)
    convolutional = make_backbone("fcn", 1, 100)
    assert not shared(small, (16, 1, 100))
    assert shared(small, (64, 1, 100))
    # Steps of a recurrent network can't be run at once: its length is of no account.
    assert not shared(small, (16, 1, 100_000))
    assert not shared(wide, (1, 1, 100))
    assert shared(wide, (16, 1, 100))
    assert shared(convolutional, (1, 1, 100))
    assert not shared(convolutional, (1, 1, 5))


def test_work_is_counted_as_weights_times_rows_times_points():
    linear = torch.nn.Linear(10, 10, bias=False)
    assert shared(linear, (SHARED_VECTORS // 100, 10))
    assert not shared(linear, (SHARED_VECTORS // 100 - 1, 10))
    assert shared(linear, (SHARED_AT_ONCE // 1000, 1, 10))
    recurrent = torch.nn.RNN(5, 5, bias=False)
    assert shared(recurrent, (SHARED_A_STEP // 50, 5, 7))
    assert not shared(recurrent, (SHARED_A_STEP // 50 - 1, 5, 7))


@pytest.mark.usefixtures("two_threads")
def test_threads_are_given_back_also_after_an_error():
    small, large = make_backbone("lstm1-8", 1, 10), make_backbone("fcn", 1, 10)
    with chosen_threads(small, (1, 1, 10), CPU):
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == 2
    with chosen_threads(large, (64, 1, 100), CPU):
        assert torch.get_num_threads() == 2
    with pytest.raises(KeyboardInterrupt), chosen_threads(small, (1, 1, 10), CPU):
        raise KeyboardInterrupt
    assert torch.get_num_threads() == 2


@pytest.mark.usefixtures("two_threads")
def test_nothing_is_chosen_elsewhere_than_on_the_cpu_and_where_it_is_switched_off():
    small = make_backbone("lstm1-8", 1, 10)
    with chosen_threads(small, (1, 1, 10), torch.device("meta")):
        assert torch.get_num_threads() == 2
    with keep_threads(), chosen_threads(small, (1, 1, 10), CPU):
        assert torch.get_num_threads() == 2
    with chosen_threads(small, (1, 1, 10), CPU):
        assert torch.get_num_threads() == 1


class Watching(torch.nn.Module):
    """Counts the threads that it is run on."""

    n_features = 2

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(2))
        self.seen = set()

    def forward(self, x):
        self.seen.add((self.training, torch.get_num_threads()))
        return x[:, 0, :2] * self.weight


@pytest.mark.usefixtures("two_threads")
def test_fits_and_predictions_use_what_is_chosen(bumps):
    X, y = bumps
    clf = PrefixClassifier(lambda c, t: Watching(), max_epochs=1, random_state=0).fit(X, y)
    seen = clf.module_.backbone.seen
    assert (True, 1) in seen
    assert (True, 2) not in seen
    seen.clear()
    clf.predict(X)
    assert seen == {(False, 1)}
    with keep_threads():
        seen = clf.fit(X, y).module_.backbone.seen
    assert (True, 2) in seen
    assert (True, 1) not in seen
    assert torch.get_num_threads() == 2


@pytest.mark.usefixtures("two_threads")
def test_the_choice_is_part_of_no_model(bumps):
    X, y = bumps
    clf = PrefixClassifier("lstm1-8", max_epochs=2, random_state=0)
    first = clf.fit(X, y).predict_proba(X)
    np.testing.assert_array_equal(clf.fit(X, y).predict_proba(X), first)
    with keep_threads():
        np.testing.assert_allclose(clf.fit(X, y).predict_proba(X), first, rtol=1e-3, atol=1e-4)


@pytest.mark.usefixtures("two_threads")
@pytest.mark.parametrize("n", [40, 300])
def test_a_default_fit_on_a_small_set_trains_on_one_thread(n, monkeypatch):
    """Two threads gain nothing there, and beside other programs they cost minutes."""
    counts = []
    make_gradients = TermNet._make_gradients

    def counted(self, batch):
        counts.append(torch.get_num_threads())
        return make_gradients(self, batch)

    monkeypatch.setattr(TermNet, "_make_gradients", counted)
    X, y = make_bumps(n, 60, random_state=0)
    prior = DiffusionFeaturePrior(encoder="autoencoder", degradation="learned-alpha", max_epochs=1)
    GDPDClassifier(prior=prior, max_epochs=2, random_state=0).fit(X, y)
    assert set(counts) == {1}
    assert torch.get_num_threads() == 2
