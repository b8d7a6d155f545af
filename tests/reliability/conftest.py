"""What the tests of reliability have in common."""

import signal

import pytest


@pytest.fixture(autouse=True)
def heeded_interrupts():
    """Heed interrupts, which a shell lets its background ignore, and programs started there."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
