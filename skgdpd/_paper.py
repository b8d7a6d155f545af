"""The paper's protocol, as keyword arguments."""

from __future__ import annotations

from typing import Any

from ._prior import DiffusionFeaturePrior

PAPER_STUDENTS = ("lstm3-100", "lstm2-32", "lstm1-8", "inception55-32", "resnet32-64")


def paper_parameters(student: str = "lstm3-100", *, reference: bool = False) -> dict[str, Any]:
    """Keyword arguments that make :class:`~skgdpd.GDPDClassifier` follow the GDPD paper.

    Length 100 at most, 600 epochs of which 300 warm-up, batches of 64, Adam with an L2 penalty of
    1e-5 and a learning rate halved at epochs 25, 30 and 35, an autoencoder, T = 1000, five
    evaluations, one draw. The paper chooses ``lambda_kd`` among 0.1, 1 and 10 and the warm-up
    among 300 and 350.

    Parameters
    ----------
    student : str, default="lstm3-100"
        One of the paper's backbones; the teacher has the same unless told otherwise.
    reference : bool, default=False
        Follow the authors' program where it departs from the paper: learning rate 0.001, halved
        at *batches* 25, 30 and 35, a Hinton term of the same weight as the distillation's, and a
        denoiser that goes on training on the student's loss.

    Returns
    -------
    dict
        For ``GDPDClassifier(**parameters)``; without ``lambda_kd, prior, ...`` for the others.

    Raises
    ------
    ValueError
        If the student is none of the paper's.

    Examples
    --------
    >>> from skgdpd import GDPDClassifier, paper_parameters
    >>> clf = GDPDClassifier(**paper_parameters("lstm2-32") | {"lambda_kd": 10})
    >>> clf.max_epochs, clf.warmup_epochs
    (600, 300)
    """
    if student not in PAPER_STUDENTS:
        raise ValueError(
            f"student={student!r} is none of the paper's; allowed are {', '.join(PAPER_STUDENTS)}"
        )
    fast = student == "lstm3-100" and not reference
    lr = 0.01 if fast else 0.001
    prior = DiffusionFeaturePrior(
        denoiser="bottleneck",
        encoder="autoencoder",
        degradation="learned-alpha",
        schedule="linear",
        n_diffusion_steps=1000,
        n_sampling_steps=5,
        max_epochs=300,
        batch_size=64,
        n_noise_levels=1,
        lr=lr,
    )
    return {
        "student": student,
        "prior": prior,
        "lambda_kd": 1.0,
        "warmup_epochs": 300,
        "objective": "mean",
        "n_posterior_samples": 1,
        "prior_trainable": reference,
        "hinton_weight": 1.0 if reference else 0.0,
        "max_epochs": 600,
        "batch_size": 64,
        "lr": lr,
        "weight_decay": 1e-5,
        "optimizer": "adam",
        "lr_schedule": "halving-per-batch" if reference else "halving",
        "weight_averaging": 0.0,
        "validation_fraction": 0.2,
        "normalize": None,
        "resample_length": 100,
    }
