"""Model files that are damaged or crafted: one clear error, and nothing large is made of them."""

import json
import os
import re
import sys
import threading
import zipfile
from collections import Counter

import crafting
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn import calibration
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import FixedThresholdClassifier, TunedThresholdClassifierCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    MaxAbsScaler,
    MinMaxScaler,
    Normalizer,
    RobustScaler,
    StandardScaler,
)

from skgdpd import (
    DiffusionFeaturePrior,
    DistilledPrefixClassifier,
    EarlyClassifier,
    GDPDClassifier,
    GenDDClassifier,
    GeneratorOptions,
    LuPTSClassifier,
    ModelFileError,
    PrefixClassifier,
    PrefixTruncator,
    SeriesOptions,
    TrainingOptions,
    load,
    save,
)
from skgdpd._persistence import archive, registry
from skgdpd.datasets import make_bumps
from skgdpd.distillers import DHO, LELP

X, Y = make_bumps(24, 24, noise=0.3, random_state=0)
QUICK = {"max_epochs": 1, "random_state": 0}
PRIOR = DiffusionFeaturePrior(n_diffusion_steps=20, max_epochs=1, random_state=0)


def generated():
    options = GeneratorOptions(max_epochs=1, depth=1, hidden=16, n_diffusion_steps=20)
    return GenDDClassifier(
        "lstm1-8", student="lstm1-8", generator=options, n_sampling_steps=4, **QUICK
    )


MODELS = {
    "lstm": lambda: PrefixClassifier("lstm1-8", **QUICK),
    "fcn": lambda: PrefixClassifier("fcn24", normalize="prefix", **QUICK),
    "tcn": lambda: PrefixClassifier("tcn", earliness=[0.5, 1.0], **QUICK),
    "rocket": lambda: PrefixClassifier("rocket", series=SeriesOptions(resample_length=9), **QUICK),
    "forest": lambda: PrefixClassifier("rocket-quant", **QUICK),
    "mixed": lambda: PrefixClassifier(
        "mixed", series=SeriesOptions(missing_values="mask"), **QUICK
    ),
    "moments": lambda: PrefixClassifier("mixed", earliness=[0.5, 1.0], **QUICK),
    "taught": lambda: GDPDClassifier("lstm1-8", student="lstm1-8", prior=PRIOR, **QUICK),
    "ensemble": lambda: DistilledPrefixClassifier(
        LELP(), teacher=["lstm1-8", "fcn24"], student="lstm1-8", **QUICK
    ),
    "dual": lambda: DistilledPrefixClassifier(DHO(), teacher="fcn24", student="fcn24", **QUICK),
    "generated": generated,
    "early": lambda: EarlyClassifier(
        PrefixClassifier("rocket", earliness=[0.5, 1.0], random_state=0), cv=2, random_state=0
    ),
    "lupts": lambda: LuPTSClassifier(random_state=0),
    "lupts of rocket": lambda: LuPTSClassifier(features="rocket", random_state=0),
}


def small():
    return PrefixClassifier("lstm1-8", **QUICK)


def scaled():
    scalers = [StandardScaler(), MinMaxScaler(), MaxAbsScaler(), RobustScaler(), Normalizer()]
    return make_pipeline(PrefixTruncator(0.5), *scalers, small())


WRAPPED = {
    "sigmoid": lambda: CalibratedClassifierCV(small(), cv=2),
    "isotonic": lambda: CalibratedClassifierCV(small(), method="isotonic", cv=2),
    "frozen": lambda: CalibratedClassifierCV(FrozenEstimator(small().fit(X, Y)), cv=2),
    "fixed": lambda: FixedThresholdClassifier(small(), threshold=0.4, pos_label=1),
    "tuned": lambda: TunedThresholdClassifierCV(
        small(), cv=2, thresholds=3, scoring="f1", store_cv_results=True
    ),
    "pipeline": scaled,
    "calibrated pipeline": lambda: CalibratedClassifierCV(scaled(), cv=2),
}
"""Estimators of scikit-learn, which save takes and which have no method of that name."""
if hasattr(calibration, "_TemperatureScaling"):
    WRAPPED["temperature"] = lambda: CalibratedClassifierCV(small(), method="temperature", cv=2)
MODELS |= WRAPPED
SMALL = ["lstm", "taught", "generated"]
EQUAL = "opened with equal predictions"
ANSWERS = "opened and answering with distributions"
REFUSES = "opened and refusing to predict"
DAMAGE = "A model file that was damaged is refused with `ModelFileError`, or predicts as before."
CRAFTED = (
    "A model file that was altered below fitting checksums is refused, or is a model that "
    "predicts distributions or refuses to; none takes 3 GiB of memory."
)


def series_for(model):
    """Return the series, as a table for estimators of scikit-learn."""
    return X if hasattr(model, "save") else X[:, 0]


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """Function that returns the path of a saved model of a name, and its probabilities."""
    folder, made = tmp_path_factory.mktemp("saved"), {}

    def get(name):
        if name not in made:
            model = MODELS[name]()
            data = series_for(model)
            model.fit(data, Y)
            parts = [part for part in ("teacher", "prior") if hasattr(model, f"{part}_")]
            save(model, folder / name, include=[p for p in parts if name != "dual"])
            made[name] = folder / name, model.predict_proba(data)
        return made[name]

    return get


def same_as(proba):
    def check(opened):
        np.testing.assert_array_equal(opened.predict_proba(X), proba)
        return EQUAL

    return check


def answers(opened):
    """Predict; a model of a crafted file may refuse to, but gives no row that is no answer."""
    try:
        with torch.no_grad(), np.errstate(all="ignore"):
            proba = opened.predict_proba(series_for(opened))
            labels = opened.predict(series_for(opened))
    except MemoryError:
        raise
    except Exception as error:
        if "alloc" in str(error):
            raise
        return REFUSES
    assert np.isfinite(proba).all()
    assert proba.min() >= 0
    np.testing.assert_allclose(proba.sum(1), 1, atol=1e-6)
    assert len(labels) == len(X)
    return ANSWERS


# Damage


@pytest.mark.parametrize("name", SMALL)
def test_damage_is_refused_or_changes_no_answer(saved, tmp_path, promise, name):
    path, proba = saved(name)
    contents = crafting.damages(path.read_bytes(), 60, np.random.default_rng(0))
    found = crafting.outcomes(contents, tmp_path / "model", load, same_as(proba))
    assert found["refused"] > 40
    promise(DAMAGE, "flips, cuts and lost parts", found)


@pytest.mark.slow
def test_damage_is_refused_ten_thousand_times(saved, tmp_path, promise):
    n, total = 10_000, Counter()
    names = ["lstm", "fcn", "taught", "generated", "ensemble"]
    for i, name in enumerate(names):
        path, proba = saved(name)
        contents = crafting.damages(path.read_bytes(), n // len(names), np.random.default_rng(i))
        total += crafting.outcomes(contents, tmp_path / "model", load, same_as(proba))
    assert sum(total.values()) == n
    promise(DAMAGE, "flips, cuts and lost parts", total)


@given(st.binary(max_size=300))
@settings(
    max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_any_bytes_are_refused(tmp_path, content):
    (tmp_path / "model").write_bytes(content)
    with pytest.raises(ModelFileError, match=re.escape(str(tmp_path))):
        load(tmp_path / "model")
    (tmp_path / "model").write_bytes(b"PK\x03\x04" + content)
    with pytest.raises(ModelFileError, match=re.escape(str(tmp_path))):
        load(tmp_path / "model")


# Below checksums that fit


def crafted_files(path, n, rng):
    header, tensors = crafting.unpacked(path)
    return crafting.packed(crafting.crafted(header, tensors, rng) for _ in range(n))


@pytest.mark.parametrize(
    "name", [*SMALL, "fcn", "rocket", "ensemble", "early", "lupts", "lupts of rocket", *WRAPPED]
)
def test_crafted_files_are_refused_or_harmless(saved, tmp_path, promise, name):
    contents = crafted_files(saved(name)[0], 12, np.random.default_rng(1))
    with crafting.limited_memory():
        found = crafting.outcomes(contents, tmp_path / "model", load, answers)
    assert sum(found.values()) == 12
    promise(CRAFTED, "crafted files", found)


@pytest.mark.slow
def test_two_thousand_crafted_files_are_refused_or_harmless(saved, tmp_path, promise):
    n, total = 2_000, Counter()
    share = -(-n // len(MODELS))
    for i, name in enumerate(MODELS):
        size = min(share, n - i * share)
        contents = crafted_files(saved(name)[0], size, np.random.default_rng(100 + i))
        with crafting.limited_memory():
            total += crafting.outcomes(contents, tmp_path / "model", load, answers)
    assert sum(total.values()) == n
    promise(CRAFTED, "crafted files", total)


def network_of(header):
    return header["model"]["state"]["network_"]["state"]


def weights_of(header):
    return dict(network_of(header)["weights"]["items"])


CLAIMS = {
    "classes": ("lstm", lambda h: network_of(h).update(n_classes=10**8)),
    "subclasses": (
        "lstm",
        lambda h: network_of(h).update(
            head="subclasses", head_settings={"type": "dict", "items": [["n_subclasses", 10**9]]}
        ),
    ),
    "channels": (
        "lstm",
        lambda h: network_of(h)["view"]["state"].update(n_channels_=10**8),
    ),
    "points": (
        "lstm",
        lambda h: network_of(h)["view"]["state"].update(
            n_whole_=10**6, n_seen_=10**6, n_out_=10**6, time_points_=[10**6]
        ),
    ),
    "points of rocket": (
        "rocket",
        lambda h: network_of(h)["view"]["state"].update(n_out_=10**6, resample_length=10**6),
    ),
    "another network": ("lstm", lambda h: network_of(h).update(backbone="mixed")),
    "batch": ("lstm", lambda h: network_of(h).update(batch_size=0)),
    "steps": (
        "taught",
        lambda h: h["model"]["state"]["prior_"]["state"]["latent_"]["state"].update(n_steps=10**9),
    ),
    "width": (
        "taught",
        lambda h: h["model"]["state"]["prior_"]["state"]["latent_"]["state"].update(
            n_features=10**6
        ),
    ),
    "hidden": (
        "generated",
        lambda h: h["model"]["state"]["predictor_"]["state"]["diffusion"]["state"].update(
            hidden=10**6
        ),
    ),
    "depth": (
        "generated",
        lambda h: h["model"]["state"]["predictor_"]["state"]["diffusion"]["state"].update(
            depth=10**9
        ),
    ),
    "draws": (
        "generated",
        lambda h: h["model"]["state"]["predictor_"]["state"].update(n_draws=10**9),
    ),
    "labels": (
        "lstm",
        lambda h: h["model"]["state"].update(
            classes_={"type": "labels", "dtype": "<U900000000", "items": ["a", "b"]}
        ),
    ),
    "more labels than classes": (
        "lstm",
        lambda h: h["model"]["state"].update(
            classes_={"type": "labels", "dtype": "<U1", "items": ["a", "b", "c"]}
        ),
    ),
    "no labels": ("lstm", lambda h: h["model"]["state"].update(classes_=[0, 1])),
    "prefix": ("lstm", lambda h: h["model"]["state"].update(prefix_length_="12")),
}


@pytest.mark.parametrize("claim", CLAIMS)
def test_a_claim_beyond_the_file_is_refused_before_anything_is_made(saved, tmp_path, claim):
    name, change = CLAIMS[claim]
    header, tensors = crafting.unpacked(saved(name)[0])
    change(header)
    crafting.pack(tmp_path / "model", header, tensors)
    with crafting.limited_memory(2**28):
        if claim == "points":  # as large as a user's own series would have to be
            opened = load(tmp_path / "model")
            with pytest.raises(ValueError, match="time points"):
                opened.predict_proba(X)
            return
        with pytest.raises(ModelFileError, match="can't be opened") as caught:
            load(tmp_path / "model")
    assert "alloc" not in str(caught.value)


def test_one_tensor_makes_one_network(saved, tmp_path):
    header, tensors = crafting.unpacked(saved("lstm")[0])
    network = header["model"]["state"]["network_"]
    header["model"]["state"]["history_"] = [network] * 3
    crafting.pack(tmp_path / "model", header, tensors)
    with pytest.raises(ModelFileError, match="don't fit together"):
        load(tmp_path / "model")


@pytest.mark.parametrize("name", ["lstm", "mixed", "taught"])
@pytest.mark.parametrize(
    "change",
    [
        lambda t: t.flatten()[: max(t.numel() // 2, 1)].clone(),
        lambda t: torch.zeros(0, 10**9, dtype=t.dtype),
        lambda t: t.to(torch.bool),
        lambda t: t[None].clone(),
    ],
    ids=["short", "empty", "boolean", "deep"],
)
def test_tensors_of_another_shape_or_type_are_refused(saved, tmp_path, name, change):
    header, tensors = crafting.unpacked(saved(name)[0])
    for key in [key for key in tensors if key.startswith("network_.weights")][::3]:
        crafting.pack(tmp_path / "model", header, {**tensors, key: change(tensors[key])})
        with (
            crafting.limited_memory(),
            pytest.raises(ModelFileError, match=re.escape(str(tmp_path))),
        ):
            load(tmp_path / "model")


def test_tensors_of_an_unknown_type_or_beyond_their_end_are_refused(saved, tmp_path):
    header, _ = crafting.unpacked(saved("lstm")[0])
    for described in (
        {"w": {"dtype": "F128", "shape": [1], "data_offsets": [0, 16]}},
        {"w": {"dtype": "F32", "shape": [10**9], "data_offsets": [0, 16]}},
        {"w": {"dtype": "F32", "shape": [4], "data_offsets": [0, 10**9]}},
        {"w": {"dtype": "F32", "shape": [2**62, 2**62], "data_offsets": [0, 16]}},
        {"w": 3},
        [],
    ):
        text = json.dumps(described).encode()
        content = len(text).to_bytes(8, "little") + text + bytes(16)
        crafting.pack(tmp_path / "model", header, content)
        with pytest.raises(ModelFileError, match="is damaged or was altered"):
            load(tmp_path / "model")


# Numbers that compiled code follows unchecked


@pytest.mark.parametrize(
    ("part", "change"),
    [
        ("right", lambda t: torch.where(t > 5, 10**6, t)),
        ("right", lambda t: torch.where(t == t.max(), 0, t)),
        ("right", lambda t: torch.zeros_like(t)),
        ("leaf", lambda t: t + 10**6),
        ("leaf", lambda t: t - 1),
        ("root", lambda t: t + 10**6),
        ("root", lambda t: t * 0),
        ("feature", lambda t: t - 1),
    ],
)
def test_trees_that_lead_nowhere_are_refused(saved, tmp_path, part, change):
    header, tensors = crafting.unpacked(saved("forest")[0])
    key = f"network_.weights.backbone.forest.{part}"
    tensors[key] = change(tensors[key]).to(tensors[key].dtype)
    crafting.pack(tmp_path / "model", header, tensors)
    with pytest.raises(ModelFileError, match="a forest"):
        load(tmp_path / "model")


def test_trees_that_read_features_beyond_a_row_refuse_to(saved, tmp_path):
    header, tensors = crafting.unpacked(saved("forest")[0])
    key = "network_.weights.backbone.forest.feature"
    tensors[key] = torch.full_like(tensors[key], 10**6)
    crafting.pack(tmp_path / "model", header, tensors)
    with pytest.raises(ValueError, match="a forest reads 1000001 features"):
        load(tmp_path / "model").predict_proba(X)


@pytest.mark.parametrize(
    "name", ["rocket", "mixed", pytest.param("moments", marks=pytest.mark.slow)]
)
@pytest.mark.parametrize("number", [-1, 1, 10**9])
def test_channels_that_series_do_not_have_are_refused(saved, tmp_path, name, number):
    header, tensors = crafting.unpacked(saved(name)[0])
    keys = [key for key in tensors if key.endswith(".channels")]
    assert keys
    n_channels = header["model"]["state"]["n_channels_in_"] * (2 if name == "mixed" else 1)
    for key in keys:
        wrong = torch.full_like(tensors[key], max(number, n_channels) if number > 0 else number)
        crafting.pack(tmp_path / "model", header, {**tensors, key: wrong})
        with pytest.raises(ModelFileError, match="read channels beyond"):
            load(tmp_path / "model")


# What is no plain file


def test_links_devices_and_pipes_are_refused(saved, tmp_path):
    path, proba = saved("lstm")
    (tmp_path / "link").symlink_to(path)
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "zero").symlink_to("/dev/zero")
    for name, words in (
        ("link", f"is a link; give the name of the file that it leads to, {path}"),
        ("zero", "is a link"),
        ("pipe", "is a pipe, not a plain file"),
    ):
        with pytest.raises(ModelFileError, match=words):
            load(tmp_path / name)
    with pytest.raises(ModelFileError, match="is a device, not a plain file"):
        load("/dev/zero")
    assert same_as(proba)(load(os.path.realpath(tmp_path / "link")))


@pytest.mark.parametrize("member", ["model.json", "tensors"])
@pytest.mark.parametrize("what", ["zero", "fifo", "link", "folder", "nothing"])
def test_members_of_a_folder_that_are_no_plain_files_are_refused(saved, tmp_path, member, what):
    model = load(saved("lstm")[0])
    model.save(f"{tmp_path / 'model'}/")
    target = next((tmp_path / "model").glob(f"{member}*"))
    kept = target.rename(tmp_path / "kept")
    match what:
        case "zero":
            target.symlink_to("/dev/zero")
        case "fifo":
            os.mkfifo(target)
        case "link":
            target.symlink_to(kept)
        case "folder":
            target.mkdir()
    with pytest.raises(ModelFileError, match=re.escape(str(tmp_path))):
        load(tmp_path / "model")


def test_encrypted_and_double_members_are_refused(saved, tmp_path):
    content = bytearray(saved("lstm")[0].read_bytes())
    flagged = content.copy()
    for start in (b"PK\x03\x04", b"PK\x01\x02"):
        place = 0
        while (place := flagged.find(start, place)) >= 0:
            flagged[place + (6 if start[2] == 3 else 8)] |= 1
            place += 1
    (tmp_path / "model").write_bytes(flagged)
    with pytest.raises(ModelFileError, match="was encrypted"):
        load(tmp_path / "model")
    with zipfile.ZipFile(saved("lstm")[0]) as file:
        members = {name: file.read(name) for name in file.namelist()}
    (tmp_path / "model").write_bytes(content)
    with zipfile.ZipFile(tmp_path / "model", "a") as file, pytest.warns(UserWarning, match="Dup"):
        file.writestr(archive.HEADER, members[archive.HEADER])
    with pytest.raises(ModelFileError, match="has a member twice"):
        load(tmp_path / "model")


# Names, and other processes


@pytest.mark.parametrize("letter", ["m", "é", "\N{GRINNING FACE}"])
def test_names_of_255_bytes_can_be_saved_and_opened(saved, tmp_path, letter):
    path, proba = saved("lstm")
    size = len(letter.encode())
    name = letter * (251 // size) + ".zip"
    load(path).save(tmp_path / name)
    assert same_as(proba)(load(tmp_path / name))
    assert [file.name for file in tmp_path.iterdir()] == [name]


def test_a_folder_that_is_being_saved_into_opens(saved, tmp_path):
    """A reader may find the old header, and no longer its tensors."""
    one, other = (load(saved(name)[0]) for name in ("lstm", "fcn"))
    folder = tmp_path / "model"
    folder.mkdir()
    one.save(folder)
    original, calls = archive.read_plain, []

    def read(path):
        content = original(path)
        calls.append(path)
        if len(calls) == 1:
            other.save(folder)
        return content

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(archive, "read_plain", read)
        opened = load(folder)
    np.testing.assert_array_equal(opened.predict_proba(X), other.predict_proba(X))


def test_what_is_missing_for_good_is_told_at_once(saved, tmp_path):
    load(saved("lstm")[0]).save(f"{tmp_path / 'model'}/")
    next((tmp_path / "model").glob("tensors*")).unlink()
    with pytest.raises(ModelFileError, match="the tensors are missing"):
        load(tmp_path / "model")


@pytest.mark.slow
def test_one_reads_while_another_saves(saved, tmp_path):
    models = [load(saved(name)[0]) for name in ("lstm", "fcn")]
    probas = [model.predict_proba(X) for model in models]
    folder, over = tmp_path / "model", threading.Event()
    folder.mkdir()
    models[0].save(folder)

    def save():
        while not over.is_set():
            for model in models:
                model.save(folder)
                over.wait(0.02)

    saver = threading.Thread(target=save)
    saver.start()
    try:
        for _ in range(300):
            proba = load(folder).predict_proba(X)
            assert any(np.array_equal(proba, known) for known in probas)
    finally:
        over.set()
        saver.join()


# Places


def test_no_kind_has_a_parameter_that_names_a_place_or_a_device():
    """A later fit would write into it, or unpickle what a stranger put there."""
    words = {"memory", "dir", "path", "file", "folder", "cache", "location", "device", "url"}
    for name in registry.kind_names():
        kind = registry.kind_named(name)
        own = getattr(kind.cls, "_get_param_names", list)()
        places = {parameter for parameter in own if words & set(parameter.split("_"))}
        assert places <= set(registry.PLACES)
        assert not places & set(kind.parameters or ())


@pytest.mark.parametrize(
    "name", ["fcn", "taught", "generated", "ensemble", "early", "lupts", "pipeline"]
)
def test_no_parameter_of_an_opened_model_is_a_place(saved, tmp_path, name):
    """Each object in the file is given places, one after the other; none is ever used."""
    header, tensors = crafting.unpacked(saved(name)[0])
    owners = [
        (container[key], way)
        for container, key in [({"": header["model"]}, ""), *crafting.places_in(header["model"])]
        if isinstance(container[key], dict) and container[key].get("type") == "object"
        for way in ("parameters", "state")
    ]
    assert owners
    for owner, way in owners:
        for place in registry.PLACES:
            before = owner.get(way)
            owner[way] = {**(before or {}), place: "/tmp/a-strangers-place"}
            crafting.pack(tmp_path / "model", header, tensors)
            with pytest.raises(ModelFileError, match=f"has {place}, which this version"):
                load(tmp_path / "model")
            owner[way] = before
            if before is None:
                del owner[way]


def test_the_device_that_load_is_given_is_that_of_all_parts(saved):
    opened = load(saved("early")[0], device="cpu")
    devices = {
        name: value
        for name, value in opened.get_params(deep=True).items()
        if name.endswith("device")
    }
    assert devices == {"classifier__device": "cpu"}


def test_a_file_of_a_stranger_never_leads_to_a_folder_of_pickles(tmp_path):
    model = DistilledPrefixClassifier(
        teacher="lstm1-8", student="lstm1-8", memory=str(tmp_path / "own"),
        training=TrainingOptions(checkpoint_dir=tmp_path / "c"), **QUICK,
    ).fit(X, Y)  # fmt: skip
    model.save(tmp_path / "model")
    opened = load(tmp_path / "model")
    assert opened.memory is None
    assert opened.training.checkpoint_dir is None
    before = sorted(tmp_path.rglob("*"))
    opened.fit(X, Y)
    assert sorted(tmp_path.rglob("*")) == before


if sys.platform == "win32":
    pytest.skip("limits of memory and pipes are those of POSIX", allow_module_level=True)
