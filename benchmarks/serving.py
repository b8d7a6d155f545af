"""Measure the service of the page "Serving a model", and the sizes of installations.

    python benchmarks/serving.py

The program prints latency and throughput. It calls the class of the page without a web framework,
and it starts the page's web application with uvicorn and sends requests to it on this machine.
"""

from __future__ import annotations

import argparse
import http.client
import importlib.metadata
import importlib.util
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

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
CLIENTS = 8
"""Clients that send requests at the same time, each the next one after its response."""
START_SECONDS = 120
Times = dict[str, float]


def write_service(folder: Path) -> Path:
    """Write the blocks of code of the page to ``service.py``, as the page says."""
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    path = folder / "service.py"
    path.write_text("\n\n".join(block for block in blocks if ">>> " not in block))
    return path


def service_class(path: Path) -> Any:
    """Return the class of the page, without the web application below it."""
    code = path.read_text().partition("import fastapi")[0]
    names: dict[str, Any] = {"__name__": "service"}
    exec(compile(code, str(path), "exec"), names)
    return names["Service"]


def timed(function: Callable[[int], Any], numbers: range) -> NDArray[np.float64]:
    """Return the wall times of calls with each of the numbers, in seconds."""
    times = np.empty(len(numbers))
    for row, i in enumerate(numbers):
        start = time.perf_counter()
        function(i)
        times[row] = time.perf_counter() - start
    return times


def quantiles(function: Callable[[int], Any], repeats: int) -> Times:
    """Return p50 and p99 of a function's times in ms, and its calls a second."""
    warm = min(repeats, 20)
    timed(function, range(warm))
    times = timed(function, range(warm, warm + repeats))
    return summary(times, float(times.sum()))


def summary(times: NDArray[np.float64], seconds: float) -> Times:
    """Return p50 and p99 in ms, and the calls a second of all of them within some seconds."""
    p50, p99 = np.quantile(times, [0.5, 0.99]) * 1e3
    return {"p50_ms": p50, "p99_ms": p99, "calls_per_second": len(times) / seconds}


class Sensors:
    """Points of series, a point a call; the next series begins after the answer to one."""

    def __init__(
        self, X: NDArray[Any], name: str, push: Callable[[str, list[list[float]]], Any]
    ) -> None:
        self.X, self.name, self.push = X, name, push
        self.series, self.seen = 0, 0

    def __call__(self, _: int) -> None:
        """Push the next point."""
        x = self.X[self.series % len(self.X)]
        points = x[:, self.seen : self.seen + 1].tolist()
        self.seen += 1
        if self.push(f"{self.name}-{self.series}", points) is not None:
            self.series, self.seen = self.series + 1, 0


class Client:
    """A client of the web application, with one connection that stays open."""

    def __init__(self, port: int) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=START_SECONDS)

    def post(self, path: str, value: Any) -> Any:
        """Send a value of JSON, and return that of the response."""
        head = {"Content-Type": "application/json"}
        self.connection.request("POST", path, json.dumps(value), head)
        response = self.connection.getresponse()
        text = response.read()
        if response.status != 200:
            raise RuntimeError(f"POST {path} had the response {response.status}: {text.decode()}")
        return json.loads(text)


@contextmanager
def served(folder: Path, models: dict[str, Path]) -> Iterator[int]:
    """Run the page's application in a process of its own, and give its port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {name: str(path) for name, path in models.items()}
    command = [
        sys.executable, "-m", "uvicorn", "--factory", "service:application", "--workers", "1",
        "--port", str(port), "--log-level", "warning",
    ]  # fmt: skip
    server = subprocess.Popen(command, cwd=folder, env={**os.environ, **environment})
    try:
        wait_for(port, server)
        yield port
    finally:
        server.terminate()
        server.wait()


def wait_for(port: int, server: subprocess.Popen[bytes]) -> None:
    """Wait until a server takes connections."""
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        if server.poll() is not None:
            raise RuntimeError(f"uvicorn ended with status {server.returncode}")
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise RuntimeError(f"uvicorn took no connection within {START_SECONDS} s")


def of_clients(calls: list[Callable[[int], Any]], repeats: int) -> Times:
    """Return the times of the calls of several clients at the same time."""

    def run(number: int) -> NDArray[np.float64]:
        each = max(repeats // len(calls), 1)
        return timed(calls[number], range(number * each, (number + 1) * each))

    with ThreadPoolExecutor(len(calls)) as pool:
        start = time.perf_counter()
        times = np.concatenate(list(pool.map(run, range(len(calls)))))
        return summary(times, time.perf_counter() - start)


def of_application(port: int, X: NDArray[Any], repeats: int) -> dict[str, Times]:
    """Return the times of requests to the web application."""

    def predicts(client: Client) -> Callable[[int], Any]:
        one = [[x.tolist()] for x in X]
        return lambda i: client.post("/predict", one[i % len(one)])

    def pushes(client: Client, name: str) -> Callable[[int], Any]:
        return Sensors(X, name, lambda id_, points: client.post(f"/stream/{id_}", points))

    client, many = Client(port), X[:100].tolist()
    clients = [Client(port) for _ in range(CLIENTS)]
    return {
        "`/predict`, one series": quantiles(predicts(client), repeats),
        "`/predict`, 100 series": quantiles(
            lambda _: client.post("/predict", many), max(repeats // 20, 5)
        ),
        "`/stream`, one point": quantiles(pushes(client, "alone"), repeats),
        f"`/predict`, one series, {CLIENTS} clients": of_clients(
            [predicts(each) for each in clients], repeats
        ),
        f"`/stream`, one point, {CLIENTS} clients": of_clients(
            [pushes(each, f"{i}") for i, each in enumerate(clients)], repeats
        ),
    }


def of_class(service: Any, X: NDArray[Any], repeats: int) -> dict[str, Times]:
    """Return the times of the same requests to the class, without the web application."""
    one, many = [[x.tolist()] for x in X], X[:100].tolist()

    def push(id_: str, points: list[list[float]]) -> Any:
        answer = service.push(id_, points)
        json.dumps(answer)
        return answer

    return {
        "class, one series": quantiles(
            lambda i: json.dumps(service.predict(one[i % len(one)])), repeats
        ),
        "class, 100 series": quantiles(
            lambda _: json.dumps(service.predict(many)), max(repeats // 20, 5)
        ),
        "class, one point of a stream": quantiles(Sensors(X, "class", push), repeats),
    }


def of_graph(clf: PrefixClassifier, path: Path, X: NDArray[Any], repeats: int) -> dict[str, Times]:
    """Return the times of one series through the exported graph."""
    import onnxruntime

    clf.export_onnx(path)
    session = onnxruntime.InferenceSession(str(path))
    cut = X[:, :, : clf.prefix_length_].astype("float32")
    return {
        "ONNX Runtime, one series": quantiles(
            lambda i: session.run(None, {"prefix": cut[i % 100 : i % 100 + 1]}), repeats
        )
    }


def measure(student: str, repeats: int) -> dict[str, Times]:
    """Return the times of requests by their names."""
    X, y, X_test, _ = load_gunpoint()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        models = {"MODEL": folder / "model.zip", "EARLY": folder / "early.zip"}
        clf = PrefixClassifier(student, random_state=0).fit(X, y)
        clf.save(models["MODEL"])
        path = PrefixClassifier("rocket", earliness=[0.1, 0.2, 0.3, 0.5, 1.0], random_state=0)
        EarlyClassifier(path, random_state=0).fit(X, y).save(models["EARLY"])
        program = write_service(folder)
        start = time.perf_counter()
        service = service_class(program)(*models.values())
        found: dict[str, Times] = {
            "start of the class": {"p50_ms": (time.perf_counter() - start) * 1e3}
        }
        found |= of_class(service, X_test, repeats)
        if all(map(importlib.util.find_spec, ("fastapi", "uvicorn"))):
            with served(folder, models) as port:
                found |= of_application(port, X_test, repeats)
        if importlib.util.find_spec("onnxruntime"):
            found |= of_graph(clf, folder / "model.onnx", X_test, repeats)
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


def table(found: dict[str, Times]) -> str:
    """Return the times of requests as a Markdown table."""
    lines = ["| request | p50 (ms) | p99 (ms) | requests a second |", "|---|---|---|---|"]
    for name, row in found.items():
        cells = [f"{row[key]:.3g}" if key in row else "" for key in ("p50_ms", "p99_ms")]
        rate = f"{row['calls_per_second']:,.0f}" if "calls_per_second" in row else ""
        lines.append(f"| {name} | {cells[0]} | {cells[1]} | {rate} |")
    return "\n".join(lines)


def main() -> None:
    """Print the table of requests, and that of installations."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--student", default="rocket")
    parser.add_argument("--repeats", type=int, default=1000)
    options = parser.parse_args()
    print(table(measure(options.student, options.repeats)))
    print("\n| installation | size (MB) | import (s) |\n|---|---|---|")
    for name, packages, statement in (
        ("model files", WHOLE, "from skgdpd import load"),
        ("ONNX Runtime", INFERENCE, "import numpy, onnxruntime"),
    ):
        size = sum(map(megabytes, packages))
        print(f"| {name}: {', '.join(packages)} | {size:,.0f} | {import_seconds(statement):.2f} |")


if __name__ == "__main__":
    main()
