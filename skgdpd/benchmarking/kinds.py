"""Kinds of methods of a benchmark: the only list of their names, settings and words."""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

from .. import distillers
from .._estimators.distilled import DistilledPrefixClassifier
from .._estimators.gdpd import GDPDClassifier, default_prior
from .._estimators.gendd import GenDDClassifier
from .._estimators.lupts import LuPTSClassifier
from .._estimators.prefix import PrefixClassifier
from .._runtime.dotted import load_dotted
from ..distillers import TIP, Distiller, GeneratorOptions, Hinton, RowDistiller
from . import competitors
from .teacher_choice import TeacherChoice


class Kind(NamedTuple):
    """Kind of method.

    Attributes
    ----------
    words : str
        Description in one line, for help and plots.
    make : callable
        Class of a classifier or of a distiller. For a classifier of another package, a function
        that makes one for a seed.
    settings : dict
        Parameters with other values than their defaults: those of the class, or those of
        :class:`~.competitors.CompetitorModel`.
    written : str or None
        Description in Markdown, for tables. None is ``words``.
    """

    words: str
    make: Any
    settings: dict[str, Any] = {}
    written: str | None = None


def _called(words: str, cls: type, **settings: Any) -> Kind:
    """Return a kind that tables write as the call that makes it."""
    values = {k: f'"{v}"' if isinstance(v, str) else f"{v:g}" for k, v in settings.items()}
    given = ", ".join(f"{name}={value}" for name, value in values.items())
    return Kind(words, cls, settings, f"`{cls.__name__}({given})`")


DISTILLERS = {
    name.lower(): _called(name, value)
    for name, value in vars(distillers).items()
    if isinstance(value, type)
    and issubclass(value, Distiller)
    and value not in (Distiller, RowDistiller)
}
"""All distillers, by the names of their classes in lower case."""

# Only a fit makes a prior. One epoch at this rate leaves it as it was initialised.
_UNTRAINED: dict[str, Any] = {"max_epochs": 1, "lr": 1e-12}

CONTROLS = {
    "gdpd-alone": _called("GDPD without Hinton's term", GDPDClassifier, hinton_weight=0.0),
    "gdpd-gmm": Kind(
        "GDPD, Gaussian mixture as prior",
        GDPDClassifier,
        {"prior": default_prior(denoiser="gmm")},
    ),
    "gdpd-unconditional": Kind(
        "GDPD, draws independent of the student",
        GDPDClassifier,
        {"prior": default_prior(degradation="none")},
    ),
    "gdpd-untrained": Kind(
        "GDPD, untrained prior", GDPDClassifier, {"prior": default_prior(**_UNTRAINED)}
    ),
    "gdpd-mlp": Kind(
        "GDPD, prior learned from the student's loss",
        GDPDClassifier,
        {"prior": default_prior(**_UNTRAINED, n_sampling_steps=1), "prior_trainable": True},
    ),
    "start": Kind(
        "the start: no training at all",
        DistilledPrefixClassifier,
        {"distiller": Hinton(), **_UNTRAINED},
    ),
    "hinton-long": Kind(
        "Hinton, as much time as GDPD",
        DistilledPrefixClassifier,
        # Four times as many epochs take as long.
        {"distiller": Hinton(), "max_epochs": 4 * GDPDClassifier().max_epochs},
    ),
}
"""Methods without the component to which their gain is attributed.

``gdpd-mlp`` applies a network of the denoiser's size once. ``start`` is the start of a ``rocket``,
fitted in closed form to the labels, and to the teacher's outputs for unlabelled series. The
results of all controls are in ``docs/results/controls.md``.
"""

TAUGHT = {
    "gdpd": _called("GDPD", GDPDClassifier),
    "gendd": _called("GenDD", GenDDClassifier),
    "gendd-head": _called("GenDD, own head", GenDDClassifier, deploy="student_head"),
    "gendd-draws": _called("GenDD, draws alone", GenDDClassifier, student_share=0.0),
    "gendd-paper": Kind(
        "GenDD, the paper's condition",
        GenDDClassifier,
        {
            "generator": GeneratorOptions(condition="features"),
            "student_share": 0.0,
            "n_posterior_samples": 5,
            "n_sampling_steps": 64,
        },
        "`GenDDClassifier`, the paper's condition",
    ),
    "gendd-unsupervised": Kind(
        "GenDD, labels for the teacher alone",
        GenDDClassifier,
        {"generator": GeneratorOptions(labels="teacher", contraction=0.0)},
        "`GenDDClassifier`, labels for the teacher alone",
    ),
    "hinton-2": _called("Hinton, temperature 2", Hinton, temperature=2),
    "hinton-reverse": _called("Hinton, reverse KL", Hinton, divergence="reverse"),
    "hinton-js": _called("Hinton, Jensen-Shannon", Hinton, divergence="js"),
    "hinton-skewed": _called("Hinton, skewed KL", Hinton, divergence="skewed"),
    "hinton-skewed-reverse": _called(
        "Hinton, skewed reverse KL", Hinton, divergence="skewed-reverse"
    ),
    "tip-unsure": _called("TIP, unsure series", TIP, region="unsure"),
    "tip-overconfident": _called("TIP, overconfident series", TIP, region="overconfident"),
    **CONTROLS,
}
"""Kinds with a student and a teacher, in addition to :data:`DISTILLERS`."""

STUDENTS = {
    "base": Kind("no teacher", PrefixClassifier),
    "hinton-chosen": Kind(
        "Hinton, teacher chosen by validation",
        TeacherChoice,
        written="`Hinton()`, teacher chosen by validation",
    ),
}
"""Kinds of which only the student is given."""

PLAIN = {
    "lupts": _called("LuPTS", LuPTSClassifier),
    "lupts-direct": _called("LuPTS without its chain", LuPTSClassifier, n_moments=1),
    "lupts-rocket": _called("LuPTS on MiniRocket features", LuPTSClassifier, features="rocket"),
    "lupts-rocket-direct": _called(
        "LuPTS on MiniRocket features without its chain",
        LuPTSClassifier,
        n_moments=1,
        features="rocket",
    ),
    "minirocket": Kind("MiniRocket + ridge", competitors.minirocket),
    "logistic": Kind("logistic regression", competitors.logistic),
    "extra-trees": Kind("extra trees", competitors.extra_trees),
    "self-training": Kind("self-training", competitors.self_training, {"semi_supervised": True}),
    "label-spreading": Kind(
        "label spreading", competitors.label_spreading, {"semi_supervised": True}
    ),
}
"""Kinds without student and teacher."""

LISTED = STUDENTS | TAUGHT | PLAIN
KINDS = DISTILLERS | LISTED

_BOTH = "[:STUDENT[:TEACHER]]"
FORMS = {"[:STUDENT]": STUDENTS, _BOTH: DISTILLERS | TAUGHT, "": PLAIN}
"""Kinds by what may follow their names in a method."""


def find_kind(name: str) -> tuple[Kind, str]:
    """Return a kind, and the form of what may follow its name in a method.

    Parameters
    ----------
    name : str
        An element of :data:`KINDS`, or the dotted name of a class of distillers or of classifiers.

    Returns
    -------
    kind : Kind
    form : {"[:STUDENT[:TEACHER]]", "[:STUDENT]", ""}

    Raises
    ------
    ValueError
        If there is no such kind, or it can't be imported.
    """
    for form, kinds in FORMS.items():
        if name in kinds:
            return kinds[name], form
    if "." not in name:
        raise ValueError(
            f"method={name!r} is not a method; allowed are {', '.join(LISTED)}, a distiller's "
            f"name in lower case, or the dotted name of a classifier or distiller"
        )
    try:
        found = load_dotted(name)
    except Exception as error:  # of whatever is imported
        raise ValueError(f"method={name!r} can't be imported: {error}") from error
    if isinstance(found, type) and issubclass(found, Distiller):
        return _called(found.__name__, found), _BOTH
    own = partial(competitors.make_own, name, found)
    return Kind(name, own, {"min_length": competitors.MIN_LENGTH_ELSEWHERE}), ""


def list_kinds() -> str:
    """Return the lines of the help on all kinds."""
    lines = ["kinds of methods:"]
    for form, kinds in FORMS.items():
        lines.append(f"  KIND{form}")
        lines += [f"    {name:21} {kinds[name].words}" for name in kinds if name in LISTED]
    return "\n".join(lines)
