"""Series of the fit that are scored: said by evaluate, and only there."""

import numpy as np
import pytest

from skgdpd import EarlyClassifier, PrefixClassifier, load
from skgdpd._cli.main import main
from skgdpd._cli.training_series import digests_of, known_words
from skgdpd.datasets import make_bumps

QUICK = ["--student", "rocket", "--epochs", "0", "--method", "prefix", "--quiet"]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Paths of a training file, of others, and of models of one moment and of several."""
    folder = tmp_path_factory.mktemp("known")
    X, y = make_bumps(60, 40, noise=0.3, random_state=0)
    paths = {name: str(folder / f"{name}.npz") for name in ("train", "test", "both")}
    np.savez(paths["train"], X=X[:30], y=y[:30])
    np.savez(paths["test"], X=X[30:], y=y[30:])
    np.savez(paths["both"], X=X[20:], y=y[20:])
    paths["one"], paths["several"] = str(folder / "one.zip"), str(folder / "several.zip")
    assert main(["fit", paths["train"], "--out", paths["one"], *QUICK]) == 0
    moments = ["--earliness", "0.3", "0.6", "1.0", "--delay-cost", "0.4"]
    assert main(["fit", paths["train"], "--out", paths["several"], *moments, *QUICK]) == 0
    return paths


@pytest.mark.parametrize("model", ["one", "several"])
def test_evaluate_counts_the_series_of_the_fit(files, model, capsys, tmp_path):
    pytest.importorskip("matplotlib")
    assert main(["evaluate", files[model], files["test"]]) == 0
    assert "in the fit of the model" not in capsys.readouterr().out
    page = tmp_path / "page.html"
    assert main(["evaluate", files[model], files["both"], "--report", str(page)]) == 0
    words = "10 of these 40 series were in the fit of the model"
    assert words in capsys.readouterr().out
    assert words in page.read_text()


def test_predict_says_nothing_of_it(files, capsys):
    assert main(["predict", files["one"], files["train"]]) == 0
    out, err = capsys.readouterr()
    assert "in the fit" not in out + err


def test_unlabelled_series_of_the_fit_are_counted(files, capsys, tmp_path):
    model = str(tmp_path / "model.zip")
    options = ["--student", "rocket", "--epochs", "1", "--quiet", "--unlabeled", files["test"]]
    assert main(["fit", files["train"], "--out", model, *options]) == 0
    assert main(["evaluate", model, files["test"]]) == 0
    assert "30 of these 30 series were in the fit" in capsys.readouterr().out


def test_padding_changes_no_digest_and_values_do():
    X = np.random.default_rng(0).normal(size=(5, 2, 9))
    padded = np.concatenate([X, np.full((5, 2, 4), np.nan)], 2)
    np.testing.assert_array_equal(digests_of(padded), digests_of(X))
    np.testing.assert_array_equal(digests_of(X[::-1]), digests_of(X)[::-1])
    other = X.copy()
    other[2, 1, 3] = np.nextafter(X[2, 1, 3], 9)
    changed = digests_of(other) != digests_of(X)
    assert changed.tolist() == [False, False, True, False, False]
    assert not np.isin(digests_of(X[:, :, :-1]), digests_of(X)).any()


@pytest.mark.parametrize("model", ["one", "several"])
def test_a_fit_in_python_forgets_the_file(files, model):
    X, y = make_bumps(30, 40, random_state=1)
    fitted = load(files[model])
    assert len(fitted.series_digests_) == 30
    fitted.fit(X, y)
    assert not hasattr(fitted, "series_digests_")
    assert known_words(X, fitted) == []


def test_an_early_classifier_forgets_the_names_of_an_earlier_frame():
    pandas = pytest.importorskip("pandas")
    X, y = make_bumps(30, 20, random_state=0)
    frame = pandas.DataFrame(X[:, 0], columns=[f"t{i}" for i in range(20)])
    early = EarlyClassifier(
        PrefixClassifier("rocket", earliness=[0.5, 1.0], max_epochs=0, random_state=0),
        random_state=0,
    )
    assert early.fit(frame, y).feature_names_in_[0] == "t0"
    assert not hasattr(early.fit(X, y), "feature_names_in_")
