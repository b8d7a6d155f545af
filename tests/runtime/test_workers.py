"""Two processes on the parts of each batch do what one does on the whole."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.base import clone

from skgdpd import (
    DiffusionFeaturePrior,
    DistilledPrefixClassifier,
    GDPDClassifier,
    PrefixClassifier,
    config_context,
)
from skgdpd.datasets import make_bumps
from skgdpd.distillers import GroupReweighting, InfluenceWeights

COMMON = {"max_epochs": 4, "batch_size": 16, "earliness": 0.5, "random_state": 0, "device": "cpu"}
PRIOR = DiffusionFeaturePrior(degradation="linear-gaussian", max_epochs=2)
CLASSIFIERS = {
    "recurrent": PrefixClassifier("lstm1-8", **COMMON),
    "normalised": PrefixClassifier("fcn", **COMMON),
    "taught": DistilledPrefixClassifier(student="fcn", teacher="resnet", **COMMON),
    "by groups": DistilledPrefixClassifier(GroupReweighting(), student="lstm1-8", **COMMON),
    "by influence": DistilledPrefixClassifier(
        InfluenceWeights(refresh_every=1), student="lstm1-8", **COMMON
    ),
    "one batch": PrefixClassifier("fcn", **{**COMMON, "batch_size": 64}),
    "gdpd": GDPDClassifier(student="fcn", prior=PRIOR, warmup_epochs=1, **COMMON),
}
RANDOM = {"gdpd"}
"""What draws noise, of which processes have each their own."""


def data():
    # 56 train: batches of 14 are shared evenly, and with 59 unevenly.
    X, y = make_bumps(70 + 4, 30, noise=0.3, random_state=0)
    return X, y


def outcome(clf):
    X, y = data()
    clf = clone(clf).fit(X, y)
    return {
        "history": {name: values.tolist() for name, values in clf.history_.items()},
        "probabilities": clf.predict_proba(X).tolist(),
    }


def work(rank, folder):
    import torch.distributed as dist

    meeting = f"file://{folder}/meeting"
    dist.init_process_group("gloo", init_method=meeting, rank=rank, world_size=2)
    with config_context(data_parallel=True):
        found = {name: outcome(clf) for name, clf in CLASSIFIERS.items()}
    Path(folder, f"{rank}.json").write_text(json.dumps(found))
    dist.destroy_process_group()


@pytest.mark.slow
def test_two_processes_have_the_losses_of_one(tmp_path):
    command = [sys.executable, __file__]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
    running = [
        subprocess.Popen([*command, str(rank), str(tmp_path)], env=environment) for rank in (0, 1)
    ]
    assert [process.wait(timeout=500) for process in running] == [0, 0]
    first, second = (json.loads((tmp_path / f"{rank}.json").read_text()) for rank in (0, 1))
    for name, clf in CLASSIFIERS.items():
        assert first[name] == second[name], "all processes end with the same network"
        alone = outcome(clf)
        for term, values in alone["history"].items():
            shared = first[name]["history"][term]
            assert np.isfinite(shared).all()
            if name not in RANDOM:
                np.testing.assert_allclose(shared, values, rtol=1e-4, atol=1e-5, err_msg=term)
        if name not in RANDOM:
            np.testing.assert_allclose(
                first[name]["probabilities"], alone["probabilities"], atol=1e-3
            )


def test_without_processes_it_says_what_to_do():
    with (
        pytest.raises(RuntimeError, match="start them with torchrun"),
        config_context(data_parallel=True),
    ):
        pass


def test_batches_too_small_to_share_are_refused(tmp_path):
    import torch.distributed as dist

    from skgdpd._runtime.workers import is_shared, own_part

    store = dist.HashStore()
    dist.init_process_group("gloo", store=store, rank=0, world_size=1)
    try:
        with config_context(data_parallel=True):
            assert is_shared()
            assert len(own_part(torch.arange(3))) == 3
            with pytest.raises(ValueError, match="a batch of 0 series can't be shared by 1"):
                own_part(torch.arange(0))
            alone = PrefixClassifier("fcn", **COMMON).fit(*data())
    finally:
        dist.destroy_process_group()
    assert not is_shared()
    usual = PrefixClassifier("fcn", **COMMON).fit(*data())
    np.testing.assert_allclose(alone.history_["loss"], usual.history_["loss"], rtol=1e-4)


if __name__ == "__main__":
    work(int(sys.argv[1]), sys.argv[2])
