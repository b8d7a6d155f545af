"""When to answer: rules and costs, the classifier that follows them, and sessions."""

from . import kinds  # noqa: F401  registers rules and classifier for model files
