"""Comparisons of methods on data sets, run from the command line.

``python -m skgdpd.benchmarking --help`` lists the commands. ``run`` fills a store of records,
``report`` makes tables and plots from it, and ``paper`` follows the protocol of the GDPD paper.
"""
