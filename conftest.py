"""Modules whose examples need a package that is not installed are left out."""

from importlib.util import find_spec

collect_ignore = [] if find_spec("aeon") else ["skgdpd/aeon"]
