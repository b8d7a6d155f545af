"""A student that notes down with which settings it is computed."""

import torch

from skgdpd import PrefixClassifier, get_config

OTHERS = {
    "choose_threads": False,
    "convolution_method": "direct",
    "cuda_graphs": False,
    "fused_adam": False,
}
"""A value of each setting that reaches workers, and that no process starts with."""


class Noting(torch.nn.Module):
    """A backbone that notes the settings that it computes under, by what it does."""

    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(12, 4)
        self.seen = {}

    def forward(self, x):
        if not torch.compiler.is_compiling():
            self.seen["fit" if self.training else "predict"] = get_config()
        return self.layer(x[:, 0, :12])


def make_classifier(**params):
    return PrefixClassifier(Noting(), max_epochs=1, random_state=0, **params)


def without(settings):
    return {name: value for name, value in settings.items() if name != "data_parallel"}


def note(clf, X, y):
    """A scorer: 1 if the fit and this prediction ran under the settings that y's block has."""
    seen = clf.module_.backbone.seen
    seen.pop("predict", None)
    clf.predict(X[:2])
    return float(all(without(seen[when]) == OTHERS for when in ("fit", "predict")))
