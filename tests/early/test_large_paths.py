"""Large data: 100 000 series, 20 moments, 5 classes."""

import numpy as np
import pytest
from early_paths import gaussian_paths, setting

from skgdpd.stopping import RULES


@pytest.fixture(scope="module")
def large():
    return gaussian_paths(100_000, n_moments=20, n_classes=5, shift=0.5)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(RULES))
def test_a_hundred_thousand_series(name, large):
    path, y = large
    cost, how = setting(n_moments=20, n_classes=5, delay=0.25)
    rule = RULES[name]().fit(path, y, cost, **how)
    new, truth = gaussian_paths(5000, n_moments=20, n_classes=5, shift=0.5, seed=1)
    decided = rule.decide(new)
    assert cost.average(new, truth, decided.moment) >= cost.floor(new, truth)
    if name in ("threshold", "stopping_rule", "economy", "calimera"):
        fixed = RULES["fixed"]().fit(path, y, cost, **how).decide(new).moment
        assert cost.average(new, truth, decided.moment) < cost.average(new, truth, fixed)


def test_draws_of_rows_leave_others_out(monkeypatch):
    """Rules that draw rows are fitted to no more than these."""
    path, y = gaussian_paths(300)
    cost, how = setting()
    for name, module in (("calimera", "calimera"), ("economy", "economy"), ("teaser", "teaser")):
        monkeypatch.setattr(f"skgdpd._early.{module}.MAX_ROWS", 40)
        rule = RULES[name]().fit(path, y, cost, **how)
        assert np.isin(rule.decide(path).moment, range(6)).all()
    assert rule.starts_[1:].max() <= 40 * 6
