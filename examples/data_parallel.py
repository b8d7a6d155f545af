"""One fit on several processes: ``torchrun --nproc-per-node 2 examples/data_parallel.py``.

Without torchrun the program runs in one process, on the same batches, and prints the same losses.
"""

import os

import numpy as np
import torch.distributed as dist

from skgdpd import PrefixClassifier, config_context
from skgdpd.datasets import make_bumps

X, y = make_bumps(200, 60, noise=0.5, random_state=0)
clf = PrefixClassifier("fcn", earliness=0.5, max_epochs=5, batch_size=32, random_state=0)
rank = int(os.environ.get("RANK", 0))

if "RANK" in os.environ:
    dist.init_process_group("gloo")  # "nccl" with a GPU for each process
    with config_context(data_parallel=True):
        clf.fit(X, y)
    dist.destroy_process_group()
else:
    clf.fit(X, y)

if rank == 0:  # all have the same weights; one of them may save or predict
    print(np.round(clf.history_["loss"], 5))
