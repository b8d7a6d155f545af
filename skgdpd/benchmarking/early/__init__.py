"""Comparison of models and rules that choose the moment of their answer.

Classifiers are fitted once, and their probabilities at all moments are kept in a store. Rules and
costs are compared on what is kept. ``python -m skgdpd.benchmarking early --help`` has the options.
"""
