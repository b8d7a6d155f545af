"""Folders of pickles: those into which others can write are refused before anything is read."""

import os
import pickle
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import joblib
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin

from skgdpd import DistilledPrefixClassifier, GDPDClassifier, GenDDClassifier
from skgdpd._runtime import trust
from skgdpd._runtime.trust import check_private
from skgdpd.datasets import make_bumps

if sys.platform == "win32":
    pytest.skip("Windows has no owners and modes of files", allow_module_level=True)

import grp
import pwd

X, Y = make_bumps(16, 16, noise=0.3, random_state=0)
TRUST = "A folder `memory=` into which others can write, as modes and owners tell, is refused."


def classifier(memory, cls=DistilledPrefixClassifier):
    return cls(teacher="lstm1-8", student="lstm1-8", max_epochs=1, random_state=0, memory=memory)


class Trap:
    """Makes a folder when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


class Untrained(ClassifierMixin, BaseEstimator):
    """A teacher that may not be reached."""

    def fit(self, X, y):
        raise AssertionError("trained")

    def predict_proba(self, X):
        raise AssertionError("asked")


@pytest.fixture
def cache(tmp_path):
    folder = tmp_path / "cache"
    classifier(folder).fit(X, Y)
    return folder


@pytest.mark.parametrize("cls", [DistilledPrefixClassifier, GDPDClassifier, GenDDClassifier])
@pytest.mark.parametrize("form", [str, Path, joblib.Memory])
def test_a_folder_into_which_everyone_can_write_is_refused_before_training(
    tmp_path, promise, cls, form
):
    tmp_path.chmod(0o777)
    memory = form(tmp_path, verbose=0) if form is joblib.Memory else form(tmp_path)
    model = classifier(memory, cls).set_params(teacher=Untrained())
    with pytest.raises(ValueError, match=r"memory=.* holds pickles, .*everyone can write into it"):
        model.fit(X, Y)
    promise(TRUST, "fits", {"refused before anything was read": 1})


def test_pickles_that_a_stranger_replaced_are_not_read(cache, tmp_path, promise):
    found = list(cache.rglob("output.pkl"))
    assert found
    for path in found:
        path.write_bytes(pickle.dumps(Trap(tmp_path / "sprung")))
        path.chmod(0o666)
    with pytest.raises(ValueError, match=r"output.pkl can't be trusted: everyone can write"):
        classifier(cache).fit(X, Y)
    assert not (tmp_path / "sprung").exists()
    promise(TRUST, "fits", {"refused before anything was read": 1})


def test_folders_inside_and_around_are_looked_at(cache, tmp_path):
    inner = next(path for path in cache.rglob("*") if path.is_dir())
    check_private(cache, "memory")
    for path in (inner, tmp_path):
        path.chmod(0o777)
        with pytest.raises(ValueError, match=f"{path} can't be trusted"):
            check_private(cache, "memory")
        path.chmod(0o700)
    check_private(cache, "memory")
    # As /tmp: nobody can put away there what belongs to others.
    tmp_path.chmod(0o1777)
    check_private(cache, "memory")


def test_a_link_is_what_it_leads_to(cache, tmp_path):
    link = tmp_path / "link"
    link.symlink_to(cache)
    check_private(link, "memory")
    cache.chmod(0o777)
    with pytest.raises(ValueError, match="everyone can write into it"):
        check_private(link, "memory")


def test_other_owners_and_groups_are_told_from_ones_own(monkeypatch):
    def who(uid=None, mode=0o700):
        uid, gid = os.getuid() if uid is None else uid, os.getgid()
        return trust._others_who_write(SimpleNamespace(st_uid=uid, st_gid=gid, st_mode=mode))

    assert who() is None
    assert who(uid=0) is None
    assert who(uid=54321) == "it belongs to another user"
    assert who(mode=0o755) is None
    assert who(mode=0o702) == "everyone can write into it"
    for is_own, answer in ((True, None), (False, "a group can write into it")):
        monkeypatch.setattr(trust, "_is_own_group", lambda gid, is_own=is_own: is_own)
        assert who(mode=0o770) == answer


def test_a_group_is_ones_own_by_its_name_and_its_members(monkeypatch):
    user = pwd.getpwuid(os.getuid()).pw_name
    for name, members, is_own in (
        (user, [], True),
        (user, [user], True),
        (user, ["another"], False),
        ("staff", [], False),
    ):
        group = SimpleNamespace(gr_name=name, gr_mem=members)
        monkeypatch.setattr(grp, "getgrgid", lambda gid, group=group: group)
        assert trust._is_own_group(1) == is_own


def test_a_folder_that_is_not_there_yet_is_made(tmp_path):
    check_private(tmp_path / "a" / "b", "memory")
    classifier(tmp_path / "a" / "b").fit(X, Y)
    assert list((tmp_path / "a" / "b").rglob("output.pkl"))
    shutil.rmtree(tmp_path / "a")
