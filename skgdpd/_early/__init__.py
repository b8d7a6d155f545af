"""Stopping rules and costs, the early classifier that uses them, and sessions."""

from . import kinds  # noqa: F401  registers rules and classifier for model files
