"""What skops can keep, as the page on saving says."""

from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skgdpd import LuPTSClassifier, PrefixClassifier, PrefixTruncator
from skgdpd.datasets import make_bumps

skops_io = pytest.importorskip("skops.io")
PAGE = Path(__file__).parents[2] / "docs" / "saving.md"
X, y = make_bumps(30, 20, random_state=0)
FLAT = X[:, 0]
KEPT = {
    "truncator": make_pipeline(PrefixTruncator(0.5), StandardScaler(), LogisticRegression()),
    "lupts": make_pipeline(StandardScaler(), LuPTSClassifier(random_state=0)),
}


@pytest.mark.parametrize("name", KEPT)
def test_what_holds_no_tensor_is_kept_with_the_trusted_types_of_the_page(name):
    model = KEPT[name].fit(FLAT, y)
    content = skops_io.dumps(model)
    types = skops_io.get_untrusted_types(data=content)
    assert types
    page = PAGE.read_text()
    assert all(f"`{each}`" in page for each in types)
    opened = skops_io.loads(content, trusted=types)
    np.testing.assert_array_equal(opened.predict_proba(FLAT), model.predict_proba(FLAT))


def test_parameters_are_kept():
    model = PrefixClassifier("rocket", earliness=0.5)
    content = skops_io.dumps(model)
    opened = skops_io.loads(content, trusted=skops_io.get_untrusted_types(data=content))
    assert opened.get_params() == model.get_params()


@pytest.mark.parametrize(
    "model", [PrefixClassifier("rocket"), LuPTSClassifier(features="rocket")], ids=repr
)
def test_fitted_networks_are_not_kept(model):
    """Once they are, the page on saving must say so."""
    with pytest.raises(RuntimeError, match="TensorBase"):
        skops_io.dumps(model.fit(X, y))
