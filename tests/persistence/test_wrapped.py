"""Model files of scikit-learn's estimators around classifiers of this package."""

import io
import json
import pickle
import zipfile

import numpy as np
import pytest
from sklearn import calibration
from sklearn.calibration import CalibratedClassifierCV
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    FixedThresholdClassifier,
    KFold,
    TunedThresholdClassifierCV,
)
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MaxAbsScaler,
    MinMaxScaler,
    Normalizer,
    RobustScaler,
    StandardScaler,
)

from skgdpd import ModelFileError, PrefixClassifier, PrefixTruncator, load, save
from skgdpd._persistence import archive
from skgdpd._persistence.wrappers import CALIBRATORS, SCALERS
from skgdpd.datasets import make_bumps

X, y = make_bumps(36, 20, noise=0.8, random_state=0)
FLAT = X[:, 0]
THREE = np.arange(36) % 3
METHODS = ["sigmoid", "isotonic"]
if hasattr(calibration, "_TemperatureScaling"):
    METHODS.append("temperature")


def rocket():
    return PrefixClassifier("rocket", earliness=0.5, random_state=0)


def scaled():
    return make_pipeline(StandardScaler(), rocket())


def frozen():
    return FrozenEstimator(rocket().fit(FLAT, y))


MODELS = {
    **{method: CalibratedClassifierCV(rocket(), method=method, cv=2) for method in METHODS},
    "frozen": CalibratedClassifierCV(frozen(), method="sigmoid"),
    "one for all": CalibratedClassifierCV(rocket(), cv=2, ensemble=False),
    "fixed": FixedThresholdClassifier(rocket(), threshold=0.3, pos_label=1),
    "fixed frozen": FixedThresholdClassifier(frozen(), threshold=0.7),
    "tuned": TunedThresholdClassifierCV(
        rocket(), cv=2, thresholds=5, scoring="f1", store_cv_results=True
    ),
    "pipeline": scaled(),
    "all scalers": make_pipeline(
        MinMaxScaler(), MaxAbsScaler(), RobustScaler(), Normalizer(), StandardScaler(), rocket()
    ),
    "without mean": make_pipeline(StandardScaler(with_mean=False, with_std=False), rocket()),
    "no step": Pipeline([("none", "passthrough"), ("cut", PrefixTruncator(0.5)), ("c", rocket())]),
    "calibrated pipeline": CalibratedClassifierCV(scaled(), cv=2),
    "threshold of calibrated": FixedThresholdClassifier(
        CalibratedClassifierCV(rocket(), cv=2), threshold=0.4
    ),
}


@pytest.fixture(scope="module")
def fitted():
    """Function that returns a fitted model by its name."""
    made = {}

    def get(name):
        if name not in made:
            made[name] = MODELS[name].fit(FLAT, y)
        return made[name]

    return get


def header_of(path):
    with zipfile.ZipFile(path) as file:
        return json.loads(file.read("model.json"))


def altered(path, change):
    """Change the model in a file's header, with a checksum that fits, as an attacker would."""
    with zipfile.ZipFile(path) as file:
        members = {name: file.read(name) for name in file.namelist()}
    header = json.loads(members["model.json"])
    change(header["model"])
    header.pop("checksum")
    header["checksum"] = archive._checksum(header)
    members["model.json"] = json.dumps(header).encode()
    path.write_bytes(archive._zipped(members))


@pytest.mark.parametrize("name", MODELS)
def test_what_is_opened_predicts_the_same_bits(name, fitted, tmp_path):
    model = fitted(name)
    save(model, tmp_path / "model")
    opened = load(tmp_path / "model")
    assert type(opened) is type(model)
    np.testing.assert_array_equal(opened.predict_proba(FLAT), model.predict_proba(FLAT))
    np.testing.assert_array_equal(opened.predict(FLAT), model.predict(FLAT))
    save(opened, tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == (tmp_path / "model").read_bytes()


@pytest.mark.parametrize("name", ["sigmoid", "tuned", "pipeline", "fixed"])
def test_what_is_opened_can_be_fitted_again_to_the_same_bits(name, fitted, tmp_path):
    model = fitted(name)
    save(model, tmp_path / "model")
    opened = load(tmp_path / "model").fit(FLAT, y)
    np.testing.assert_array_equal(opened.predict_proba(FLAT), model.predict_proba(FLAT))


@pytest.mark.parametrize("method", METHODS)
def test_three_classes_and_three_dimensions(method, tmp_path):
    labels = np.array(["a", "b", "c"])[THREE]
    model = CalibratedClassifierCV(rocket(), method=method, cv=2).fit(X, labels)
    save(model, tmp_path / "model")
    opened = load(tmp_path / "model")
    np.testing.assert_array_equal(opened.predict_proba(X), model.predict_proba(X))
    np.testing.assert_array_equal(opened.predict(X), model.predict(X))


def test_save_is_the_method_save_of_our_own_classifiers(tmp_path):
    clf = rocket().fit(X, y)
    clf.save(tmp_path / "method")
    save(clf, tmp_path / "function")
    assert (tmp_path / "method").read_bytes() == (tmp_path / "function").read_bytes()


@pytest.mark.parametrize("name", ["isotonic", "tuned", "calibrated pipeline", "frozen"])
def test_nothing_is_pickled(name, fitted, tmp_path, monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("a pickle")

    model = fitted(name)
    for module, method in ((pickle, "dumps"), (pickle, "loads"), (pickle, "load")):
        monkeypatch.setattr(module, method, refuse)
    save(model, tmp_path / "model")
    load(tmp_path / "model")
    with zipfile.ZipFile(tmp_path / "model") as file:
        assert sorted(file.namelist()) == ["model.json", "tensors.safetensors"]
        for member in file.namelist():
            with pytest.raises((pickle.UnpicklingError, ValueError, EOFError, KeyError)):
                pickle.Unpickler(io.BytesIO(file.read(member))).load()
    text = json.dumps(header_of(tmp_path / "model"))
    assert "sklearn." not in text
    assert "CalibratedClassifierCV" not in text


def test_the_device_of_an_opened_model_is_that_of_load(fitted, tmp_path):
    save(fitted("sigmoid"), tmp_path / "model")
    assert load(tmp_path / "model", device="cpu").estimator.device == "cpu"


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (make_pipeline(FunctionTransformer(), rocket()), "steps.*FunctionTransformer.*joblib"),
        (CalibratedClassifierCV(LogisticRegression(), cv=2), "LogisticRegression.*joblib"),
        (CalibratedClassifierCV(rocket(), cv=KFold(2, shuffle=True)), r"cv=.*omit=\('cv',\)"),
        (LogisticRegression(), "LogisticRegression is a class.*another package.*joblib"),
        (StandardScaler(), "StandardScaler is a class.*another package.*joblib"),
    ],
    ids=["step", "inner", "cv", "other", "scaler"],
)
def test_what_cannot_be_saved_is_named_and_nothing_is_written(model, words, tmp_path):
    with pytest.raises(ValueError, match=words):
        save(model.fit(FLAT, y), tmp_path / "model")
    assert not any(tmp_path.iterdir())


def test_a_splitter_may_be_left_out(tmp_path):
    model = CalibratedClassifierCV(rocket(), cv=KFold(2, shuffle=True, random_state=0))
    save(model.fit(FLAT, y), tmp_path / "model", omit=("cv",))
    opened = load(tmp_path / "model")
    assert opened.cv is None
    np.testing.assert_array_equal(opened.predict_proba(FLAT), model.predict_proba(FLAT))
    with pytest.raises(ValueError, match="omit has 'estimator'"):
        save(model, tmp_path / "model", omit=("estimator",))


def test_what_is_not_fitted_is_not_saved(tmp_path):
    with pytest.raises(NotFittedError):
        save(CalibratedClassifierCV(rocket()), tmp_path / "model")


def member(model):
    return model["state"]["calibrated_classifiers_"][0]["state"]


def calibrator(model):
    return member(model)["calibrators"][0]["state"]


CRAFTED = {
    "no members": ("sigmoid", lambda m: m["state"].update(calibrated_classifiers_=[])),
    "a member of another kind": (
        "sigmoid",
        lambda m: m["state"].update(calibrated_classifiers_=[m["parameters"]["estimator"]]),
    ),
    "no calibrators": ("sigmoid", lambda m: member(m).update(calibrators=[])),
    "another calibrator": (
        "sigmoid",
        lambda m: member(m).update(calibrators=[m["parameters"]["estimator"]]),
    ),
    "nan": ("sigmoid", lambda m: calibrator(m).update(a_={"type": "float", "value": "nan"})),
    "text": ("sigmoid", lambda m: calibrator(m).update(b_="1")),
    "no number": ("isotonic", lambda m: calibrator(m).update(X_min_=None)),
    "swapped": (
        "isotonic",
        lambda m: calibrator(m).update(X_thresholds_=calibrator(m)["y_thresholds_"]),
    ),
    "more classes": (
        "sigmoid",
        lambda m: m["state"].update(
            classes_={"type": "labels", "dtype": "object", "items": [0, 1, 2]}
        ),
    ),
    "no classifier": ("fixed", lambda m: m["state"].update(estimator_=3)),
    "no threshold": ("tuned", lambda m: m["state"].update(best_threshold_="high")),
    "a scorer that is none": ("tuned", lambda m: m["parameters"].update(scoring="os.system")),
    "no steps": ("pipeline", lambda m: m["state"].update(steps=[])),
    "steps that are none": ("pipeline", lambda m: m["state"].update(steps=["rm", "-rf"])),
    "a name that leads elsewhere": (
        "pipeline",
        lambda m: m["state"]["steps"][1]["items"].__setitem__(0, "steps__device"),
    ),
    "a name of a parameter": (
        "pipeline",
        lambda m: m["state"]["steps"][1]["items"].__setitem__(0, "memory"),
    ),
    "a name that comes twice": (
        "pipeline",
        lambda m: (
            m["state"]["steps"].insert(0, {"type": "tuple", "items": ["x", None]})
            or m["state"]["steps"].insert(0, {"type": "tuple", "items": ["x", None]})
        ),
    ),
    "a scaler at the end": ("pipeline", lambda m: m["state"]["steps"].pop()),
    "a classifier before the end": (
        "pipeline",
        lambda m: m["state"].update(steps=[m["state"]["steps"][1]] * 2),
    ),
    "a memory": ("pipeline", lambda m: m["state"].update(memory="/tmp")),
    "features that are not there": (
        "pipeline",
        lambda m: m["state"]["steps"][0]["items"][1]["state"].update(n_features_in_=10**12),
    ),
}


@pytest.mark.parametrize("name", CRAFTED)
def test_crafted_files_are_refused(name, fitted, tmp_path):
    model, change = CRAFTED[name]
    save(fitted(model), tmp_path / "model")
    altered(tmp_path / "model", change)
    with pytest.raises(ModelFileError, match="model"):
        load(tmp_path / "model")


def test_the_page_lists_what_may_be_around_a_classifier():
    from pathlib import Path

    page = (Path(__file__).parents[2] / "docs" / "saving.md").read_text()
    for cls in [scaler for scaler, _ in SCALERS.values()]:
        assert f"`{cls.__name__}`" in page
    assert set(CALIBRATORS) >= {"sigmoid-calibration", "isotonic-regression"}
