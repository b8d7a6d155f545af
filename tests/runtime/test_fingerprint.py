"""Fingerprints: equal for equal values, in any process, and for these only."""

import copy
import importlib
import linecache
import subprocess
import sys
from types import ModuleType

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from skgdpd import DiffusionFeaturePrior
from skgdpd._runtime.fingerprint import fingerprint
from skgdpd.nets import available_backbones, make_backbone

PROGRAM = """
import torch
from skgdpd import DiffusionFeaturePrior
from skgdpd._runtime.fingerprint import fingerprint
from skgdpd.nets import make_backbone
torch.manual_seed(0)
net = make_backbone("inception", 1, 20)
print(fingerprint(net, DiffusionFeaturePrior(lr=0.5), {"b": torch.arange(3), "a": {1, 2}}))
"""


def test_another_process_finds_the_same():
    other = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, check=True, text=True
    )
    torch.manual_seed(0)
    net = make_backbone("inception", 1, 20)
    parts = {"b": torch.arange(3), "a": {1, 2}}
    assert fingerprint(net, DiffusionFeaturePrior(lr=0.5), parts) == other.stdout.strip()


@given(hnp.arrays(np.float32, hnp.array_shapes(max_dims=3, max_side=4)))
def test_tensors_count_by_value_shape_and_type(array):
    tensor = torch.from_numpy(array)
    assert fingerprint(tensor) == fingerprint(tensor.clone())
    assert fingerprint(tensor) != fingerprint(tensor.double())
    assert fingerprint(tensor) != fingerprint(tensor[None])
    assert fingerprint(tensor) != fingerprint((tensor.view(torch.int32) ^ 1).view(torch.float32))


@given(st.permutations(range(6)))
def test_memory_order_does_not_count(order):
    tensor = torch.randn(2, 3, 4)
    turned = tensor.transpose(0, 2).contiguous().transpose(0, 2)
    assert turned.stride() != tensor.stride()
    assert fingerprint(tensor) == fingerprint(turned)
    rows = torch.arange(6)
    assert (fingerprint(rows) == fingerprint(rows[list(order)])) == (order == sorted(order))


@pytest.mark.parametrize("name", available_backbones())
def test_one_weight_changes_a_network(name):
    net = make_backbone(name, 1, 20)
    same, other = copy.deepcopy(net), copy.deepcopy(net)
    with torch.no_grad():
        next(other.parameters()).view(-1)[0] += 1
    assert fingerprint(net) == fingerprint(same) != fingerprint(other)


def test_settings_without_weights_count_too():
    assert fingerprint(torch.nn.Dropout(0.1)) != fingerprint(torch.nn.Dropout(0.2))
    assert fingerprint(torch.nn.ReLU()) != fingerprint(torch.nn.GELU())


OWN_CODE = """
class Own:
    def answer(self):
        return {0}

def make():
    return {0}
"""


def test_the_code_of_ones_own_classes_and_functions_counts(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    file, found = tmp_path / "fingerprinted_module.py", []
    for number in (1, 1, 2):
        file.write_text(OWN_CODE.format(number))
        sys.modules.pop("fingerprinted_module", None)
        importlib.invalidate_caches()
        own = importlib.import_module("fingerprinted_module")
        found.append((fingerprint(own.Own()), fingerprint(own.make)))
    sys.modules.pop("fingerprinted_module")
    assert found[0] == found[1]
    assert found[0][0] != found[2][0]
    assert found[0][1] != found[2][1]


def test_the_code_of_a_cell_of_a_notebook_counts(monkeypatch):
    found = []
    for number in (1, 1, 2):
        code, name = OWN_CODE.format(number), f"<cell {len(found)}>"
        lines = code.splitlines(keepends=True)
        monkeypatch.setitem(linecache.cache, name, (len(code), None, lines, name))
        cell = ModuleType("fingerprinted_cell")
        monkeypatch.setitem(sys.modules, cell.__name__, cell)
        exec(compile(code, name, "exec"), vars(cell))
        found.append((fingerprint(cell.Own()), fingerprint(cell.make)))
    assert found[0] == found[1]
    assert found[0][0] != found[2][0]
    assert found[0][1] != found[2][1]
