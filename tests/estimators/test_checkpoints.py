"""Fits that were killed go on to the same weights."""

import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from sklearn.base import clone
from torch import nn

from skgdpd import (
    DiffusionFeaturePrior,
    DistilledPrefixClassifier,
    GDPDClassifier,
    GenDDClassifier,
    GeneratorOptions,
    PrefixClassifier,
    TrainingOptions,
)
from skgdpd._runtime.atomic import HOST
from skgdpd.distillers import (
    GDPD,
    PACED,
    VID,
    GroundTruthMixing,
    GroupReweighting,
    InfluenceWeights,
    RecursiveAnchoring,
    SelfTeacher,
    TeKAP,
    TrustRegion,
)
from skgdpd.training import checkpoint
from skgdpd.training.net import TermNet
from skgdpd.training.state import TrainingState

PRIOR = DiffusionFeaturePrior(encoder="pca", max_epochs=3)
SMALL = {
    "student": "lstm1-8",
    "max_epochs": 10,
    "random_state": 0,
    "prior": PRIOR,
    "batch_size": 32,
}

PROGRAM = """
import sys
import numpy as np
from skgdpd import DiffusionFeaturePrior, GDPDClassifier, TrainingOptions
from skgdpd.datasets import make_bumps
from skgdpd.training import checkpoint

checkpoint.CHECKPOINT_SECONDS = 0.0
X, y = make_bumps(60, 40, noise=0.3, random_state=0)
clf = GDPDClassifier(
    student="fcn", max_epochs=12, random_state=0, batch_size=16,
    prior=DiffusionFeaturePrior(max_epochs=3, degradation="linear-gaussian"),
    training=TrainingOptions(checkpoint_dir=sys.argv[1] or None),
)
print("start", flush=True)
clf.fit(X, y)
weights = {k: v.numpy() for k, v in clf.module_.state_dict().items()}
np.savez(sys.argv[2], proba=clf.predict_proba(X), **weights)
"""


class Killed(Exception):
    pass


@pytest.fixture
def kill(monkeypatch):
    """Let a training die in the middle of an epoch, as many epochs from now as it is told."""
    monkeypatch.setattr(checkpoint, "CHECKPOINT_SECONDS", 0.0)
    left = [None]
    original = TermNet.train_step

    def step(net, batch, **kwargs):
        if left[0] is not None:
            left[0] -= 1
            if left[0] < 0:
                raise Killed
        return original(net, batch, **kwargs)

    def after(n_steps):
        left[0] = n_steps

    monkeypatch.setattr(TermNet, "train_step", step)
    return after


def files(folder):
    return sorted(path.name for path in folder.iterdir())


def deaths_of(fit, X, y, kill, n_steps=7):
    """Fit, and die after every so many steps, until it is done."""
    for n_deaths in range(40):
        kill(n_steps)
        try:
            fit.fit(X, y)
        except Killed:
            continue
        return n_deaths
    raise AssertionError("it never ends")


def same_fit(one, two, X):
    np.testing.assert_array_equal(one.predict_proba(X), two.predict_proba(X))
    for name in one.history_:
        np.testing.assert_array_equal(one.history_[name], two.history_[name])
    assert one.history_.best_epoch == two.history_.best_epoch


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"prior": clone(PRIOR).set_params(degradation="matched-noise")},
        {"prior": clone(PRIOR).set_params(degradation="linear-gaussian"), "warmup_epochs": 0},
        {
            "prior_trainable": True,
            "training__early_stopping": 2,
            "training__weight_averaging": 0.0,
        },
    ],
    ids=lambda p: "-".join(p) or "plain",
)
def test_a_fit_that_dies_again_and_again_is_the_fit(bumps, tmp_path, kill, params):
    X, y = bumps
    clf = GDPDClassifier().set_params(**{**SMALL, **params})
    own = clone(clf).fit(X, y)
    fit = clone(clf).set_params(training__checkpoint_dir=tmp_path)
    assert deaths_of(fit, X, y, kill) > 2
    same_fit(own, fit, X)
    assert files(tmp_path) == []


@pytest.mark.parametrize(
    "distiller",
    [
        VID(),
        TeKAP(),
        GroundTruthMixing(),
        SelfTeacher(),
        TrustRegion(),
        GroupReweighting(),
        InfluenceWeights(refresh_every=2),
        RecursiveAnchoring(),
        PACED(GDPD(clone(PRIOR).set_params(degradation="linear-gaussian"), warmup_epochs=2)),
    ],
    ids=lambda d: type(d).__name__,
)
def test_what_a_distiller_has_seen_is_not_forgotten(bumps, tmp_path, kill, distiller):
    X, y = bumps
    small = {name: SMALL[name] for name in ("student", "random_state", "batch_size")}
    clf = DistilledPrefixClassifier(distiller, max_epochs=6, **small)
    own = clone(clf).fit(X, y)
    fit = clone(clf).set_params(training__checkpoint_dir=tmp_path)
    assert deaths_of(fit, X, y, kill) > 2
    same_fit(fit, own, X)


def test_a_generator_s_training_goes_on_whatever_the_user_has_drawn(bumps, tmp_path, kill):
    X, y = bumps
    small = {name: SMALL[name] for name in ("student", "max_epochs", "random_state")}
    clf = GenDDClassifier(
        **small,
        generator=GeneratorOptions(condition="features", max_epochs=9, hidden=16),
        n_sampling_steps=4,
    )
    own = clone(clf).fit(X, y)
    fit = clone(clf).set_params(training__checkpoint_dir=tmp_path)
    n_before = 10 * 3 + 10 * 3  # batches of the teacher and of the student
    for seed in (1, 2):
        torch.manual_seed(seed)
        before = torch.get_rng_state()
        kill((n_before if seed == 1 else 0) + 6)
        with pytest.raises(Killed):
            fit.fit(X, y)
        assert torch.equal(before, torch.get_rng_state())
        assert len(files(tmp_path)) == 3, "teacher, student and generator"
    kill(2 * 9)
    before = torch.get_rng_state()
    same_fit(own, fit.fit(X, y), X)
    assert torch.equal(before, torch.get_rng_state())
    assert files(tmp_path) == []


def test_the_teacher_is_not_trained_twice(bumps, tmp_path, kill):
    X, y = bumps
    fit = GDPDClassifier(
        **SMALL, training=TrainingOptions(checkpoint_dir=str(tmp_path / "new" / "folder"))
    )
    n_steps = 10 * 2  # two batches an epoch
    kill(n_steps + 3 * 1 + 5)  # the prior has one
    with pytest.raises(Killed):
        fit.fit(X, y)
    assert len(files(tmp_path / "new" / "folder")) == 2
    kill(n_steps + 3 * 1 - 2 * 2)  # two of the student's epochs were written
    fit.fit(X, y)
    kill(None)
    same_fit(clone(fit).set_params(training__checkpoint_dir=None).fit(X, y), fit, X)


def test_checkpoints_of_others_are_neither_used_nor_removed(bumps, tmp_path, kill):
    X, y = bumps
    clf = PrefixClassifier(
        "lstm1-8",
        max_epochs=6,
        batch_size=16,
        random_state=0,
        training=TrainingOptions(checkpoint_dir=tmp_path),
    )
    kill(12)
    with pytest.raises(Killed):
        clone(clf).fit(X, y)
    (left,) = files(tmp_path)
    kill(None)
    for params, data in [
        ({"lr": 0.01}, (X, y)),
        ({"random_state": 1}, (X, y)),
        ({"max_epochs": 7}, (X, y)),
        ({"training__early_stopping": 1}, (X, y)),
        ({}, (X * 1.001, y)),
        ({}, (X, y[::-1])),
    ]:
        other = clone(clf).set_params(**params)
        own = clone(other).set_params(training__checkpoint_dir=None).fit(*data)
        same_fit(own, other.fit(*data), X)
        assert files(tmp_path) == [left]
    clf.fit(X, y)
    assert files(tmp_path) == []


def died(X, y, folder, kill):
    """Return a classifier whose fit died, one that was fitted, and the checkpoint that is left."""
    clf = PrefixClassifier(
        "lstm1-8", max_epochs=6, batch_size=16, random_state=0,
        training=TrainingOptions(checkpoint_dir=folder),
    )  # fmt: skip
    own = clone(clf).set_params(training__checkpoint_dir=None).fit(X, y)
    kill(12)
    with pytest.raises(Killed):
        clf.fit(X, y)
    kill(None)
    (path,) = folder.iterdir()
    return clf, own, path


@pytest.mark.parametrize("damage", ["cut", "one bit", "other", "empty"])
def test_a_damaged_checkpoint_is_said_and_not_used(bumps, tmp_path, kill, damage):
    X, y = bumps
    clf, own, path = died(X, y, tmp_path, kill)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(
        {
            "cut": content[: len(content) // 2],
            "one bit": content,
            "other": b"x" * 99,
            "empty": b"",
        }[damage]
    )
    with pytest.warns(UserWarning, match="is damaged.* is now .*the training starts anew") as said:
        clf.fit(X, y)
    same_fit(own, clf, X)
    (aside,) = files(tmp_path)
    assert aside in str(said[0].message)
    assert aside == f"{path.stem}.unusable"


def saved_state(tensors, facts):
    return TrainingState(tensors, facts).to_bytes()


def changed(content, **facts):
    state = TrainingState.from_bytes(content)
    return saved_state(state.tensors, {**state.facts, **facts})


def without_optimizer(content):
    state = TrainingState.from_bytes(content)
    kept = {n: t for n, t in state.tensors.items() if not n.startswith("optimizer")}
    return saved_state(kept, {**state.facts, "groups": []})


def with_other_shapes(content):
    state = TrainingState.from_bytes(content)
    return saved_state({n: t.flatten()[:1] for n, t in state.tensors.items()}, state.facts)


OTHER_CONTENTS = {
    "no state": lambda content: b"state",
    "no facts": lambda content: saved_state({}, {}),
    "epoch in words": lambda content: changed(content, epoch="three"),
    "scheduler of another": lambda content: changed(content, scheduler=[3]),
    "no optimizer": without_optimizer,
    "other shapes": with_other_shapes,
}


@pytest.mark.parametrize("other", OTHER_CONTENTS)
def test_another_state_under_the_right_digest_is_put_aside(bumps, tmp_path, kill, other):
    X, y = bumps
    clf, own, path = died(X, y, tmp_path, kill)
    content = OTHER_CONTENTS[other](path.read_bytes()[checkpoint.DIGEST_SIZE :])
    path.write_bytes(checkpoint._digest(path, content) + content)
    with pytest.warns(UserWarning, match="holds no state of this training.*starts anew"):
        clf.fit(X, y)
    same_fit(own, clf, X)
    assert files(tmp_path) == [f"{path.stem}.unusable"]


def test_a_checkpoint_under_another_s_name_is_put_aside(bumps, tmp_path, kill):
    X, y = bumps
    clf = PrefixClassifier(
        "lstm1-8", max_epochs=6, batch_size=16, random_state=0,
        training=TrainingOptions(checkpoint_dir=tmp_path),
    )  # fmt: skip
    other = clone(clf).set_params(lr=0.02)
    own = clone(clf).set_params(training__checkpoint_dir=None).fit(X, y)
    paths = []
    for dying in (clf, other):
        kill(12)
        with pytest.raises(Killed):
            dying.fit(X, y)
        paths.append(next(path for path in tmp_path.iterdir() if path not in paths))
    kill(None)
    paths[1].replace(paths[0])
    with pytest.warns(UserWarning, match="is damaged, or another training's"):
        clf.fit(X, y)
    same_fit(own, clf, X)


@pytest.mark.parametrize("full", [False, True], ids=["empty", "with a file in it"])
def test_a_folder_in_place_of_a_checkpoint_is_put_aside(bumps, tmp_path, kill, full):
    X, y = bumps
    clf, own, path = died(X, y, tmp_path, kill)
    path.unlink()
    path.mkdir()
    if full:
        (path / "mine").write_text("kept")
    with pytest.warns(UserWarning, match="is a folder"):
        clf.fit(X, y)
    same_fit(own, clf, X)
    (aside,) = tmp_path.iterdir()
    assert not full or (aside / "mine").read_text() == "kept"


@pytest.mark.skipif(os.name == "nt", reason="Windows can't ask whether a process lives")
def test_parts_of_dead_processes_go_with_the_next_checkpoint(bumps, tmp_path, kill):
    X, y = bumps
    clf = PrefixClassifier(
        "lstm1-8", max_epochs=4, random_state=0,
        training=TrainingOptions(checkpoint_dir=tmp_path),
    )  # fmt: skip
    kill(3)
    with pytest.raises(Killed):
        clf.fit(X, y)
    (path,) = tmp_path.iterdir()
    with subprocess.Popen([sys.executable, "-c", ""]) as dead:
        dead.wait()
    for pid in (dead.pid, os.getppid()):
        (tmp_path / f"{path.stem}.{HOST}-{pid}-1.part").write_text("half")
    (tmp_path / f"{path.stem}.elsewhere-{dead.pid}-1.part").write_text("half")
    kill(3)
    with pytest.raises(Killed):
        clf.fit(X, y)
    assert files(tmp_path) == sorted(
        [
            path.name,
            f"{path.stem}.{HOST}-{os.getppid()}-1.part",
            f"{path.stem}.elsewhere-{dead.pid}-1.part",
        ]
    )


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pipes among files")
@pytest.mark.parametrize("kind", ["link", "pipe"])
def test_a_checkpoint_that_is_no_plain_file_is_said_and_not_read(bumps, tmp_path, kill, kind):
    X, y = bumps
    clf, own, path = died(X, y, tmp_path, kill)
    path.unlink()
    if kind == "link":
        path.symlink_to("/dev/zero")
    else:
        os.mkfifo(path)
    with pytest.warns(UserWarning, match=f"is a {kind}.* and the training starts anew"):
        clf.fit(X, y)
    same_fit(own, clf, X)
    assert files(tmp_path) == [f"{path.stem}.unusable"]


def test_checkpoints_and_cache_together(bumps, tmp_path, kill):
    X, y = bumps
    clf = GDPDClassifier(**SMALL)
    both = clone(clf).set_params(
        training__checkpoint_dir=tmp_path / "checkpoints", memory=str(tmp_path / "memory")
    )
    for warmup, n_steps in [(3, 30), (6, 9), (5, 6), (5, 2)]:
        own = clone(clf).set_params(warmup_epochs=warmup)
        kill(None)
        own.fit(X, y)
        fit = clone(both).set_params(warmup_epochs=warmup)
        kill(n_steps)
        with pytest.raises(Killed):
            fit.fit(X, y)
        kill(None)
        same_fit(own, fit.fit(X, y), X)
    assert files(tmp_path / "checkpoints") == []


def test_nothing_is_written_without_a_folder_and_little_with_one(bumps, tmp_path, monkeypatch):
    X, y = bumps
    written = []
    original = checkpoint._write
    monkeypatch.setattr(checkpoint, "_write", lambda *a: (written.append(a), original(*a)))
    clf = GDPDClassifier(**SMALL).fit(X, y)
    assert not written
    clf.set_params(training__checkpoint_dir=tmp_path).fit(X, y)
    assert len(written) == 2  # the ends of both trainings, for they took less than ten seconds


def test_a_folder_without_a_seed_is_warned_of(bumps, tmp_path):
    X, y = bumps
    clf = PrefixClassifier(
        "lstm1-8", max_epochs=1, training=TrainingOptions(checkpoint_dir=tmp_path)
    )
    with pytest.warns(UserWarning, match="checkpoint_dir is of no use with random_state=None"):
        clf.fit(X, y)
    assert files(tmp_path) == []


def test_a_folder_that_cannot_be_made_is_refused_before_training(bumps, tmp_path):
    X, y = bumps
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match=r"checkpoint_dir=.*file.* can't be used as a folder"):
        PrefixClassifier(
            training=TrainingOptions(checkpoint_dir=tmp_path / "file"), random_state=0
        ).fit(X, y)
    with pytest.raises(ValueError, match="checkpoint_dir"):
        PrefixClassifier(training=TrainingOptions(checkpoint_dir=3)).fit(X, y)


def test_a_folder_that_vanishes_does_not_end_the_training(bumps, tmp_path, monkeypatch):
    X, y = bumps
    monkeypatch.setattr(checkpoint, "CHECKPOINT_SECONDS", 0.0)
    clf = PrefixClassifier("lstm1-8", max_epochs=3, random_state=0)
    own = clone(clf).fit(X, y)
    folder = tmp_path / "folder"
    original = TermNet.next_epoch

    def next_epoch(net, rows):
        shutil.rmtree(folder, ignore_errors=True)
        original(net, rows)

    monkeypatch.setattr(TermNet, "next_epoch", next_epoch)
    with pytest.warns(UserWarning, match="no checkpoint could be written .* the training goes on"):
        clf.set_params(training__checkpoint_dir=folder).fit(X, y)
    same_fit(own, clf, X)


def test_two_processes_at_one_training_do_not_hurt_each_other(bumps, tmp_path, monkeypatch):
    X, y = bumps
    monkeypatch.setattr(checkpoint, "CHECKPOINT_SECONDS", 0.0)
    clf = PrefixClassifier(
        "lstm1-8", max_epochs=4, random_state=0, training=TrainingOptions(checkpoint_dir=tmp_path)
    )
    original = TermNet.next_epoch
    inner = []

    def next_epoch(net, rows):
        original(net, rows)
        if net.epoch_ == 2 and not inner:
            inner.append(None)
            inner[0] = clone(clf).fit(X, y)

    monkeypatch.setattr(TermNet, "next_epoch", next_epoch)
    outer = clone(clf).fit(X, y)
    same_fit(inner[0], outer, X)
    assert files(tmp_path) == []


def test_a_network_that_cannot_be_recognised_is_warned_of(bumps, tmp_path):
    X, y = bumps

    class WithLambda(nn.Linear):
        def __init__(self, n_timepoints):
            super().__init__(n_timepoints, 4)
            self.squash = lambda x: x

        def forward(self, x):
            return self.squash(super().forward(x.flatten(1)))

    clf = PrefixClassifier(
        lambda c, t: WithLambda(t),
        max_epochs=2,
        random_state=0,
        training=TrainingOptions(checkpoint_dir=tmp_path),
    )
    with pytest.warns(UserWarning, match="checkpoint_dir is of no use here"):
        clf.fit(X, y)
    assert files(tmp_path) == []


def start(folder, out):
    program = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(folder), str(out)], stdout=subprocess.PIPE, text=True
    )
    assert program.stdout.readline() == "start\n"
    return program


@pytest.mark.slow
def test_two_processes_at_one_fit_end_with_the_same_weights(tmp_path):
    with start("", tmp_path / "own.npz") as own:
        assert own.wait() == 0
    folder = tmp_path / "checkpoints"
    with start(folder, tmp_path / "a.npz") as a, start(folder, tmp_path / "b.npz") as b:
        assert a.wait() == b.wait() == 0
    assert files(folder) == []
    with np.load(tmp_path / "own.npz") as own:
        for name in ("a.npz", "b.npz"):
            with np.load(tmp_path / name) as other:
                for key in own.files:
                    np.testing.assert_array_equal(own[key], other[key])


@pytest.mark.slow
def test_a_killed_process_loses_nothing(tmp_path):
    """Killed at moments that nobody chose, until a fit survives."""
    folder = tmp_path / "checkpoints"
    with start("", tmp_path / "own.npz") as program:
        begin = time.monotonic()
        program.wait()
        assert program.returncode == 0
        seconds = time.monotonic() - begin
    rng = np.random.default_rng(0)
    n_kills = 0
    while True:
        with start(folder, tmp_path / "resumed.npz") as program:
            wait = rng.uniform(0.1, 0.5) * seconds if n_kills < 4 else None
            try:
                program.wait(wait)
                break
            except subprocess.TimeoutExpired:
                os.kill(program.pid, signal.SIGKILL)
                program.wait()
                assert program.returncode == -signal.SIGKILL
                n_kills += 1
    assert program.returncode == 0
    assert n_kills >= 2
    assert files(folder) == []
    with np.load(tmp_path / "own.npz") as own, np.load(tmp_path / "resumed.npz") as resumed:
        assert own.files == resumed.files
        for name in own.files:
            np.testing.assert_array_equal(own[name], resumed[name])
