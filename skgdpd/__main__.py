"""Entry point of ``skgdpd`` and of ``python -m skgdpd``."""

import sys

from ._runtime.program import start


def main() -> int:
    """Run the command line with the arguments of the process; return the exit status."""
    return start("skgdpd._cli.main")


if __name__ == "__main__":
    sys.exit(main())
