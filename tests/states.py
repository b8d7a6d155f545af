"""The state of a process that everything shares, for tests of what leaves it as found."""

import locale
import os
import random
import signal
import warnings

import numpy as np
import torch


def global_state():
    """Return what a fit, a prediction or a file may change of nobody, by name."""
    handlers = {number: signal.getsignal(number) for number in signal.valid_signals()}
    return {
        "random": random.getstate(),
        "numpy's random state": [str(part) for part in np.random.get_state()],  # noqa: NPY002
        "torch's random state": torch.random.get_rng_state().tolist(),
        "threads": torch.get_num_threads(),
        "default type": torch.get_default_dtype(),
        "gradients": torch.is_grad_enabled(),
        "inference mode": torch.is_inference_mode_enabled(),
        "cudnn deterministic": torch.backends.cudnn.deterministic,
        "cudnn benchmark": torch.backends.cudnn.benchmark,
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "precision": torch.get_float32_matmul_precision(),
        "numpy's errors": np.geterr(),
        "warnings": list(warnings.filters),
        "environment": dict(os.environ),
        "signals": handlers,
        "folder": os.getcwd(),
        "locale": locale.setlocale(locale.LC_ALL),
    }
