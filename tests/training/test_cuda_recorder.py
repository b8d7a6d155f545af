"""The calls that record on CUDA, made to a double of ``torch.cuda``."""

import warnings
from contextlib import contextmanager
from types import SimpleNamespace

import pytest
import torch

from skgdpd.training import capture
from skgdpd.training.capture import CudaRecorder, NotCapturable


class Generator:
    """A generator that a recording which breaks off leaves in it."""

    def __init__(self, state=0):
        self.state, self.stuck = state, False

    def clone_state(self):
        return Generator(self.state)

    def graphsafe_set_state(self, other):
        self.state, self.stuck = other.state, other.stuck


class Cuda:
    """As much of ``torch.cuda`` as a recorder uses, with a log of what happens."""

    def __init__(self):
        self.log = []
        self.now = "main"
        self.mode = 0
        self.default_generators = [Generator()]
        double = self

        class Stream(SimpleNamespace):
            def wait_stream(self, other):
                double.log.append(f"{self.name} waits for {other.name}")

        class CUDAGraph:
            def __init__(self):
                self.generators = []

            def register_generator_state(self, generator):
                self.generators.append(generator)

            def replay(self):
                double.log.append("replay")

        self.main = Stream(name="main")
        self.CUDAGraph = CUDAGraph
        self.Stream = lambda device: Stream(name="side")

    def current_stream(self, device):
        return self.main

    def current_device(self):
        return 0

    @contextmanager
    def device(self, device):
        yield

    @contextmanager
    def stream(self, stream):
        before, self.now = self.now, stream.name
        try:
            yield
        finally:
            self.now = before

    @contextmanager
    def graph(self, graph, stream, capture_error_mode):
        # Torch's own sets the stream and does not set it back where a capture fails.
        self.now = stream.name
        known = [*self.default_generators, *graph.generators]
        for generator in known:
            generator.stuck = True
        try:
            yield
        except BaseException:
            raise RuntimeError("capture failed")  # noqa: B904
        for generator in known:
            generator.stuck = False

    def get_sync_debug_mode(self):
        return self.mode

    def set_sync_debug_mode(self, mode):
        self.mode = mode
        warnings.warn("Synchronization debug mode is a prototype feature", stacklevel=1)


@pytest.fixture
def cuda(monkeypatch):
    double = Cuda()
    monkeypatch.setattr(capture.torch, "cuda", double)
    return double


@pytest.fixture
def recorder(cuda):
    return CudaRecorder(torch.device("cuda:0"))


def test_calls_before_a_recording_run_on_its_stream_and_in_order(cuda, recorder):
    with recorder.aside():
        cuda.log.append(f"runs on {cuda.now}")
    assert cuda.now == "main"
    assert cuda.log == ["side waits for main", "runs on side", "main waits for side"]
    cuda.log.clear()
    with pytest.raises(ZeroDivisionError), recorder.aside():
        raise ZeroDivisionError
    assert cuda.log[-1] == "main waits for side"


def test_a_recording_knows_the_generators(cuda, recorder):
    generator = Generator(7)
    replay = recorder.record(lambda: cuda.log.append(f"runs on {cuda.now}"), [generator])
    assert cuda.now == "main"
    assert replay.__self__.generators == [generator]
    assert not generator.stuck
    replay()
    assert cuda.log == ["runs on side", "replay"]


@pytest.mark.parametrize("error", [ValueError("no such kernel\nmore"), KeyboardInterrupt()])
def test_a_recording_that_breaks_off_leaves_no_trace(cuda, recorder, error):
    generator = Generator(7)

    def function():
        raise error

    expected = NotCapturable if isinstance(error, Exception) else KeyboardInterrupt
    with pytest.raises(expected) as caught:
        recorder.record(function, [generator])
    if expected is NotCapturable:
        assert str(caught.value) == "ValueError: no such kernel"
    assert cuda.now == "main"
    assert not generator.stuck
    assert generator.state == 7
    assert not cuda.default_generators[0].stuck


def test_waiting_is_noticed_and_other_warnings_pass(cuda, recorder):
    cuda.mode = 2

    def watched():
        with recorder.watching() as waits:
            assert cuda.mode == "warn"
            warnings.warn(f"{capture.WAITED} (Triggered internally)", stacklevel=1)
            warnings.warn("something else", stacklevel=1)
        return waits

    with pytest.warns(UserWarning, match="something else"):
        (wait,) = watched()
    assert cuda.mode == 2
    assert wait.startswith(__file__)
    with recorder.watching() as waits:
        pass
    assert waits == []
