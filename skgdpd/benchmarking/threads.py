"""What torch's threads gain or cost, and whether the right number of them is chosen."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F

from .._thread_choice import shared
from .._threads import torch_threads
from ..nets import make_backbone
from ..nets.student import StudentNet
from ._ratios import take_turns

SHAPES = ((1, 30), (1, 100), (16, 30), (16, 100), (64, 30), (64, 100))
RUNS = 3
"""Runs in a row: the first after a change of threads is slower."""


def thread_table(backbones: Sequence[str], repeats: int) -> str:
    """Time training steps and forward passes on one thread, on two, and on all.

    Parameters
    ----------
    backbones : sequence of str
        Names.
    repeats : int
        Rounds.

    Returns
    -------
    str
        A Markdown table: milliseconds on one thread, how many times faster it is on two and on
        as many as torch is set to, and how many times faster the chosen number is than the best.
    """
    counts = sorted({1, 2, torch.get_num_threads()})
    heads = " | ".join(f"{count} threads" for count in counts[1:])
    lines = [
        f"| backbone | series | length | what | 1 thread (ms) | {heads} | chosen, of the best |",
        "|---" * (6 + len(counts[1:])) + "|",
    ]
    for name in backbones:
        for n, length in SHAPES:
            net = StudentNet(make_backbone(name, 1, length), 4)
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


def _programs(net: StudentNet, n: int, length: int) -> dict[str, Callable[[], None]]:
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
