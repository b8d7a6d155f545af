"""Rules of when answers are corrected: guards and limits refuse, and the worst set decides."""

import numpy as np

from class_shares import divide, subsets
from share_rules import apply_rules, chosen

GOOD = {
    "p_shares": 1e-6,
    "p_ratio": 1e-6,
    "p_certainty": 0.5,
    "p_distribution": 0.5,
    "left_out": 0.9,
    "disagreement": 0.05,
}


def record(name, kind, gain, **changes):
    gains = {"em": (gain, 0.08), "copies": (gain / 2, 0.04)}
    return {"set": name, "seed": 0, "kind": kind, "noise": 0.0, "gains": gains, **GOOD, **changes}


def test_a_guard_that_refuses_leaves_the_answers_as_they_are():
    refused = record("A", "80/20", -30.0, p_shares=0.5, p_ratio=0.5)
    rules = apply_rules([refused, record("A", "95/5", 4.0)])
    gains = dict(zip(rules.names, rules.gains[:, 0], strict=True))
    assert gains["em", "", "", "", ""][1] == -30
    assert gains["em", "shares differ (p < .05)", "", "", ""][1] == 0
    assert gains["em", "shares differ (p < .05)", "", "", ""][2] == 4
    assert gains["em", "", "", "", "change <= 0.05"][2] == 0
    assert gains["copies", "", "", "", "change <= 0.05"][2] == 2
    assert np.isnan(gains["em", "", "", "", ""][0])


def test_the_worst_set_decides_before_the_mean():
    gains = np.array([[[5.0], [-1.0]], [[1.0], [-0.4]], [[0.5], [0.0]]])
    gains = np.repeat(gains, 6, 2)
    assert chosen(gains, [0, 1]) == 1
    assert chosen(gains - 1, [0, 1]) == -1


def test_labelled_and_unlabelled_series_are_apart_and_subsets_have_other_shares():
    codes = np.repeat([0, 1, 2], [3, 40, 60])
    for size in (8, 0):
        labelled, rest = divide(codes, size, 0)
        assert not set(labelled) & set(rest)
        assert set(codes[labelled]) == {0, 1, 2}
    truth = np.repeat([0, 1], 200)
    for kind, rows in subsets(truth, np.random.default_rng(0), few=True):
        assert len(set(rows)) == len(rows)
        rare = np.bincount(truth[rows], minlength=2).min() / len(rows)
        if kind in ("80/20", "95/5"):
            assert abs(rare - {"80/20": 0.2, "95/5": 0.05}[kind]) < 0.01
