"""Exported graphs say what the classifiers say."""

import json
import os
import stat

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from skgdpd import DistilledPrefixClassifier, GDPDClassifier, PrefixClassifier, SeriesOptions
from skgdpd._fitting.onnx import interpolated
from skgdpd._series.views import interpolate
from skgdpd.distillers import DHO, LELP
from skgdpd.nets import available_backbones

pytest.importorskip("onnx")
pytest.importorskip("onnxscript")
onnxruntime = pytest.importorskip("onnxruntime")

QUICK = "lstm1-8"


def open_graph(path):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(path, options)


def assert_same(clf, prefixes, path):
    clf.export_onnx(path)
    graph = open_graph(path)
    for n in (1, 2, len(prefixes)):
        some = prefixes[:n].astype(np.float32)
        (found,) = graph.run(["probabilities"], {"prefix": some})
        np.testing.assert_allclose(found, clf.predict_proba(some), rtol=0, atol=1e-5)
    return graph


@pytest.mark.parametrize(
    "backbone",
    [
        pytest.param(name, marks=() if name in (QUICK, "fcn", "rocket") else pytest.mark.slow)
        for name in available_backbones()
    ],
)
def test_a_graph_equals_its_classifier(backbone, bumps, tmp_path):
    X, y = bumps
    clf = PrefixClassifier(backbone, max_epochs=2, random_state=0).fit(30 * X + 4, y)
    prefixes = 30 * X[:, :, : clf.prefix_length_] + 4
    metadata = assert_same(clf, prefixes, tmp_path / "model.onnx").get_modelmeta()
    assert json.loads(metadata.custom_metadata_map["classes"]) == ["no", "yes"]
    assert metadata.custom_metadata_map["prefix_length"] == str(clf.prefix_length_)


@pytest.mark.parametrize(
    "how",
    [
        {"normalize": "prefix"},
        pytest.param({"normalize": None, "series__resample_length": 17}, marks=pytest.mark.slow),
        {"series__missing_values": "mask", "normalize": "prefix"},
    ],
    ids=str,
)
def test_what_the_view_does_is_in_the_graph(how, tmp_path):
    rng = np.random.default_rng(0)
    X = rng.normal(1000, 1, (30, 2, 20))
    y = rng.integers(0, 3, 30)
    if "series__missing_values" in how:
        X[::3, 0, 2:4] = np.nan
    clf = PrefixClassifier(QUICK, earliness=0.5, max_epochs=1, random_state=0)
    clf.set_params(**how).fit(X, y)
    assert_same(clf, X[:, :, :10], tmp_path / "model.onnx")


@pytest.mark.slow
@pytest.mark.parametrize("student", ["rocket", "rocket-quant", "mixed"])
def test_series_used_for_the_biases_of_rocket_stay_on_their_side(student, tmp_path):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(12, 3, 40)), np.arange(12) % 2
    clf = PrefixClassifier(student, earliness=0.6, max_epochs=1, random_state=0).fit(X, y)
    assert_same(clf, X[:, :, : clf.prefix_length_], tmp_path / "model.onnx")
    short = PrefixClassifier(student, earliness=0.1, max_epochs=1, random_state=0).fit(X, y)
    assert_same(short, X[:, :, : short.prefix_length_], tmp_path / "model.onnx")


def test_the_students_of_teachers_are_exported(bumps, tmp_path):
    X, y = bumps
    clf = GDPDClassifier(student=QUICK, max_epochs=2, random_state=0).fit(X, y)
    assert_same(clf, X[:, :, : clf.prefix_length_], tmp_path / "model.onnx")


@pytest.mark.parametrize("distiller", [DHO(), LELP()], ids=repr)
def test_so_are_students_with_other_heads(distiller, bumps, tmp_path):
    X, y = bumps
    clf = DistilledPrefixClassifier(distiller, student=QUICK, max_epochs=2, random_state=0)
    clf.fit(X, y)
    assert_same(clf, X[:, :, : clf.prefix_length_], tmp_path / "model.onnx")


def test_labels_of_any_type_are_in_the_metadata(bumps, tmp_path):
    X, _ = bumps
    days = np.array(["2020-01-01", "2021-01-01"], dtype="datetime64[D]")
    clf = PrefixClassifier(QUICK, max_epochs=1, random_state=0).fit(X, np.arange(60) % 2 + 5)
    assert json.loads(metadata_of(clf, tmp_path)["classes"]) == [5, 6]
    clf.classes_ = days
    assert json.loads(metadata_of(clf, tmp_path)["classes"]) == ["2020-01-01", "2021-01-01"]


def metadata_of(clf, folder):
    clf.export_onnx(folder / "model.onnx")
    return open_graph(folder / "model.onnx").get_modelmeta().custom_metadata_map


def test_a_file_appears_whole_or_not_at_all(bumps, tmp_path, monkeypatch):
    X, y = bumps
    clf = PrefixClassifier(QUICK, max_epochs=1, random_state=0).fit(X, y)
    path = tmp_path / "model.onnx"
    path.write_text("what was there")

    def fail(*args):
        raise OSError("no space")

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", fail)
        with pytest.raises(OSError, match="no space"):
            clf.export_onnx(path)
    assert path.read_text() == "what was there"
    state = torch.get_rng_state()
    clf.export_onnx(str(path))
    assert [p.name for p in tmp_path.iterdir()] == ["model.onnx"]
    assert torch.equal(torch.get_rng_state(), state)
    other = tmp_path / "other"
    other.touch()
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE(other.stat().st_mode)
    assert clf.predict(X).shape == (60,)


def test_what_cannot_be_exported_is_refused(bumps, tmp_path):
    X, y = bumps
    clf = PrefixClassifier(QUICK, max_epochs=1, random_state=0)
    with pytest.raises(NotFittedError):
        clf.export_onnx(tmp_path / "model.onnx")
    clf.fit(X, y)
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        clf.export_onnx(tmp_path / "nowhere" / "model.onnx")
    filling = clone(clf).set_params(series__missing_values="interpolate")
    ragged = [x[:, : 20 + i % 20] for i, x in enumerate(X)]
    with pytest.raises(ValueError, match="missing_values='interpolate' can't be exported"):
        filling.fit(ragged, y).export_onnx(tmp_path / "model.onnx")
    own = clone(clf).set_params(series__earliness_of="own").fit(ragged, y)
    with pytest.raises(ValueError, match="earliness_of='own'"):
        own.export_onnx(tmp_path / "model.onnx")


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 1.0])
def test_a_graph_fills_gaps_as_a_view_does(share):
    rng = np.random.default_rng(0)
    values = rng.normal(size=(40, 3, 17)).astype(np.float32) * 10 + 3
    values[rng.random(values.shape) < share] = np.nan
    found = interpolated(torch.from_numpy(values), ~torch.isnan(torch.from_numpy(values)))
    np.testing.assert_allclose(found.numpy(), interpolate(values, None), rtol=1e-6, atol=1e-5)


@pytest.mark.parametrize("normalize", ["train", "prefix"])
def test_a_graph_with_gaps_equals_its_classifier(normalize, bumps, tmp_path):
    X, y = bumps
    series = SeriesOptions(missing_values="interpolate", short_series="ended")
    clf = PrefixClassifier(QUICK, max_epochs=1, random_state=0, normalize=normalize, series=series)
    clf.fit(30 * X + 4, y)
    prefixes = 30 * X[:, :, : clf.prefix_length_] + 4
    prefixes[np.random.default_rng(0).random(prefixes.shape) < 0.4] = np.nan
    prefixes[1, :, 3:] = np.nan
    prefixes[2, 0] = np.nan
    assert_same(clf, prefixes, tmp_path / "model.onnx")
