"""A stand-in for CUDA graphs on the CPU: a tape of operators.

Like a graph it runs no Python when it is replayed, writes to the memory of the recording, draws
from generators as they are at the replay, does nothing while it records, and can't record what
waits for the device or brings numbers from Python.
"""

import traceback
import weakref
from contextlib import contextmanager, nullcontext

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten

from skgdpd.training.capture import NotCapturable

WAITING = {
    "_local_scalar_dense", "equal", "is_nonzero", "nonzero", "masked_select", "unique_dim",
    "_unique2", "unique_consecutive",
}  # fmt: skip
FROM_PYTHON = {"lift_fresh"}
"""``torch.tensor(numbers)``: on CUDA a copy from the host, for which the program waits."""

UNDECLARED = {"native_batch_norm": (3, 4)}
"""Arguments that an operator changes without saying so."""


def tensors(*trees):
    return [leaf for leaf in tree_flatten(trees)[0] if isinstance(leaf, torch.Tensor)]


def storage(tensor):
    return tensor.untyped_storage().data_ptr()


def where():
    """The line of the package that is running."""
    lines = [f for f in traceback.extract_stack() if "/skgdpd/" in f.filename]
    return f"{lines[-1].filename}:{lines[-1].lineno}" if lines else ""


def what_waits(func, args):
    name = func.overloadpacket.__name__
    if name in WAITING | FROM_PYTHON:
        return f"{name} {where()}"
    if name in ("index", "index_put", "index_put_"):
        masks = [i for i in tensors(args[1]) if i.dtype in (torch.bool, torch.uint8)]
        return f"{name} with a mask" if masks else None
    return None


def changed(func, args, kwargs):
    found = []
    for i, argument in enumerate(func._schema.arguments):
        value = args[i] if i < len(args) else kwargs.get(argument.name)
        if argument.alias_info is not None and argument.alias_info.is_write:
            found += tensors(value)
    for i in UNDECLARED.get(func.overloadpacket.__name__, ()):
        found += tensors(args[i])
    return found


class Watch(TorchDispatchMode):
    def __init__(self, found):
        super().__init__()
        self.found = found

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        waits = what_waits(func, args)
        if waits:
            self.found.append(waits)
        return func(*args, **(kwargs or {}))


class Tape(TorchDispatchMode):
    def __init__(self):
        super().__init__()
        self.calls = []
        self.made = set()
        self.before = {}

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        waits = what_waits(func, args)
        if waits:
            raise RuntimeError(f"operation not permitted when stream is capturing: {waits}")
        for tensor in changed(func, args, kwargs):
            if storage(tensor) not in self.made and storage(tensor) not in self.before:
                whole = tensor.detach().as_strided(
                    (len(tensor.untyped_storage()) // tensor.element_size(),), (1,), 0
                )
                self.before[storage(tensor)] = (whole, whole.clone())
        out = func(*args, **kwargs)
        known = {storage(t) for t in tensors(args, kwargs)}
        new = [t for t in tensors(out) if storage(t) not in known]
        self.made.update(map(storage, new))
        # As they are now: an operator may change their shape later.
        written = [t.detach() if storage(t) not in known else None for t in tensors(out)]
        self.calls.append((func, args, kwargs, written, torch.is_grad_enabled()))
        return out

    def undo(self):
        for tensor, content in self.before.values():
            tensor.copy_(content)

    def replay(self):
        with torch._C._AutoDispatchBelowAutograd():
            for func, args, kwargs, written, grad_enabled in self.calls:
                # Some operators keep more for a backward pass.
                with torch.set_grad_enabled(grad_enabled):
                    again = func(*args, **kwargs)
                for old, new in zip(written, tensors(again), strict=True):
                    if old is not None:
                        old.copy_(new)


class TapeRecorder:
    """Records functions on tapes."""

    def __init__(self, blind=False):
        self.n_records = self.n_replays = 0
        self.blind = blind
        self.tapes = []

    def aside(self):
        return nullcontext()

    @contextmanager
    def watching(self):
        found = []
        with nullcontext() if self.blind else Watch(found):
            yield found

    def record(self, function, generators):
        known = [torch.default_generator, *generators]
        states = [generator.get_state() for generator in known]
        tape = Tape()
        try:
            with tape:
                function()
        except Exception as error:
            raise NotCapturable(str(error)) from error
        finally:
            with torch.no_grad():
                tape.undo()
            for generator, state in zip(known, states, strict=True):
                generator.set_state(state)
        self.n_records += 1
        self.tapes.append(weakref.ref(tape))

        def replay():
            self.n_replays += 1
            tape.replay()

        return replay
