"""Places of the series of a session: changes that are undone leave no trace."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from skgdpd._early.slots import Slots

STEPS = st.lists(st.tuples(st.sampled_from(["add", "remove", "set"]), st.integers(0, 9)))


def content(slots):
    """Ids in their order with their values."""
    return [(id_, slots["value"][row].tolist()) for id_, row in slots.places.items()]


def apply(slots, steps):
    for what, id_ in steps:
        if what == "add" and id_ not in slots.places:
            slots.add([id_])
        elif id_ in slots.places:
            if what == "remove":
                slots.remove(id_)
            else:
                rows = slots.of([id_])
                slots.set("value", rows, slots["value"][rows] + 1)


@given(kept=STEPS, undone=STEPS, more=STEPS)
def test_what_is_undone_leaves_no_trace(kept, undone, more):
    slots, other = (Slots({"value": np.zeros((1, 2))}) for _ in range(2))
    apply(slots, kept)
    slots.keep()
    apply(other, kept)
    other.keep()
    apply(slots, undone)
    slots.undo()
    assert content(slots) == content(other)
    apply(slots, more)
    apply(other, more)
    assert content(slots) == content(other)
    assert len(set(slots.places.values())) == len(slots)
    assert not set(slots.places.values()) & set(slots._free)
    assert len(slots) + len(slots._free) == len(slots["value"])


@given(kept=STEPS, id_=st.integers(0, 9))
def test_what_is_forgotten_frees_its_place(kept, id_):
    slots = Slots({"value": np.zeros((1, 2))})
    apply(slots, kept)
    slots.keep()
    if id_ in slots.places:
        slots.forget(id_)
    slots.undo()
    assert id_ not in slots.places
