"""Comparison of early classifiers and stopping rules.

Classifiers are fitted once, and a store keeps their probabilities at all moments. Rules and costs
are compared on these probabilities. ``python -m skgdpd.benchmarking early --help`` lists the
options.
"""
