"""Estimators' pictures in notebooks: they show, and link to pages of our own."""

import pytest
from sklearn.base import BaseEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.utils import estimator_html_repr

import skgdpd
from skgdpd import distillers
from skgdpd._runtime import doc_links as _docs
from skgdpd.sktime import SklearnTransformer

OWN = {
    "skgdpd.PrefixClassifier": skgdpd.PrefixClassifier(),
    "skgdpd.DistilledPrefixClassifier": skgdpd.DistilledPrefixClassifier(),
    "skgdpd.GDPDClassifier": skgdpd.GDPDClassifier(),
    "skgdpd.DiffusionFeaturePrior": skgdpd.DiffusionFeaturePrior(),
    "skgdpd.PrefixTruncator": skgdpd.PrefixTruncator(),
    "skgdpd.SharedGridSearchCV": skgdpd.SharedGridSearchCV(skgdpd.PrefixClassifier(), {"lr": [1]}),
    "skgdpd.distillers.GDPD": distillers.GDPD(None),
    "skgdpd.distillers.Hinton": distillers.Hinton(),
    "skgdpd.sktime.SklearnTransformer": SklearnTransformer(None),
}


@pytest.fixture
def base(monkeypatch):
    monkeypatch.setenv("SKGDPD_DOCS", "https://docs.invalid/skgdpd/")
    return "https://docs.invalid/skgdpd"


@pytest.mark.parametrize("name", OWN)
def test_a_picture_links_to_the_class_s_page(base, name):
    module, _, cls = name.rpartition(".")
    assert getattr(__import__(module, fromlist=[cls]), cls) is type(OWN[name])
    link = f"{base}/api/generated/{name}.html"
    assert OWN[name]._get_doc_link() == link
    assert link in estimator_html_repr(OWN[name])


def test_every_public_estimator_is_here():
    modules = (skgdpd, distillers)
    classes = {getattr(module, name) for module in modules for name in module.__all__}
    for cls in classes:
        if isinstance(cls, type) and issubclass(cls, BaseEstimator):
            assert issubclass(cls, _docs.LinksToDocs), cls


def test_others_have_links_of_their_own(base):
    class Own(skgdpd.PrefixClassifier):
        pass

    assert Own()._get_doc_link() == ""
    assert "scikit-learn.org" in LogisticRegression()._get_doc_link()
    inside = estimator_html_repr(skgdpd.GDPDClassifier(teacher=LogisticRegression()))
    assert "scikit-learn.org" in inside
    assert base in inside


@pytest.mark.parametrize(
    ("urls", "link"),
    [
        (None, ""),
        (["Source, https://a.invalid"], ""),
        (
            ["Source, https://a.invalid", "Documentation, https://d.invalid/x"],
            "https://d.invalid/x/api/generated/skgdpd.PrefixClassifier.html",
        ),
    ],
)
def test_without_a_variable_the_address_is_the_distribution_s(monkeypatch, urls, link):
    monkeypatch.delenv("SKGDPD_DOCS", raising=False)

    class Pretended:
        def get_all(self, name):
            assert name == "Project-URL"
            return urls

    monkeypatch.setattr(_docs, "metadata", lambda name: Pretended())
    _docs._documentation_url.cache_clear()
    try:
        clf = skgdpd.PrefixClassifier()
        assert clf._get_doc_link() == link
        picture = estimator_html_repr(clf)
        assert "PrefixClassifier" in picture
        assert 'href=""' not in picture
    finally:
        _docs._documentation_url.cache_clear()


def test_a_package_that_is_not_installed_has_no_links(monkeypatch):
    monkeypatch.delenv("SKGDPD_DOCS", raising=False)

    def missing(name):
        raise _docs.PackageNotFoundError(name)

    monkeypatch.setattr(_docs, "metadata", missing)
    _docs._documentation_url.cache_clear()
    try:
        assert skgdpd.PrefixClassifier()._get_doc_link() == ""
    finally:
        _docs._documentation_url.cache_clear()


def test_a_fitted_classifier_shows_its_parameters(bumps):
    clf = skgdpd.PrefixClassifier("fcn", max_epochs=1, random_state=0).fit(*bumps)
    picture = clf._repr_html_()
    assert "max_epochs" in picture
    assert "fitted" in picture.lower()
