"""Fits on tiny data, by name, for processes that import them."""

import numpy as np

from skgdpd import (
    DiffusionFeaturePrior,
    DistilledPrefixClassifier,
    EarlyClassifier,
    GDPDClassifier,
    GenDDClassifier,
    GeneratorOptions,
    PrefixClassifier,
    TrainingOptions,
)
from skgdpd.datasets import make_bumps
from skgdpd.nets import available_backbones
from skgdpd.training import checkpoint

X, Y = make_bumps(24, 24, noise=0.5, random_state=0)
NEW, _ = make_bumps(12, 24, noise=0.8, random_state=1)
QUICK = {"max_epochs": 2, "random_state": 0}
TINY = {"teacher": "lstm1-8", "student": "lstm1-8", **QUICK}
PRIOR = DiffusionFeaturePrior(n_diffusion_steps=20, max_epochs=2, random_state=0)

FITS = {
    **{name: PrefixClassifier(name, **QUICK) for name in available_backbones()},
    "distilled": DistilledPrefixClassifier(**TINY),
    "gdpd": GDPDClassifier(**TINY, prior=PRIOR),
    "gendd": GenDDClassifier(
        **TINY,
        generator=GeneratorOptions(max_epochs=2, depth=1, hidden=16, n_diffusion_steps=20),
        n_sampling_steps=4,
    ),
    "early": EarlyClassifier(
        PrefixClassifier("rocket", earliness=[0.5, 1.0], random_state=0), cv=2, random_state=0
    ),
}


def probabilities(name):
    """Return the probabilities of new series after a fit of its own."""
    return FITS[name].fit(X, Y).predict_proba(NEW)


def killable():
    """Return a fit whose teacher, prior and student write checkpoints, some tenths of a second."""
    return GDPDClassifier(
        teacher="lstm1-8", student="lstm1-8", max_epochs=12, random_state=0, prior=PRIOR
    )


def train(folder, out, pipe):
    """Fit with checkpoints after each epoch, and write results; for a process to be killed."""
    checkpoint.CHECKPOINT_SECONDS = 0.0
    PrefixClassifier("lstm1-8", max_epochs=1).fit(X, Y)  # the first fit of a process is slow
    clf = killable().set_params(training=TrainingOptions(checkpoint_dir=folder))
    pipe.send("begins")
    clf.fit(X, Y)
    weights = {name: value.numpy() for name, value in clf.module_.state_dict().items()}
    np.savez(out, probabilities=clf.predict_proba(NEW), **weights)
    pipe.send("ends")


def save_for_ever(models, path, pipe):
    """Save models in turn under one name, until killed."""
    for model in models:
        model.save(path)
    pipe.send("begins")
    while True:
        for model in models:
            model.save(path)
