"""Model files of flows that claim more than they hold."""

import crafting
import numpy as np
import pytest
import torch

from skgdpd import DiffusionFeaturePrior, ModelFileError, load

CLAIMS = {
    "width": {"n_features": 10**6},
    "no width": {"n_features": "three"},
    "name": {"dynamics": "bridge"},
    "no name": {"dynamics": ["flow"]},
    "no weights": {"weights": {}},
}


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    path = tmp_path_factory.mktemp("flow") / "model"
    Z = np.random.default_rng(0).normal(size=(20, 3))
    DiffusionFeaturePrior(dynamics="flow-map", max_epochs=1, random_state=0).fit(Z).save(path)
    return path


@pytest.mark.parametrize("claim", CLAIMS)
def test_a_flow_that_does_not_fit_its_file_is_refused(saved, tmp_path, claim):
    header, tensors = crafting.unpacked(saved)
    header["model"]["state"]["latent_"]["state"].update(CLAIMS[claim])
    crafting.pack(tmp_path / "model", header, tensors)
    with (
        crafting.limited_memory(2**28),
        pytest.raises(ModelFileError, match="can't be opened"),
    ):
        load(tmp_path / "model")


@pytest.mark.parametrize(
    "change",
    [
        lambda t: torch.zeros(0, 10**9, dtype=t.dtype),
        lambda t: t.to(torch.bool),
        lambda t: t[None],
    ],
    ids=["empty", "boolean", "deep"],
)
def test_weights_of_a_flow_of_another_shape_or_type_are_refused(saved, tmp_path, change):
    header, tensors = crafting.unpacked(saved)
    for key in [key for key in tensors if key.startswith("latent_.weights")]:
        crafting.pack(tmp_path / "model", header, {**tensors, key: change(tensors[key])})
        with crafting.limited_memory(), pytest.raises(ModelFileError):
            load(tmp_path / "model")
