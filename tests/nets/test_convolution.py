"""Every way to compute a convolution gives torch's numbers, and the choice can be made by hand."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from skgdpd import config_context
from skgdpd.nets import make_backbone
from skgdpd.nets.convolution import fastest_method, same_convolution
from skgdpd.nets.frequency import Shape, cheapest_plan, convolve_spectra, transforms
from skgdpd.nets.layers import SameConv1d, as_image


def random(*shape, seed=0, dtype=torch.float32):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def value_and_gradients(method, x, weight, bias, upstream):
    inputs = [tensor.clone().requires_grad_() for tensor in (x, weight, bias)]
    with config_context(convolution_method=method):
        out = same_convolution(as_image(inputs[0]), *inputs[1:])[:, :, 0]
    return out, *torch.autograd.grad(out, inputs, upstream)


def torchs(x, weight, bias, upstream):
    inputs = [tensor.clone().requires_grad_() for tensor in (x, weight, bias)]
    n_taps = weight.shape[-1]
    padded = F.pad(inputs[0], ((n_taps - 1) // 2, n_taps // 2))
    out = F.conv1d(padded, inputs[1], inputs[2])
    return out, *torch.autograd.grad(out, inputs, upstream)


def arguments(n, n_in, n_out, n_timepoints, n_taps, dtype, seed=0):
    return (
        random(n, n_in, n_timepoints, seed=seed, dtype=dtype),
        random(n_out, n_in, n_taps, seed=seed + 1, dtype=dtype) / (n_in * n_taps) ** 0.5,
        random(n_out, seed=seed + 2, dtype=dtype),
        random(n, n_out, n_timepoints, seed=seed + 3, dtype=dtype),
    )


@settings(deadline=None, max_examples=80)
@given(
    n_taps=st.integers(1, 41),
    n_timepoints=st.one_of(st.integers(1, 30), st.sampled_from([65, 129, 300])),
    n_in=st.integers(1, 3),
    n_out=st.integers(1, 3),
    method=st.sampled_from(["auto", "direct", "frequency"]),
    seed=st.integers(0, 1000),
)
def test_values_and_gradients_are_torchs(n_taps, n_timepoints, n_in, n_out, method, seed):
    given_ = arguments(2, n_in, n_out, n_timepoints, n_taps, torch.float64, seed)
    for ours, theirs in zip(value_and_gradients(method, *given_), torchs(*given_), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-11)


@pytest.mark.parametrize("n_timepoints", [12, 30, 100, 250])
@pytest.mark.parametrize(
    ("n_in", "n_out", "n_taps"), [(32, 32, 39), (32, 32, 19), (64, 128, 8), (32, 32, 1)]
)
def test_single_precision_is_as_exact_as_torchs(n_timepoints, n_in, n_out, n_taps):
    given_ = arguments(32, n_in, n_out, n_timepoints, n_taps, torch.float32)
    exact = torchs(*(tensor.double() for tensor in given_))
    ours = value_and_gradients("frequency", *given_)
    for result, truth in zip(ours, exact, strict=True):
        assert (result - truth).abs().max() < 1e-5 * truth.abs().max()
        assert (result - truth).norm() < 1e-6 * truth.norm()


@pytest.mark.parametrize("name", ["inception", "inception55-32", "resnet", "fcn"])
def test_a_network_computes_the_same_however_it_convolves(name):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        backbone = make_backbone(name, 2, 60).double()
    x, results = random(40, 2, 60, dtype=torch.float64), {}
    for method in ("direct", "auto", "frequency"):
        backbone.zero_grad()
        with config_context(convolution_method=method):
            features = backbone(x)
        features.square().sum().backward()
        gradients = [p.grad.clone() for p in backbone.parameters() if p.grad is not None]
        results[method] = [features.detach(), *gradients]
    for method in ("auto", "frequency"):
        for ours, theirs in zip(results[method], results["direct"], strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-7, atol=1e-7)


def test_tiles_give_what_whole_series_give():
    x, weight = random(3, 300, 4, dtype=torch.float64), random(5, 4, 39, dtype=torch.float64)
    tiled = cheapest_plan(3, 4, 5, 300, 39, 19)
    whole = tiled._replace(n_tiles=1, shape=Shape(300, 300, 39, 19))
    assert tiled.n_tiles > 1
    assert tiled.multiplications < whole.shape.multiplications(3, 4, 5)
    torch.testing.assert_close(
        convolve_spectra(x, weight, 19, tiled), convolve_spectra(x, weight, 19, whole)
    )


def test_a_circular_convolution_of_an_impulse_is_the_kernel():
    kernel = random(1, 1, 5, dtype=torch.float64)
    impulse = torch.zeros(1, 9, 1, dtype=torch.float64)
    impulse[0, 4] = 1
    out = convolve_spectra(impulse, kernel, 2, cheapest_plan(1, 1, 1, 9, 5, 2))
    expected = F.pad(kernel.flip(-1), (2, 2)).reshape(1, 9, 1)
    torch.testing.assert_close(out, expected)


def test_the_transforms_are_torchs():
    shape = Shape(8, 8, 5, 2)
    forward, _, inverse = transforms(shape, torch.float64, torch.device("cpu"))
    x = random(8, dtype=torch.float64)
    spectrum = (forward @ x).reshape(-1, 2)
    theirs = torch.fft.rfft(x, shape.period)
    torch.testing.assert_close(torch.complex(*spectrum.unbind(1)), theirs)
    torch.testing.assert_close(inverse @ spectrum.t().reshape(-1), x)


def test_gradients_of_gradients_and_batches_of_weights_work():
    x, weight, _, _ = arguments(2, 2, 3, 12, 7, torch.float64)
    x.requires_grad_()
    weight.requires_grad_()
    with config_context(convolution_method="frequency"):
        assert torch.autograd.gradgradcheck(
            lambda x, w: same_convolution(as_image(x), w, None).square(), (x, weight)
        )
        weights = random(4, 3, 2, 7, dtype=torch.float64)
        together = torch.func.vmap(lambda w: same_convolution(as_image(x), w, None))(weights)
        apart = [same_convolution(as_image(x), w, None) for w in weights]
    torch.testing.assert_close(together, torch.stack(apart))


def test_tables_made_in_inference_mode_serve_training_afterwards():
    transforms.cache_clear()
    x, weight, bias, upstream = arguments(4, 2, 3, 20, 9, torch.float32)
    with torch.inference_mode(), config_context(convolution_method="frequency"):
        same_convolution(as_image(x), weight, bias)
    for gradient in value_and_gradients("frequency", x, weight, bias, upstream)[1:]:
        assert torch.isfinite(gradient).all()


def test_results_are_images_in_channels_last_memory():
    x, weight, bias, _ = arguments(8, 4, 6, 300, 39, torch.float32)
    for method in ("direct", "frequency"):
        with config_context(convolution_method=method):
            out = same_convolution(as_image(x), weight, bias)
        assert out.shape == (8, 6, 1, 300)
        assert out.transpose(1, 3).stride(-1) == 1


# The choice


def test_long_kernels_on_few_channels_go_through_the_spectrum_and_others_do_not():
    assert fastest_method(64, 32, 32, 100, 39, 19) == "frequency"
    assert fastest_method(64, 32, 32, 30, 39, 19) == "frequency"
    assert fastest_method(64, 32, 32, 100, 3, 1) == "direct"
    assert fastest_method(64, 1, 32, 100, 39, 19) == "direct"
    # One series: the kernels' spectra would cost more than they save.
    assert fastest_method(1, 32, 32, 100, 39, 19) == "direct"
    assert fastest_method(64, 32, 32, 100, 1, 0) == "frequency"


def used(monkeypatch, function):
    """Whether a function goes through the spectrum."""
    calls = []

    def spy(*args):
        calls.append(args)
        return convolve_spectra(*args)

    monkeypatch.setattr("skgdpd.nets.convolution.convolve_spectra", spy)
    function()
    return bool(calls)


@pytest.fixture
def layer():
    return SameConv1d(32, 32, 39)


def test_the_method_is_chosen_within_the_block_only(monkeypatch, layer):
    image = as_image(random(64, 32, 60))
    assert used(monkeypatch, lambda: layer(image))
    with config_context(convolution_method="direct"):
        assert not used(monkeypatch, lambda: layer(image))
        with config_context(convolution_method="auto"):
            assert used(monkeypatch, lambda: layer(image))
        assert not used(monkeypatch, lambda: layer(image))
    assert used(monkeypatch, lambda: layer(image))


def test_half_precision_and_exported_programs_are_left_to_torch(monkeypatch, layer):
    image = as_image(random(64, 32, 60))

    def autocast():
        with torch.autocast("cpu", torch.bfloat16):
            layer(image)

    assert not used(monkeypatch, autocast)
    assert not used(monkeypatch, lambda: layer.bfloat16()(image.bfloat16()))
    program = torch.export.export(layer.float(), (image,))
    targets = {str(node.target) for node in program.graph.nodes}
    assert any("conv" in target for target in targets)
    assert not any("bmm" in target for target in targets)


def test_a_layer_compiles_in_one_piece(layer):
    image = as_image(random(64, 32, 60))
    compiled = torch.compile(layer, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(image), layer(image), rtol=1e-4, atol=1e-5)
