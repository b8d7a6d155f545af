"""Measure the service of the page "Serving a model", and the sizes of installations.

    python benchmarks/serving.py

The program prints latency and throughput. It runs the class of the page without a web framework
and without a network.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from skgdpd import EarlyClassifier, PrefixClassifier
from skgdpd.datasets import load_gunpoint

PAGE = Path(__file__).parents[1] / "docs" / "howto-serving.md"
INFERENCE = ("numpy", "onnxruntime")
"""Packages of an installation that runs an exported graph."""
WHOLE = (
    "joblib", "llvmlite", "numba", "numpy", "safetensors", "scikit-learn", "scipy", "skorch",
    "torch", "tqdm",
)  # fmt: skip
"""Packages of an installation that loads model files."""


def service_class() -> Any:
    """Return the class of the page's first block of code."""
    code = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)[0]
    names: dict[str, Any] = {"__name__": "page"}
    exec(compile(code, str(PAGE), "exec"), names)
    return names["Service"]


def quantiles(function: Callable[[int], Any], repeats: int) -> dict[str, float]:
    """Return p50 and p99 of a function's times in ms, and its calls a second."""
    for i in range(min(repeats, 20)):
        function(i)
    times = np.empty(repeats)
    for i in range(repeats):
        start = time.perf_counter()
        function(i)
        times[i] = time.perf_counter() - start
    p50, p99 = np.quantile(times, [0.5, 0.99]) * 1e3
    return {"p50_ms": p50, "p99_ms": p99, "calls_per_second": repeats / times.sum()}


def measure(student: str, repeats: int) -> dict[str, dict[str, float]]:
    """Return the times of requests by their names."""
    X, y, X_test, _ = load_gunpoint()
    with tempfile.TemporaryDirectory() as folder:
        model, early = Path(folder, "model.zip"), Path(folder, "early.zip")
        clf = PrefixClassifier(student, random_state=0).fit(X, y)
        clf.save(model)
        path = PrefixClassifier("rocket", earliness=[0.1, 0.2, 0.3, 0.5, 1.0], random_state=0)
        EarlyClassifier(path, random_state=0).fit(X, y).save(early)
        start = time.perf_counter()
        service = service_class()(model, early)
        found = {"start of the service": {"p50_ms": (time.perf_counter() - start) * 1e3}}
        one = [[x.tolist()] for x in X_test]
        found["/predict, one series"] = quantiles(
            lambda i: json.dumps(service.predict(one[i % len(one)])), repeats
        )
        many = X_test[:100].tolist()
        found["/predict, 100 series"] = quantiles(
            lambda i: json.dumps(service.predict(many)), max(repeats // 20, 5)
        )
        n_points = X_test.shape[2]

        def push(i: int) -> None:
            series, t = divmod(i, n_points)
            x = X_test[series % len(X_test)]
            json.dumps(service.push(f"{series}", x[:, t : t + 1].tolist()))

        found["/stream, one point"] = quantiles(push, repeats)
        try:
            import onnxruntime
        except ImportError:
            return found
        clf.export_onnx(Path(folder, "model.onnx"))
        session = onnxruntime.InferenceSession(str(Path(folder, "model.onnx")))
        length = clf.prefix_length_
        found["ONNX Runtime, one series"] = quantiles(
            lambda i: session.run(
                None, {"prefix": X_test[i % 100 : i % 100 + 1, :, :length].astype("float32")}
            ),
            repeats,
        )
    return found


def megabytes(package: str) -> float:
    """Return the size of an installed package."""
    files = importlib.metadata.files(package) or []
    paths = [Path(str(file.locate())) for file in files]
    return sum(path.stat().st_size for path in paths if path.is_file()) / 1e6


def import_seconds(statement: str) -> float:
    """Return the wall time of a statement in a process of its own, the quickest of three."""
    code = f"import time; s = time.perf_counter()\n{statement}\nprint(time.perf_counter() - s)"
    found = [
        float(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True).stdout)
        for _ in range(3)
    ]
    return min(found)


def main() -> None:
    """Print the table of requests, and that of installations."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--student", default="rocket")
    parser.add_argument("--repeats", type=int, default=1000)
    options = parser.parse_args()
    print("| request | p50 (ms) | p99 (ms) | calls a second |\n|---|---|---|---|")
    for name, row in measure(options.student, options.repeats).items():
        cells = [f"{row[key]:.3g}" if key in row else "" for key in ("p50_ms", "p99_ms")]
        rate = f"{row['calls_per_second']:,.0f}" if "calls_per_second" in row else ""
        print(f"| {name} | {cells[0]} | {cells[1]} | {rate} |")
    print("\n| installation | size (MB) | import (s) |\n|---|---|---|")
    for name, packages, statement in (
        ("model files", WHOLE, "from skgdpd import load"),
        ("ONNX Runtime", INFERENCE, "import numpy, onnxruntime"),
    ):
        size = sum(map(megabytes, packages))
        print(f"| {name}: {', '.join(packages)} | {size:,.0f} | {import_seconds(statement):.2f} |")


if __name__ == "__main__":
    main()
