"""Entry point of ``python -m skgdpd.testing``."""

import sys

from .._runtime.program import start

if __name__ == "__main__":
    sys.exit(start("skgdpd.testing.commands"))
