"""Runs by hand: ``python -m skgdpd.benchmarking --help``."""
