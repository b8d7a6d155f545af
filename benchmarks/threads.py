"""Time small networks on one thread, on several threads, and on the chosen number of threads."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F

from ratios import take_turns
from skgdpd._runtime.threads import shared, torch_threads
from skgdpd.nets import make_backbone
from skgdpd.nets.student import SeriesNet

SHAPES = ((1, 30), (1, 100), (16, 30), (16, 100), (64, 30), (64, 100))
RUNS = 3
"""Number of runs in a row. The first run after a change of threads is slower."""


def thread_table(backbones: Sequence[str], repeats: int) -> str:
    """Time training steps and forward passes on one thread, on two, and on all.

    Parameters
    ----------
    backbones : sequence of str
        Names of the backbones.
    repeats : int
        Number of rounds; the median counts.

    Returns
    -------
    str
        A Markdown table: the milliseconds on one thread; how many times faster the program is on
        two threads and on as many as torch is set to; and the speed with the chosen number as a
        share of the best.
    """
    counts = sorted({1, 2, torch.get_num_threads()})
    heads = " | ".join(f"{count} threads" for count in counts[1:])
    lines = [
        f"| backbone | series | length | what | 1 thread (ms) | {heads} | chosen, of the best |",
        "|---" * (6 + len(counts[1:])) + "|",
    ]
    for name in backbones:
        for n, length in SHAPES:
            net = SeriesNet(make_backbone(name, 1, length), 4)
            for what, program in _programs(net, n, length).items():
                times = take_turns({str(count): _on(count, program) for count in counts}, repeats)
                baseline, *gains = times.values()
                baseline /= RUNS
                chosen = gains[-1] if shared(net, (n, 1, length)) else 1.0
                cells = " | ".join(f"{gain:.2f} x" for gain in gains)
                lines.append(
                    f"| `{name}` | {n} | {length} | {what} | {baseline:.2f} | {cells} | "
                    f"{chosen / max(1.0, *gains):.2f} x |"
                )
    return "\n".join(lines)


def _programs(net: SeriesNet, n: int, length: int) -> dict[str, Callable[[], None]]:
    x = torch.randn(n, 1, length, generator=torch.Generator().manual_seed(0))
    y = torch.arange(n) % 4
    optimizer = torch.optim.AdamW(net.parameters(), fused=True)

    def step() -> None:
        net.train()
        optimizer.zero_grad()
        F.cross_entropy(net(x).logits, y).backward()
        optimizer.step()

    def forward() -> None:
        net.eval()
        with torch.inference_mode():
            net(x)

    return {"forward": forward} if n == 1 else {"step": step, "forward": forward}


def _on(n_threads: int, program: Callable[[], None]) -> Callable[[], None]:
    def run() -> None:
        with torch_threads(n_threads):
            for _ in range(RUNS):
                program()

    return run
