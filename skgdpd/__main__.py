"""Entry point of ``python -m skgdpd``."""

import sys

from ._runtime.program import start

if __name__ == "__main__":
    sys.exit(start("skgdpd._cli.main"))
