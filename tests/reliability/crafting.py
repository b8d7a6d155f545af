"""Damaged and crafted files: flips, cuts, and changes below checksums that fit."""

import contextlib
import copy
import io
import json
import resource
import zipfile
from collections import Counter
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors

from skgdpd._persistence import archive

ROOM = 3 * 2**30
"""Bytes that a hostile file may take beyond what the process has: all of these files are small."""

NUMBERS = [
    0, -1, 1, 2, 3, 7, 10**3, 10**6, 10**8, 10**12, 10**18, 2**63, -(2**63), 10**400, 0.5, 1e300,
    True, None, "", "1", "a" * 1000, [], {}, [[]], [0] * 1000,
]  # fmt: skip
VALUES = [
    *NUMBERS,
    {"type": "float", "value": "nan"},
    {"type": "float", "value": "x"},
    {"type": "tuple", "items": []},
    {"type": "tuple", "items": 3},
    {"type": "dict", "items": [[[], 1]]},
    {"type": "tensor", "name": "nowhere"},
    {"type": "array", "name": "nowhere"},
    {"type": "labels", "dtype": "<U1000000000", "items": ["a", "b"]},
    {"type": "labels", "dtype": "(100000000,)f8", "items": [1, 2]},
    {"type": "labels", "dtype": "object", "items": [[], {}]},
    {"type": "object", "kind": "prefix-classifier"},
    {"type": "object", "kind": "history", "state": {}},
    {"type": "object", "kind": "linear-layer", "state": {"weight": 1, "bias": 2}},
    {"type": "nothing"},
]
PLACES = ["memory", "checkpoint_dir", "device"]


@contextlib.contextmanager
def limited_memory(room=ROOM):
    """Let the process have no more than ``room`` bytes beyond those that it has."""
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (used + room, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def damages(content, n, rng):
    """Yield ``n`` damaged copies of a file: flips, cuts, lost and doubled parts."""
    for i in range(n):
        changed = bytearray(content)
        place = int(rng.integers(len(content)))
        match i % 5:
            case 0 | 1:
                changed[place] ^= 1 << int(rng.integers(8))
            case 2:
                changed[place] = int(rng.integers(256))
            case 3:
                del changed[place:]
            case 4:
                stop = place + int(rng.integers(1, 64))
                if rng.random() < 0.5:
                    del changed[place:stop]
                else:
                    changed[place:place] = changed[place:stop]
        yield bytes(changed)


def unpacked(path):
    """Return the header and the tensors of a model file."""
    with zipfile.ZipFile(path) as file:
        names = file.namelist()
        tensors = next(name for name in names if name != archive.HEADER)
        return json.loads(file.read(archive.HEADER)), load_tensors(file.read(tensors))


def pack(path, header, tensors):
    """Write a model file whose checksums are those of its content, as an attacker would."""
    content = tensors if isinstance(tensors, bytes) else save_tensors(tensors)
    header = copy.deepcopy(header)
    header.pop("checksum", None)
    if isinstance(header.get("tensors"), dict):
        header["tensors"]["sha256"] = archive._digest(content)
    header["checksum"] = archive._checksum(header)
    text = json.dumps(header).encode()
    path.write_bytes(archive._zipped({archive.HEADER: text, "tensors.safetensors": content}))


def crafted(header, tensors, rng):
    """Return a header and tensors with one or two changes that no save makes."""
    header = copy.deepcopy(header)
    for _ in range(1 + int(rng.random() < 0.3)):
        if rng.random() < 0.65:
            change_header(header, rng)
        else:
            tensors = changed_tensors(tensors, rng)
    return header, tensors


def places_in(data):
    """Return all containers and keys below a value of JSON."""
    found = []
    keys = data if isinstance(data, dict) else range(len(data)) if isinstance(data, list) else ()
    for key in keys:
        found.append((data, key))
        found += places_in(data[key])
    return found


def change_header(header, rng):
    places = places_in(header["model"])
    if not places:
        return
    container, key = places[rng.integers(len(places))]
    match int(rng.integers(6)):
        case 0 | 1 | 2:
            container[key] = copy.deepcopy(VALUES[rng.integers(len(VALUES))])
        case 3:
            del container[key]
        case 4:  # what stands elsewhere
            other, name = places[rng.integers(len(places))]
            container[key] = copy.deepcopy(other[name])
        case 5:
            if isinstance(container, dict):
                container[PLACES[rng.integers(3)]] = "/etc"
            else:
                container.append(copy.deepcopy(container[key]))


def changed_tensors(tensors, rng):
    tensors = dict(tensors)
    if not tensors:
        return tensors
    name = sorted(tensors)[rng.integers(len(tensors))]
    tensor = tensors[name]
    match int(rng.integers(9)):
        case 0:
            del tensors[name]
        case 1:
            tensors[name] = tensor.flatten()
        case 2:
            tensors[name] = tensor[None].clone()
        case 3:
            tensors[name] = tensor[:0].clone() if tensor.ndim else tensor[None].clone()
        case 4:
            tensors[name] = torch.zeros(0, 10 ** int(rng.integers(1, 10)), dtype=tensor.dtype)
        case 5:
            kinds = [torch.float16, torch.float64, torch.int64, torch.bool, torch.bfloat16]
            tensors[name] = tensor.to(kinds[rng.integers(len(kinds))])
        case 6:
            low, high = (-(2**31), 2**31) if not tensor.is_floating_point() else (-1000, 1000)
            numbers = rng.integers(low, high, size=tuple(tensor.shape))
            tensors[name] = torch.from_numpy(np.asarray(numbers)).to(tensor.dtype)
        case 7:
            tensors[name] = torch.zeros_like(tensor)
        case 8:
            other = sorted(tensors)[rng.integers(len(tensors))]
            tensors[name] = tensors[other].clone()
    return tensors


def outcomes(contents, path, open_, check):
    """Open files one after the other; return how often each thing happened.

    ``check`` is called with what was opened. Whatever ``open_`` raises but its one error comes
    through.
    """
    found = Counter()
    for content in contents:
        path.write_bytes(content)
        try:
            opened = open_(path)
        except archive.ModelFileError as error:
            if str(path) not in str(error) or "alloc" in str(error):
                raise  # the file is named, and nothing of that size was tried
            found["refused"] += 1
        else:
            found[check(opened)] += 1
    return found


def packed(pairs):
    """Yield the content of model files with these headers and tensors."""
    for header, tensors in pairs:
        buffer = Buffer()
        pack(buffer, header, tensors)
        yield buffer.content


class Buffer:
    """A place that takes the content of a file."""

    def write_bytes(self, content):
        self.content = content


def zipped(members, compression=zipfile.ZIP_STORED):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as file:
        for name, content in members.items():
            file.writestr(name, content)
    return buffer.getvalue()
