"""Time the ways to compute a convolution, and training steps with the chosen way."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from ratios import take_turns
from skgdpd import config_context
from skgdpd._runtime.config import ConvolutionMethod
from skgdpd.nets import make_backbone
from skgdpd.nets.layers import SameConv1d, as_image
from skgdpd.nets.student import SeriesNet

BATCH_SIZE = 64
LENGTHS = (30, 100, 500)
LAYERS = (
    (32, 32, 39),
    (32, 32, 19),
    (32, 32, 9),
    (1, 32, 39),
    (64, 128, 8),
    (128, 256, 5),
    (128, 32, 1),
)
"""Input channels, output channels and taps of layers that occur in the backbones."""

METHODS: tuple[ConvolutionMethod, ...] = ("direct", "frequency", "auto")


def convolution_tables(backbones: Sequence[str], repeats: int) -> str:
    """Time layers against torch's ``conv1d``, and training steps against direct convolutions.

    With one thread the processor's time is measured, which other programs disturb less.

    Parameters
    ----------
    backbones : sequence of str
        Names of the backbones whose training steps are timed.
    repeats : int
        Number of rounds; the median counts.

    Returns
    -------
    str
        Two Markdown tables. The first is of layers, forward and backward: the milliseconds of
        ``conv1d`` on ``(n, c, t)``, and how many times faster the package's ways are. The second
        is of backbones: the milliseconds of a training step with direct convolutions in
        channels-last memory, and how many times faster it is with the chosen way.
    """
    clock = time.process_time if torch.get_num_threads() == 1 else time.perf_counter
    lines = [
        "| layer | length | conv1d (ms) | channels-last | spectra | chosen |",
        "|---|---|---|---|---|---|",
    ]
    for n_in, n_out, n_taps in LAYERS:
        for length in LENGTHS:
            times = take_turns(_layer_programs(n_in, n_out, n_taps, length), repeats, clock)
            baseline, *ratios = times.values()
            cells = " | ".join(f"{ratio:.1f} x" for ratio in ratios)
            lines.append(
                f"| {n_in} to {n_out}, {n_taps} taps | {length} | {baseline:.1f} | {cells} |"
            )
    lines += ["", "| backbone | length | direct (ms) | chosen |", "|---|---|---|---|"]
    for name in backbones:
        for length in LENGTHS:
            times = take_turns(_step_programs(name, length), repeats, clock)
            lines.append(
                f"| `{name}` | {length} | {times['direct']:.1f} | {times['auto']:.2f} x |"
            )
    return "\n".join(lines)


def _layer_programs(
    n_in: int, n_out: int, n_taps: int, length: int
) -> dict[str, Callable[[], object]]:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(BATCH_SIZE, n_in, length, generator=generator).requires_grad_()
    upstream = torch.randn(BATCH_SIZE, n_out, length, generator=generator)
    layer = SameConv1d(n_in, n_out, n_taps)
    weight = layer.weight.detach().contiguous().requires_grad_()
    image = as_image(x.detach()).requires_grad_()
    upstream_image = as_image(upstream)
    padding = (n_taps - 1) // 2, n_taps // 2

    def eager() -> tuple[Tensor, ...]:
        even = padding[0] == padding[1]
        out = F.conv1d(x if even else F.pad(x, padding), weight, padding=padding[0] if even else 0)
        return torch.autograd.grad(out, (x, weight), upstream)

    def ours(method: ConvolutionMethod) -> tuple[Tensor, ...]:
        with config_context(convolution_method=method):
            out = layer(image)
        return torch.autograd.grad(out, (image, layer.weight), upstream_image)

    return {"eager": eager, **{method: partial(ours, method) for method in METHODS}}


def _step_programs(backbone: str, length: int) -> dict[str, Callable[[], object]]:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(BATCH_SIZE, 1, length, generator=generator)
    y = torch.arange(BATCH_SIZE) % 4
    net = SeriesNet(make_backbone(backbone, 1, length), 4)
    optimizer = torch.optim.AdamW(net.parameters(), fused=True)

    def step(method: ConvolutionMethod) -> None:
        with config_context(convolution_method=method):
            optimizer.zero_grad()
            F.cross_entropy(net(x).logits, y).backward()
            optimizer.step()

    return {"direct": lambda: step("direct"), "auto": lambda: step("auto")}
