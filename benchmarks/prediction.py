"""Time ``predict_proba`` against the plain module, for one series and for batches."""

from __future__ import annotations

import importlib.util
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ratios import alternate
from skgdpd import PrefixClassifier, SeriesOptions

LENGTH, EARLINESS, N_BATCH = 333, 0.3, 2048
"""The prefixes have 99 time points; a batch has twice the series of one forward pass."""


def prediction_table(backbones: Sequence[str], repeats: int, device: str) -> str:
    """Time ``predict_proba`` against the plain module in the same run.

    Parameters
    ----------
    backbones : sequence of str
        Names of the backbones.
    repeats : int
        Number of series that are predicted alone; of batches there are a fiftieth as many.
    device : str
        The device of the networks.

    Returns
    -------
    str
        A Markdown table: the median latency of one prefix of 99 time points through the plain
        module, and what ``predict_proba`` adds; thousands of series a second through the plain
        module in batches of 1024, and the share of that speed which ``predict_proba`` reaches;
        the latency of the exported graph in ONNX Runtime with one thread, where that is
        installed. Processor time is measured with one thread on a CPU, and wall-clock time
        otherwise.
    """
    lines = [
        "| backbone | one series, plain (µs) | predict_proba adds (µs) | batches, plain (1000/s) "
        "| predict_proba | one series, ONNX (µs) |",
        "|---|---|---|---|---|---|",
    ]
    for name in backbones:
        alone, added, rate, share, onnx = compare_prediction(name, repeats, torch.device(device))
        last = "" if onnx is None else f"{onnx:.0f}"
        lines.append(
            f"| `{name}` | {alone:.0f} | {added:+.0f} | {rate:.1f} | {share:.2f} | {last} |"
        )
    return "\n".join(lines)


def compare_prediction(
    backbone: str, repeats: int, device: torch.device
) -> tuple[float, float, float, float, float | None]:
    """Return the five figures of a row of :func:`prediction_table`.

    Parameters
    ----------
    backbone : str
        Name of the backbone.
    repeats : int
        Number of series that are predicted alone.
    device : torch.device
        The device of the network.

    Returns
    -------
    alone, added, rate, share : float
        The first four figures of the row.
    onnx : float or None
        The latency of the exported graph; None without ONNX Runtime.
    """
    rng = np.random.default_rng(0)
    X = rng.normal(size=(N_BATCH, 1, LENGTH)).astype(np.float32)
    y = np.arange(64) % 2
    clf = PrefixClassifier(
        backbone, earliness=EARLINESS, max_epochs=1, device=str(device), random_state=0
    ).fit(X[:64], y)
    X = np.ascontiguousarray(X[:, :, : clf.prefix_length_])
    module, size = clf.module_, SeriesOptions().predict_batch_size

    def plain(tensor: torch.Tensor) -> list[np.ndarray[Any, Any]]:
        with torch.inference_mode():
            return [module(part).logits.cpu().numpy() for part in tensor.split(size)]

    one, all_ = torch.from_numpy(X[:1]).to(device), torch.from_numpy(X).to(device)
    # With one thread, processor time is the latency on a machine that does nothing else.
    one_thread = device.type == "cpu" and torch.get_num_threads() == 1
    clock = time.process_time if one_thread else time.perf_counter
    programs = [lambda: plain(one), lambda: clf.predict_proba(X[:1])]
    alone, ours = alternate(programs, repeats, clock)
    with tempfile.TemporaryDirectory() as folder:
        session = _open_graph(clf, Path(folder) / "model.onnx")
    # Timed by itself: after another program has run, the weights are no longer in the cache.
    graph = [] if session is None else [lambda: session.run(None, {"prefix": X[:1]})]
    onnx = [1e6 * statistics.median(times) for times in alternate(graph, repeats, clock)]
    added = statistics.median(b - a for a, b in zip(alone, ours, strict=True))
    many = alternate(
        [lambda: plain(all_), lambda: clf.predict_proba(X)], max(repeats // 50, 3), clock
    )
    share = statistics.median(a / b for a, b in zip(*many, strict=True))
    rate = N_BATCH / statistics.median(many[0])
    return (
        1e6 * statistics.median(alone),
        1e6 * added,
        1e-3 * rate,
        share,
        onnx[0] if onnx else None,
    )


def _open_graph(clf: PrefixClassifier, path: Path) -> Any:
    packages = ("onnx", "onnxscript", "onnxruntime")
    if any(importlib.util.find_spec(package) is None for package in packages):
        return None
    import onnxruntime

    clf.export_onnx(path)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(path, options)
