"""Time an Adam step for many students in one tensor, against torch's fused AdamW.

    python benchmarks/batched_adam.py

Students have different learning rates, so torch's optimiser needs a parameter group for each
student. The program prints how many times as long it takes, for several numbers of weights and of
students. Both programs alternate on one thread.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import torch

from skgdpd._model_selection.batched.runs import BatchedAdam

N_WEIGHTS = (370, 3000, 12994)
"""Numbers of weights of a student: ``lstm1-8``, one between, ``lstm2-32``."""
N_STUDENTS = (4, 8, 24, 64)
N_STEPS, N_PAIRS = 20, 15


def seconds(step: Callable[[], None]) -> float:
    """Return the seconds that some steps take."""
    start = time.perf_counter()
    for _ in range(N_STEPS):
        step()
    return time.perf_counter() - start


def compare(n_students: int, n_weights: int) -> tuple[float, float]:
    """Return the median ratio of torch's time to ours, and our microseconds a step."""
    weights, gradients = torch.randn(2, n_students, n_weights).unbind()
    decay = torch.full((n_students, 1), 1e-2, dtype=torch.float64)
    lr = torch.full((n_students, 1), 1e-3, dtype=torch.float64)
    own = BatchedAdam(weights, decay, decoupled=True)
    rows = [torch.nn.Parameter(row.clone()) for row in weights]
    for row, gradient in zip(rows, gradients, strict=True):
        row.grad = gradient
    groups = [{"params": [row], "lr": 1e-3, "weight_decay": 1e-2} for row in rows]
    torchs = torch.optim.AdamW(groups, fused=True)

    def own_step() -> None:
        own.step(weights, gradients, lr, 0.9)

    def torch_step() -> None:
        for group in torchs.param_groups:
            group["lr"] = 1e-3
        torchs.step()

    pairs = [(seconds(own_step), seconds(torch_step)) for _ in range(N_PAIRS + 1)][1:]
    ratio = statistics.median(other / mine for mine, other in pairs)
    return ratio, 1e6 * statistics.median(mine for mine, _ in pairs) / N_STEPS


def main() -> None:
    """Print the table."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    print("| weights | students | ours, microseconds a step | torch's / ours |")
    print("|---|---|---|---|")
    for n_weights in N_WEIGHTS:
        for n_students in N_STUDENTS:
            ratio, micros = compare(n_students, n_weights)
            print(f"| {n_weights} | {n_students} | {micros:.0f} | {ratio:.2f} |")


if __name__ == "__main__":
    main()
