"""Entry point of ``python -m skgdpd.benchmarking``."""

import sys

from .._runtime.program import start

if __name__ == "__main__":
    sys.exit(start("skgdpd.benchmarking.commands"))
