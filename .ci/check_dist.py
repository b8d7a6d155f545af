"""Check what is in the wheel and in the source archive of a folder."""

import sys
import tarfile
import zipfile
from email import message_from_string
from pathlib import Path

IN_WHEEL = {"skgdpd/__init__.py", "skgdpd/py.typed", "skgdpd/testing/runner.py"}
IN_SOURCE = {
    "pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", "Makefile", "constraints.txt",
    "constraints-oldest.txt", ".ci/run", "docs/conf.py", "docs/index.md",
    "docs/images/method.svg", "docs/check_pages.py",
    "docs/_ext/mathml.py", "examples/first_prefix_classifier.py", "tests/conftest.py",
    "tests/test_reference.py", "tests/data/model-format-1.zip", "benchmarks/timings.py",
    "skgdpd/py.typed",
}  # fmt: skip
LARGEST = 1_000_000
"""Bytes: code alone is far less, so a data set that slipped in shows."""


def check_wheel(path: Path) -> list[str]:
    """Say what is wrong with a wheel."""
    with zipfile.ZipFile(path) as wheel:
        names = set(wheel.namelist())
        about = next(name for name in names if name.endswith(".dist-info/METADATA"))
        metadata = message_from_string(wheel.read(about).decode())
    folder = about.rpartition("/")[0]
    faults = [f"{path.name} lacks {name}" for name in sorted(IN_WHEEL - names)]
    faults += [
        f"{path.name} has {name}"
        for name in sorted(names)
        if not name.startswith(f"{folder}/") and not name.endswith((".py", "/py.typed"))
        if name != "skgdpd/py.typed"
    ]
    faults += [
        f"{path.name} has {name}"
        for name in sorted(names)
        if not name.startswith(("skgdpd/", f"{folder}/"))
    ]
    if not any(name.startswith(f"{folder}/licenses/") for name in names):
        faults.append(f"{path.name} lacks its licence")
    for field in ("License-Expression", "Requires-Python", "Project-URL", "Classifier", "Summary"):
        if not metadata.get(field):
            faults.append(f"{path.name}: no {field} in its metadata")
    if path.stat().st_size > LARGEST:
        faults.append(f"{path.name} is {path.stat().st_size} bytes large")
    return faults


def check_source(path: Path) -> list[str]:
    """Say what is wrong with a source archive."""
    with tarfile.open(path) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    faults = [f"{path.name} lacks {name}" for name in sorted(IN_SOURCE - names)]
    built = ("docs/_build", "docs/auto_examples", "docs/api/generated", ".venv", "shared")
    faults += [f"{path.name} has {n}" for n in sorted(names) if n.startswith(built)]
    return faults


def main() -> int:
    """Check the one wheel and the one source archive there should be."""
    folder = Path(sys.argv[1])
    wheels, sources = sorted(folder.glob("*.whl")), sorted(folder.glob("*.tar.gz"))
    if len(wheels) != 1 or len(sources) != 1:
        print(f"{folder}: {len(wheels)} wheels and {len(sources)} source archives, not 1 and 1")
        return 1
    faults = check_wheel(wheels[0]) + check_source(sources[0])
    print("\n".join(faults) or f"{wheels[0].name}, {sources[0].name}: as they should be")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
