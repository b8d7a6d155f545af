"""The protocol of the GDPD paper, as keyword arguments."""

from __future__ import annotations

from typing import Any

from .options import SeriesOptions, TrainingOptions
from .prior import DiffusionFeaturePrior

PAPER_STUDENTS = ("lstm3-100", "lstm2-32", "lstm1-8", "inception55-32", "resnet32-64")


def paper_parameters(student: str = "lstm3-100", *, reference: bool = False) -> dict[str, Any]:
    """Return arguments with which :class:`~skgdpd.GDPDClassifier` follows the GDPD paper.

    Series are resampled to at most 100 time points. A training has 600 epochs, of which 300 are
    the warm-up, and batches of 64 series. The optimiser is Adam with an L2 penalty of 1e-5. Its
    learning rate starts at 0.01 for ``"lstm3-100"`` and at 0.001 for other students, and is halved
    at epochs 25, 30 and 35. The prior has an autoencoder, T = 1000 noise levels, five evaluations
    of the denoiser and one draw. The paper chooses ``lambda_kd`` among 0.1, 1 and 10, and the
    warm-up among 300 and 350 epochs.

    Parameters
    ----------
    student : str, default="lstm3-100"
        Name of one of the paper's backbones. The teacher has the same backbone, unless the
        classifier is given another teacher.
    reference : bool, default=False
        Whether to follow the authors' program where it differs from the paper. The program has a
        learning rate of 0.001 that is halved at *batches* 25, 30 and 35. It adds a Hinton term
        with the weight of the distillation, and trains the denoiser on the student's loss, too.

    Returns
    -------
    dict
        Arguments for ``GDPDClassifier(**parameters)``. The other classifiers take them without
        the arguments of the method (``lambda_kd``, ``prior``, ...).

    Raises
    ------
    ValueError
        If the student is not a backbone of the paper.

    Examples
    --------
    >>> from skgdpd import GDPDClassifier, paper_parameters
    >>> clf = GDPDClassifier(**paper_parameters("lstm2-32") | {"lambda_kd": 10})
    >>> clf.max_epochs, clf.warmup_epochs
    (600, 300)
    """
    if student not in PAPER_STUDENTS:
        raise ValueError(
            f"student={student!r} is not one of the paper's; allowed are "
            f"{', '.join(PAPER_STUDENTS)}"
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
        "normalize": None,
        "training": TrainingOptions(
            weight_decay=1e-5,
            optimizer="adam",
            lr_schedule="halving-per-batch" if reference else "halving",
            weight_averaging=0.0,
            validation_fraction=0.2,
        ),
        "series": SeriesOptions(resample_length=100),
    }
