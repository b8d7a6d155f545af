"""scikit-learn's own suite of checks, with no expected failure."""

from sklearn.utils.estimator_checks import parametrize_with_checks
from sklearn.utils.validation import has_fit_parameter

from skgdpd import (
    DiffusionFeaturePrior,
    DistilledPrefixClassifier,
    GDPDClassifier,
    PrefixClassifier,
    PrefixTruncator,
)

SMALL = {"student": "fcn", "max_epochs": 12, "batch_size": 8, "earliness": 1.0}

SAMPLE_WEIGHT = {
    "check_sample_weight_equivalence_on_dense_data": (
        "training in mini-batches: a repeated series falls into other batches than a heavy one"
    )
}


def expected_failures(estimator):
    return SAMPLE_WEIGHT if has_fit_parameter(estimator, "sample_weight") else {}


ESTIMATORS = [
    PrefixClassifier(**SMALL),
    DistilledPrefixClassifier(**SMALL),
    GDPDClassifier(**SMALL, prior=DiffusionFeaturePrior(encoder="pca", max_epochs=5)),
    DiffusionFeaturePrior(max_epochs=20),
    PrefixTruncator(),
]


@parametrize_with_checks(ESTIMATORS, expected_failed_checks=expected_failures, xfail_strict=True)
def test_scikit_learn_check(estimator, check):
    check(estimator)
