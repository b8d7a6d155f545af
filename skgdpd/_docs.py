"""Descriptions that several classes share, written once, and where each class's page is."""

from __future__ import annotations

import os
import textwrap
from functools import cache
from importlib.metadata import PackageNotFoundError, metadata
from typing import TypeVar

Class = TypeVar("Class", bound=type)

SHARED = {
    "student": """\
student : str, torch.nn.Module or callable, default="rocket-quant"
    Backbone: a name (see :func:`skgdpd.nets.available_backbones`), a module mapping
    ``(n, n_channels, n_timepoints)`` to ``(n, n_features)``, or a callable ``(n_channels,
    n_timepoints) -> module``. On held-out thirds of 17 sets' training parts, 20 and 50 % seen,
    ``"rocket-quant"`` had an AUC-PRC of 0.880 and a log loss of 0.417, ``"rocket"`` 0.867 and
    0.461; at 20 % ``"rocket"`` 0.836, ``"fcn"`` 0.800, ``"inception"`` 0.793.""",
    "network": """\
    earliness : float, int or transformer, default=0.3
        How much of a series is seen: a float in (0, 1] is a fraction of the fitted length, an int
        a number of time points, a transformer (sktime's ``TruncationTransformer``, say) any view.
    max_epochs : int, default=60
        Passes over the training part. With the one-cycle schedule, more did not help on small
        sets: GunPoint's first 20 % went from 0.844 accuracy at 60 epochs to 0.811 at 200.
    batch_size : int or "auto", default="auto"
        Series a step; "auto" is a tenth of them, but from 16 to 64.
    lr : float or "auto", default="auto"
        Learning rate, the peak of the schedule. "auto" is 3e-4 for ``"rocket-quant"``, 3e-3 for
        ``"fcn24"``, 0.01 for ``"lstm2-32"``, 0.03 for ``"lstm1-8"``, else 1e-3 (for a teacher's
        network, too, by its own kind). ``"rocket-quant"`` starts from classifiers in closed form:
        on thirds of 17 sets' training parts the lower rate had the better log loss (0.75 against
        0.77, with recordings 0.65 against 0.74). Small networks want more: on thirds of seven
        larger sets, taught, 0.778 in AUC-PRC against 0.743, 0.616 against 0.522, 0.551 against
        0.381 with 1e-3.
    weight_decay : float, default=1e-2
        Decoupled weight decay (``"adamw"``) or L2 penalty (``"adam"``).
    optimizer : {"adamw", "adam"}, default="adamw"
        Which.
    lr_schedule : {"one-cycle", "cosine", "constant", "halving", "halving-per-batch"}, \
default="one-cycle"
        ``"halving"`` halves the rate at epochs 25, 30 and 35, as the GDPD paper does;
        ``"halving-per-batch"`` at batches 25, 30 and 35, as its program does.
    weight_averaging : float, default=5.0
        Validate and keep weights averaged over about so many epochs; 0 keeps them as they are.
    validation_fraction : float or "auto", default="auto"
        Part of each class on which the best epoch is chosen, among those of the second half (and
        after a warm-up); 0 keeps the last epoch. "auto" is 0 for ``"rocket"``, ``"rocket-quant"``
        and ``"hybrid"`` without ``early_stopping``, else 0.2: rocket's start is good and needs no
        choice of an epoch, but all series. On held-out thirds of 17 sets' training parts, AUC-PRC
        was 0.864 with 0 and 0.840 with 0.2.
    early_stopping : int, default=None
        Stop after so many epochs without a better validation loss.
    class_weight : dict, "balanced" or None, default=None
        Weights of the classes in every cross-entropy.
    normalize : {"train", "prefix"} or None, default="train"
        ``"train"``: each channel by its mean and deviation over the training part.
        ``"prefix"``: each prefix by itself. None: not at all.
    resample_length : int, default=None
        Stretch or shrink the view to this many points (the series' length at most). None keeps
        the native length, which shows how much time has passed.
    earliness_of : {"longest", "own"}, default="longest"
        What a fraction is of, where series differ in length: of the longest training series, so
        that the cut is the same for all; or of each series' own length, which must then be known
        when predicting.
    missing : {"error", "interpolate", "mask"}, default="error"
        What becomes of NaN before a series' end: an error, a straight line between neighbours, or
        zero and further channels that say where values are. NaN at the end, in all channels, is
        the end of a series.
    precision : {"float32", "bf16"}, default="float32"
        What networks compute in while they train; ``"bf16"`` is bfloat16, with weights and losses
        in single precision, for CUDA and for CPUs with bfloat16 units (AMX), where it takes 0.4 to
        0.5 of the time with all but the smallest LSTMs. On others it is slower.
    predict_batch_size : int, default=1024
        Series read and run at once in prediction; bounds its memory.
    random_state : int, RandomState instance or None, default=None
        The same int gives the same bits on a CPU.
    device : str, default="auto"
        ``"auto"`` is CUDA where there is one, else the CPU.
    verbose : int, default=0
        1 shows one progress bar; where standard error is neither a terminal nor a notebook's, a
        line every ten seconds.
    checkpoint_dir : str or path, default=None
        Folder where the training of networks is noted down every ten seconds or so. If the
        process is killed, the same ``fit`` (same data, parameters and int as ``random_state``)
        goes on from there, to the same weights, bit for bit on a CPU; only a prior, and a teacher
        that is no network, are fitted anew. Fits may share a folder; one that succeeds removes
        its files.""",
    "teacher": """\
teacher : None, str, torch.nn.Module, classifier or list of these, default=None
    What sees whole series: None is the student's own architecture, a name or a module another
    one, trained with this estimator's settings. Any classifier with ``predict_proba``, from
    scikit-learn, sktime or aeon, is cloned and fitted on the training part, and taken as it is
    inside a ``FrozenEstimator``; its features are what its ``embed`` returns, or what the steps
    before the last of a Pipeline do, or else its log-probabilities. A list of these, or a
    ``VotingClassifier``, is an ensemble: its logits are the logarithm of its members' mean
    probability, its features theirs side by side, each standardised.""",
    "unlabeled": """\
unlabeled : object, default=None
    Value of y that marks a series without a label, ``-1`` or ``"?"`` say; NaN stands for None
    too. Such series are treated like those of ``X_unlabeled``. None takes every value for a
    label, since -1 is a class in several data sets. For searches see
    :class:`skgdpd.LabeledFolds`.""",
    "memory": """\
memory : str, path or joblib.Memory, default=None
    Folder that remembers teachers, priors and warm-ups, so that a grid search over
    ``lambda_kd`` and ``warmup_epochs`` fits each once for each training set; results are the
    same bits as without. Needs an int as ``random_state``.""",
    "teacher_attributes": """\
teacher_ : NetworkTeacher, EstimatorTeacher or EnsembleTeacher
    The fitted teacher; ``predict_proba`` and ``embed`` take whole series.""",
    "fit": """\
X : array-like of shape (n_samples, n_channels, n_timepoints)
    Whole series; 2-D is one channel. Lists of ``(n_channels, n_timepoints)`` arrays and
    sktime's pandas panels are taken too.
y : array-like of shape (n_samples,)
    Labels of any type, and the value of ``unlabeled`` where there is none.
X_unlabeled : array-like of shape (n_unlabeled, n_channels, n_timepoints), optional
    Whole series without a label. The teacher is fitted on the labelled ones; the student
    learns from what it says of all. In searches, wrap them in :class:`skgdpd.Recordings`, or
    they are cut into folds if they happen to be as many as X.
X_full : array-like of shape (n_samples, n_channels_full, n_timepoints_full), optional
    The labelled series whole. X then is what the student sees of them already, of any kind: a
    first part, fewer channels, a lower sampling rate; ``earliness`` does nothing.
X_unlabeled_full : array-like of shape (n_unlabeled, ...), optional
    Beside ``X_full``, the unlabelled series whole.
sample_weight : array-like of shape (n_samples,), optional
    Weight of each labelled series in the loss; of series marked in y it has no effect.""",
    "attributes": """\
Attributes
----------
classes_ : ndarray of shape (n_classes,)
    Labels.
n_features_in_ : int
    Channels of 3-D input, time points of 2-D input.
n_channels_in_, n_timepoints_in_ : int
    Shape of the whole series.
prefix_length_ : int
    Time points that are looked at.
module_ : torch.nn.Module
    The trained network.
history_ : History
    Loss terms by epoch.
fit_seconds_ : dict of str to float
    Seconds that each stage of the fit took: ``"student"``, and with a teacher also
    ``"teacher"`` and ``"preparation"`` (of a prior, say).""",
}
"""Text by the name that stands for it, in braces on a line of its own, in a docstring."""


class LinksToDocs:
    """Mixin of the estimators whose pictures in notebooks link to their pages in the reference.

    The address is the distribution's ``Documentation`` URL, or what the environment variable
    ``SKGDPD_DOCS`` says, of a copy on one's own disk for instance; without either there is no
    link.
    """

    _doc_link_module = __name__.split(".")[0]

    @property
    def _doc_link_template(self) -> str:
        base = os.environ.get("SKGDPD_DOCS") or _documentation_url()
        return f"{base.rstrip('/')}/api/generated/{{page}}.html" if base else ""

    def _doc_link_url_param_generator(self) -> dict[str, str]:
        parts = type(self).__module__.split(".")[:2]
        public = [part for part in parts if not part.startswith("_")]
        return {"page": ".".join([*public, type(self).__name__])}


@cache
def _documentation_url() -> str:
    try:
        urls = metadata(LinksToDocs._doc_link_module).get_all("Project-URL") or []
    except PackageNotFoundError:  # a checkout that isn't installed
        return ""
    named = dict(url.split(", ", 1) for url in urls)
    return named.get("Documentation", "")


def describe(cls: Class) -> Class:
    """Put shared descriptions in the places that docstrings of a class leave for them."""
    cls.__doc__ = _fill(cls.__doc__ or "", "    ")
    fit = cls.__dict__.get("fit")
    if fit is not None:
        fit.__doc__ = _fill(fit.__doc__ or "", "        ")
    return cls


def _fill(doc: str, margin: str) -> str:
    for name, text in SHARED.items():
        doc = doc.replace(f"{{{name}}}", textwrap.indent(textwrap.dedent(text), margin).lstrip())
    return doc
