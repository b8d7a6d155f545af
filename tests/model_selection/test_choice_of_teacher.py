"""A search that chooses the teacher by the student's loss."""

import numpy as np
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV, StratifiedKFold

from skgdpd import DistilledPrefixClassifier, SharedGridSearchCV
from skgdpd.distillers import Hinton

TEACHERS = [None, "fcn24", ["fcn24", "lstm2-32"]]


def small():
    return DistilledPrefixClassifier(
        Hinton(), student="lstm1-8", max_epochs=2, random_state=0, device="cpu"
    )


def test_the_choice_is_by_the_students_loss_on_series_that_neither_has_seen(bumps):
    X, y = bumps
    folds = StratifiedKFold(2, shuffle=True, random_state=0)
    search, plain = (
        cls(small(), {"teacher": TEACHERS}, scoring="neg_log_loss", cv=folds).fit(X, y)
        for cls in (SharedGridSearchCV, GridSearchCV)
    )
    scores = search.cv_results_["mean_test_score"]
    np.testing.assert_allclose(scores, plain.cv_results_["mean_test_score"], rtol=1e-5)
    assert len(set(scores.tolist())) == len(TEACHERS)
    for teacher, score in zip(TEACHERS, scores, strict=True):
        losses = []
        for train, test in folds.split(X, y):
            student = small().set_params(teacher=teacher).fit(X[train], y[train])
            losses.append(log_loss(y[test], student.predict_proba(X[test])))
        np.testing.assert_allclose(-score, np.mean(losses), rtol=1e-5)
    assert search.best_params_["teacher"] == TEACHERS[int(scores.argmax())]
