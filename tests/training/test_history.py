"""The history of a training: a mapping, and a line that says what happened."""

import pickle
from collections.abc import Mapping

import numpy as np
import pytest

from skgdpd.training import History


@pytest.fixture
def history():
    return History(
        terms={"ce": np.array([3.0, 2.0, 1.0]), "loss": np.array([4.0, 2.5, 1.5])},
        warmup_epochs=1,
        best_epoch=2,
        n_labeled=30,
        n_unlabeled=7,
        n_validation=10,
    )


def test_a_history_is_a_mapping_of_its_terms(history):
    assert isinstance(history, Mapping)
    assert list(history) == ["ce", "loss"]
    assert len(history) == 2
    assert "ce" in history
    assert "hinton" not in history
    assert history.get("hinton") is None
    np.testing.assert_array_equal(history["ce"], [3, 2, 1])
    np.testing.assert_array_equal(dict(history)["loss"], [4, 2.5, 1.5])
    assert [name for name, _ in history.items()] == list(history.keys())
    with pytest.raises(KeyError, match="hinton"):
        history["hinton"]


def test_a_history_cannot_be_assigned_to(history):
    with pytest.raises(TypeError, match="item assignment"):
        history["ce"] = np.zeros(3)


def test_epochs_are_counted(history):
    assert history.n_epochs == 3
    assert History().n_epochs == 0
    assert len(History()) == 0


def test_the_repr_tells_what_happened(history):
    told = repr(history)
    for part in ("3 epochs", "best epoch 2", "30 labelled", "7 unlabelled", "10 validation"):
        assert part in told
    assert "terms: ce, loss" in told
    history.best_epoch = None
    assert "last epoch kept" in repr(history)


def test_a_history_is_pickled_whole(history):
    twin = pickle.loads(pickle.dumps(history))
    assert repr(twin) == repr(history)
    for name in history:
        np.testing.assert_array_equal(twin[name], history[name])


def test_histories_can_be_compared(history):
    twin = pickle.loads(pickle.dumps(history))
    itself = history
    assert history == itself
    # No matter whether by identity or by value: no error about ambiguous arrays.
    assert (history == twin) in (True, False)
    assert history != History()


def test_histories_do_not_share_their_terms():
    one, other = History(), History()
    one.terms["ce"] = np.zeros(2)
    assert len(other) == 0
