"""Forms of GenDD's generator: they differ from the default in one thing, and the store is kept."""

import json
import warnings
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import generated_features as forms
from generated_features import DEFAULT, STUDENT, Fit, table
from prior_use import divide, read_store, with_settings
from skgdpd import GenDDClassifier
from skgdpd.datasets import TrainTest
from skgdpd.distillers import generator


def parts(n=36):
    rng = np.random.default_rng(0)
    y = np.array(["a", "b"])[np.arange(n) % 2]
    X = rng.normal(size=(n, 1, 40)).astype(np.float32) + (y == "b")[:, None, None]
    return TrainTest(X, y, X[:2], y[:2])


@pytest.fixture(autouse=True)
def few_steps(monkeypatch):
    monkeypatch.setattr(generator, "AUTO_STEPS", 20)
    warnings.simplefilter("ignore")


@pytest.fixture(scope="module")
def fit():
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        patch.setattr(generator, "AUTO_STEPS", 20)
        found = Fit(divide(parts(), "unlabelled", 0), "rocket", 0)
        assert len(found.stages) == len(forms.SHARES)
    return found


@pytest.mark.parametrize("setting", ["labels", "unlabelled"])
def test_the_default_form_has_the_bits_of_the_classifier(setting, fit):
    data = divide(parts(), setting, 0)
    own = fit if setting == "unlabelled" else Fit(data, "rocket", 0)
    clf = with_settings(GenDDClassifier, "rocket", 0, None).fit(data.X, data.y, data.pool)
    proba = own.stages[-1].probabilities(*own.outputs, forms.CPU)
    np.testing.assert_array_equal(proba, clf.predict_proba(data.X_scored))
    alone = clf.set_params(deploy="student_head").predict_proba(data.X_scored)
    np.testing.assert_allclose(own.clf.predict_proba(data.X_scored), alone, rtol=1e-5)


def test_stages_are_states_of_one_training(fit):
    first, *_, last = (stage.diffusion.denoiser.enter.weight for stage in fit.stages)
    start = fit.distillation().diffusion.denoiser.enter.weight
    moved = [(weight - start).norm() for weight in (first, last)]
    assert 0 < moved[0] < moved[1]
    assert not any(stage.diffusion.training for stage in fit.stages)


def test_changed_options_start_from_the_same_weights(fit):
    own, other = fit.distillation(), fit.distillation(label_share=1.0, condition_dropout=0.5)
    states = [d.diffusion.state_dict() for d in (own, other)]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_noise_of_conditions_has_its_deviation_and_nothing_else_changes(fit, monkeypatch):
    d = fit.distillation()
    noisy = forms.NoisyConditions(d.distiller, d.diffusion, d.encoder, d.centroids, d.head)
    known = {
        name: t[:1].repeat(2000, *[1] * (t.ndim - 1)) for name, t in fit.pairs.tensors.items()
    }
    seen = []

    def loss(codes, condition, *rest):
        seen.append(condition)
        return torch.zeros(len(codes))

    monkeypatch.setattr(d.diffusion, "loss", loss)
    noisy.loss(known["condition"], known, torch.Generator().manual_seed(0))
    change = (seen[0] - known["condition"]).numpy()
    assert change.std() == pytest.approx(forms.CONDITION_NOISE, rel=0.05)
    assert abs(change.mean()) < 0.03


def test_dropout_changes_the_network_in_training_only(fit):
    plain = fit.distillation().diffusion
    dropped = forms.with_dropout(fit.distillation()).diffusion
    inputs = torch.randn(4, plain.n_features), torch.zeros(4, dtype=torch.long)
    condition = plain.denoiser.condition(fit.pairs.tensors["condition"][:4])
    with torch.no_grad():
        for network in (plain, dropped):
            # A new network has closed gates, behind which nothing can be seen.
            for block in network.denoiser.blocks:
                block.modulation.bias.fill_(1.0)
            torch.nn.init.eye_(network.denoiser.leave.weight)
            network.denoiser.modulation.bias.fill_(1.0)
        own, same = (m.eval().denoiser(*inputs, condition) for m in (plain, dropped))
        torch.testing.assert_close(own, same)
        assert not torch.allclose(own, dropped.train().denoiser(*inputs, condition))
    assert not forms.GENERATORS["network dropout"](fit).diffusion.training


def test_training_stops_at_the_least_left_out_loss(fit, monkeypatch):
    sizes = []

    class Answer:
        def __init__(self, right):
            self.right = right

        def probabilities(self, z_short, logits, device):
            y = fit.pairs.tensors["y"].numpy()
            # The rows that are held out are those that no snapshot has learned from.
            assert len(logits) + sizes[0] == len(y)
            return (
                np.full((len(logits), 2), 0.5)
                if self.right
                else np.tile([1.0, 1e-9], (len(logits), 1))
            )

    def snapshots(pairs):
        sizes.append(len(pairs))
        return [Answer(i == 2) for i in range(len(forms.SHARES))]

    monkeypatch.setattr(fit, "snapshots", snapshots)
    assert forms.early_stopped(fit) is fit.stages[2]
    assert sizes[0] < len(fit.pairs)


def test_features_of_other_students_are_turned_to_those_of_the_final_one(fit, monkeypatch):
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(128, 128)))[0]

    class Turned:
        def embed(self, X):
            return fit.clf.embed(X) @ turn + 3

    n = len(fit.pairs)
    numbers = np.arange(n) % 2
    monkeypatch.setitem(vars(fit), "folds", (numbers, [Turned(), Turned()]))
    every = np.concatenate([fit.data.X, fit.data.pool])
    own = fit.clf.embed(every)
    found = fit.left_out_features().numpy()
    # What varies within the series of both is recovered, and nothing becomes longer.
    for k in range(2):
        out = numbers == k
        z = own - own[~out].mean(0)
        basis = np.linalg.svd(z[~out], full_matrices=False)[2][: (~out).sum() - 1]
        error = (found[out] - own[out]) @ basis.T
        assert np.abs(error).max() < 1e-3 * np.abs(z).max()


def test_left_out_students_have_not_seen_their_fold(fit, monkeypatch):
    seen, classes = [], fit.classes

    class Recorded:
        classes_ = classes

        def fit(self, X, y, pool=None):
            seen.append((len(X), len(pool)))
            return self

        def set_params(self, **params):
            return self

        def predict_proba(self, X):
            return np.tile([0.3, 0.7], (len(X), 1))

    vars(fit).pop("folds", None)
    monkeypatch.setattr(forms, "with_settings", lambda *args: Recorded())
    proba = fit.left_out_proba()
    np.testing.assert_allclose(proba, np.tile([0.3, 0.7], (len(fit.data.y), 1)))
    n = len(fit.data.y) + len(fit.data.pool)
    assert sum(n - labelled - hidden for labelled, hidden in seen) == n
    vars(fit).pop("folds")


def test_uses_of_the_draws_are_probabilities_and_agree_on_certain_draws(fit):
    own = fit.stages[-1]
    for proba in (*forms.of_draws(fit, own).values(), forms.logistic(fit)):
        np.testing.assert_allclose(proba.sum(1), 1)
    d = fit.distillation()
    centre = d.centroids[:1].double()

    class Certain:
        student_share = 0.0
        head = torch.nn.Linear(centre.shape[1], 2, dtype=torch.float64)

        def draw(self, z_short, logits, device):
            return centre.expand(len(logits), 3, -1).numpy()

    torch.nn.init.zeros_(Certain.head.weight)
    with torch.no_grad():
        Certain.head.bias.copy_(torch.tensor([50.0, 0.0]))
    for proba in forms.of_draws(fit, Certain()).values():
        np.testing.assert_allclose(proba, np.tile([1.0, 0.0], (len(proba), 1)), atol=1e-12)


@pytest.mark.parametrize(
    "name", ["features", "labels", "condition noise", "cross-fitted features"]
)
def test_each_form_has_scores(fit, name):
    found = forms.run(fit, name)
    assert name in found
    assert all(set(own) == set(forms.METRICS) for own in found.values())


def test_rows_of_the_tables_are_forms_that_are_scored(fit):
    found = {*forms.run(fit, DEFAULT), *forms.TRAINED}
    found |= {f"{name}, {own}" for name in forms.WITH_DRAWS for own in forms.DRAWS}
    assert {*forms.CAUSES, *forms.CHANGES} <= found
    assert len(set(forms.CHANGES)) == len(forms.CHANGES)


def test_tables_have_the_forms_that_are_asked_for():
    asked = forms.of_forms(forms.CHANGES, [DEFAULT, "labels"])
    assert "labels" in asked
    assert f"{DEFAULT}, draws alone" in asked
    assert {STUDENT, "votes", "guidance 2"} <= set(asked)
    assert not {"no labels", "features"} & set(asked)
    few = forms.of_forms(forms.CAUSES, [DEFAULT])
    assert few == [f"{DEFAULT}, 5 draws of 64 steps", f"{DEFAULT}, draws alone", DEFAULT]


def records():
    def of(gain):
        return dict.fromkeys(forms.METRICS, 0.5 + gain)

    where = ("labels", "mixed")
    return {
        ("A", *where, DEFAULT, 0): of(0.0),
        ("A", *where, DEFAULT, 1): of(0.1),
        ("A", *where, "labels", 0): of(0.2),
        ("A", *where, "labels", 1): of(0.1),
        ("B", *where, DEFAULT, 0): of(0.3),
        ("B", *where, "labels", 0): of(0.0),
        ("C", *where, "labels", 0): of(0.4),
    }


def test_differences_are_paired_by_set_and_seed_and_have_one_degree_of_freedom_less():
    lines = table(records(), "labels", "mixed", ["labels", "no labels"], DEFAULT)
    assert lines[2].startswith(f"| {DEFAULT} | 3 | 0.675 / ")  # two sets: .55 and .8
    # Gains of .1 and -.3: their standard deviation with ddof 1 is .2828, over the root of two.
    assert lines[3].startswith("| labels | 4 | ")
    assert lines[3].count("-0.100 ± 0.200") == len(forms.METRICS)
    assert len(lines) == 4  # no record of the other form


def test_p_values_are_adjusted_for_the_rows():
    base = dict.fromkeys(forms.METRICS, 0.5)
    known = {}
    for i in range(10):
        known[str(i), "labels", "mixed", DEFAULT, 0] = base
        known[str(i), "labels", "mixed", "labels", 0] = dict.fromkeys(
            forms.METRICS, 0.6 + 0.01 * i
        )
    alone = table(known, "labels", "mixed", ["labels"], DEFAULT)
    assert alone[3].count("(p 0.002)") == len(forms.METRICS)  # 2 / 2**10: all signs are equal
    known |= {(*k[:3], STUDENT, 0): base for k in list(known) if k[3] == DEFAULT}
    two = table(known, "labels", "mixed", [STUDENT, "labels"], DEFAULT)
    assert two[4].count("(p 0.0039)") == len(forms.METRICS)


def test_a_store_is_gone_on_with_and_not_run_twice(tmp_path, monkeypatch):
    folder, store = tmp_path / "sets", tmp_path / "store.jsonl"
    folder.mkdir()
    names = ("X_train", "y_train", "X_test", "y_test")
    np.savez(folder / "A.npz", **dict(zip(names, parts(), strict=True)))
    asked = []

    def run(fit, name):
        asked.append((fit.seed, name))
        return {name: {"log_loss": 1.0}, f"{name}, draws alone": {"log_loss": 2.0}}

    monkeypatch.setattr(forms, "run", run)
    monkeypatch.setattr(forms, "Fit", lambda data, student, seed: SimpleNamespace(seed=seed))
    cells = [("A", "labels", "mixed", seed) for seed in range(2)]
    forms.collect(folder, cells[:1], ["labels"], store)
    for _ in range(2):
        forms.collect(folder, cells, ["labels", "no labels"], store)
    assert asked == [(0, "labels"), (0, "no labels"), (1, "labels"), (1, "no labels")]
    lines = [json.loads(line) for line in store.read_text().splitlines()]
    assert len(lines) == len(read_store(store)) == 8


def test_memory_is_three_log_losses(fit):
    scored = {"log_loss": 0.7}
    found = forms.memory(fit, scored)
    assert list(found) == ["training", "left_out", "scored"]
    assert found["scored"] == 0.7
    line = forms.memory_line({("A", "labels", "mixed", forms.MEMORY, 0): found}, "labels")
    assert line.endswith("other series 0.700")
