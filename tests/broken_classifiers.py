"""A sound classifier of prefixes, and one for each check that is broken in just that way."""

import contextlib
import os
import pickle
import random
import threading
import time
import warnings

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import NotFittedError

BROKEN = {}
"""Broken classifiers by the check that must find them out."""


def fails(check):
    """Enter a class into the list."""

    def enter(cls):
        BROKEN.setdefault(check, []).append(cls)
        return cls

    return enter


class NearestMean(ClassifierMixin, BaseEstimator):
    """The class whose mean prefix is nearest; each step is a method, so that one can be broken."""

    def __init__(self, earliness=0.3, random_state=None):
        self.earliness = earliness
        self.random_state = random_state

    def fit(self, X, y):
        self.refuse_bad_labels(y)
        y = np.asarray(y)
        X = self.read(X)
        self.refuse_empty(X)
        self.refuse_other_count(X, y)
        self.refuse_bad_earliness(X)
        self.n_timepoints_ = X.shape[2]
        self.n_channels_ = X.shape[1]
        self.prefix_length_ = self.find_prefix_length(X.shape[2])
        seen = self.cut(X)
        self.refuse_bad_values(seen)
        self.classes_ = self.find_classes(y)
        self.refuse_one_class()
        self.means_ = np.stack([self.mean(seen[y == label]) for label in self.order()])
        self.after_fit(X, y)
        return self

    def order(self):
        return np.unique(self.classes_)

    def mean(self, series):
        return series.mean(0)

    def after_fit(self, X, y):
        pass

    def read(self, X):
        if isinstance(X, list) and len({x.shape for x in X}) > 1:
            X = self.read_unequal(X)
        X = np.asarray(X)
        if X.dtype.kind not in "biuf":
            raise ValueError(f"X is {X.dtype}")
        if X.ndim == 2:
            X = X[:, None]
        return X

    def read_unequal(self, X):
        raise ValueError("X has series of unequal length")

    def find_prefix_length(self, whole):
        if isinstance(self.earliness, float):
            return max(int(self.earliness * whole + 1e-9), 2)
        return self.earliness

    def find_classes(self, y):
        return np.unique(y)

    def cut(self, X):
        return np.asarray(X[:, :, : self.prefix_length_], dtype=float)

    def refuse_bad_labels(self, y):
        if y is None:
            raise ValueError("y is None")
        y = np.asarray(y)
        if y.dtype.kind == "f":
            self.refuse_missing_labels(y)
            self.refuse_continuous_labels(y)

    def refuse_missing_labels(self, y):
        if np.isnan(y).any():
            raise ValueError("y contains NaN")

    def refuse_continuous_labels(self, y):
        y = y[np.isfinite(y)]
        if (y != np.round(y)).any():
            raise ValueError("continuous labels are no classes")

    def refuse_empty(self, X):
        if len(X) == 0:
            raise ValueError("0 series; at least 1 is needed")

    def refuse_other_count(self, X, y):
        if len(X) != len(y):
            raise ValueError(f"{len(X)} series and {len(y)} labels")

    def refuse_bad_earliness(self, X):
        top = 1.0 if isinstance(self.earliness, float) else X.shape[2]
        if not 0 < self.earliness <= top:
            raise ValueError(f"earliness={self.earliness!r} must be between 0 and {top}")

    def refuse_bad_values(self, seen):
        self.refuse_nan(seen)
        self.refuse_infinity(seen)

    def refuse_nan(self, seen):
        if np.isnan(seen).any():
            raise ValueError("X contains NaN")

    def refuse_infinity(self, seen):
        if np.isinf(seen).any():
            raise ValueError("X contains infinity")

    def refuse_one_class(self):
        if len(self.classes_) < 2:
            raise ValueError("y has one class only")

    def refuse_unfitted(self):
        if not hasattr(self, "classes_"):
            raise NotFittedError("fit it first")

    def refuse_other_channels(self, X):
        if X.shape[1] != self.n_channels_:
            raise ValueError(f"{X.shape[1]} channels; there were {self.n_channels_}")

    def refuse_short(self, X):
        if X.shape[2] < self.prefix_length_:
            raise ValueError(f"series of {X.shape[2]} time points are too short")

    def refuse_between(self, X):
        if X.shape[2] not in (self.prefix_length_, self.n_timepoints_):
            raise ValueError(f"what are series of {X.shape[2]} time points?")

    def look(self, X):
        self.refuse_unfitted()
        X = self.read(X)
        self.refuse_no_series(X)
        self.refuse_other_channels(X)
        self.refuse_short(X)
        if X.shape[2] > self.prefix_length_:
            self.refuse_between(X)
        seen = self.cut(X)
        self.refuse_bad_values_at_predict(seen)
        return seen

    def refuse_no_series(self, X):
        self.refuse_empty(X)

    def refuse_bad_values_at_predict(self, seen):
        self.refuse_bad_values(seen)

    def probabilities(self, X):
        seen = self.look(X)
        with np.errstate(all="ignore"):
            gap = ((seen[:, None] - self.means_[:, :, : seen.shape[2]]) ** 2).mean((2, 3))
            proba = np.exp(-(gap - gap.min(1, keepdims=True)))
            return proba / proba.sum(1, keepdims=True)

    def predict_proba(self, X):
        return self.probabilities(X)

    def predict(self, X):
        best = self.probabilities(X).argmax(1)
        return np.unique(self.classes_)[best]


def shifted(proba):
    """Other probabilities that order the classes alike."""
    shares = 0.9 * proba + 0.1 / proba.shape[1]
    return shares


# --- the prefix


class LooksAhead(NearestMean):
    """Adds something taken from after the prefix to what stands in it."""

    def cut(self, X):
        seen = super().cut(X)
        after = X[:, :, self.prefix_length_ :]
        return seen + self.peek(after) if after.shape[2] else seen


@fails("check_future_random")
class SeesTheSign(LooksAhead):
    """Looks at whether the future is too rough to come from where it should."""

    def peek(self, after):
        with np.errstate(all="ignore"):
            odd = (np.abs(np.diff(after, axis=2)) > 5).mean((1, 2)) > 0.05
        odd &= np.isfinite(after).all((1, 2)) & (np.abs(after) < 1e9).all((1, 2))
        return odd[:, None, None] * 0.5


@fails("check_future_missing")
class SeesGaps(LooksAhead):
    def peek(self, after):
        return np.isnan(after).any((1, 2))[:, None, None] * 0.5


@fails("check_future_huge")
class SeesSize(LooksAhead):
    def peek(self, after):
        with np.errstate(all="ignore"):
            return (np.abs(after).max((1, 2)) > 1e8)[:, None, None] * 0.5


@fails("check_prefix_alone")
class TellsPrefixesFromSeries(NearestMean):
    def cut(self, X):
        return super().cut(X) + 0.5 * (X.shape[2] == self.prefix_length_ < self.n_timepoints_)


@fails("check_prefix_matters")
class SaysTheSame(NearestMean):
    def probabilities(self, X):
        self.look(X)
        return np.tile(
            [0.5, *[0.5 / (len(self.classes_) - 1)] * (len(self.classes_) - 1)],
            (len(self.read(X)), 1),
        )


@fails("check_prefix_length_is_stored")
class StoresAFraction(NearestMean):
    def after_fit(self, X, y):
        self.prefix_length_ = np.float64(self.prefix_length_)

    def cut(self, X):
        return np.asarray(X[:, :, : int(self.prefix_length_)], dtype=float)


@fails("check_earliness_sets_the_prefix")
class LosesAPoint(NearestMean):
    def find_prefix_length(self, whole):
        return min(super().find_prefix_length(whole), whole - 1)


@fails("check_bad_earliness_refused")
class TakesAnyEarliness(NearestMean):
    def refuse_bad_earliness(self, X):
        pass

    def find_prefix_length(self, whole):
        return int(np.clip(super().find_prefix_length(whole), 2, whole))


@fails("check_shorter_series_refused")
class TakesShortSeries(NearestMean):
    def refuse_short(self, X):
        pass


@fails("check_lengths_between_have_no_effect")
class TakesTheEndOfLengthsBetween(NearestMean):
    def refuse_between(self, X):
        pass

    def cut(self, X):
        whole = X.shape[2] in (self.prefix_length_, self.n_timepoints_)
        return super().cut(X) if whole else X[:, :, -self.prefix_length_ :]


@fails("check_unequal_prefixes_refused")
class PadsSeries(NearestMean):
    def read_unequal(self, X):
        return np.stack(
            [np.pad(x, ((0, 0), (0, 60 - x.shape[1])), "edge")[:, : self.n_timepoints_] for x in X]
        )


# --- what comes out


@fails("check_fit_returns_self")
class ReturnsNothing(NearestMean):
    def fit(self, X, y):
        super().fit(X, y)


@fails("check_predictions_are_labels")
class ReturnsAColumn(NearestMean):
    def predict(self, X):
        return super().predict(X)[:, None]

    def score(self, X, y):
        return float(np.mean(self.predict(X)[:, 0] == y))


@fails("check_predictions_are_labels")
class ReturnsFloats(NearestMean):
    def predict(self, X):
        labels = super().predict(X)
        return labels.astype(float) if labels.dtype.kind == "i" else labels


@fails("check_probabilities_have_a_column_a_class")
class ReturnsFurtherColumn(NearestMean):
    def predict_proba(self, X):
        proba = self.probabilities(X)
        further = np.zeros((len(proba), int(proba.shape[1] > 2)))
        return np.concatenate([proba, further], 1)


@fails("check_probabilities_lie_between_0_and_1")
class ReturnsNegative(NearestMean):
    def predict_proba(self, X):
        proba = self.probabilities(X)
        return proba + 0.5 * (proba - 1 / proba.shape[1])


@fails("check_probabilities_sum_to_1")
class ReturnsLikelihoods(NearestMean):
    def predict_proba(self, X):
        return 0.5 * self.probabilities(X)


@fails("check_prediction_is_most_probable")
class PredictsTheSecond(NearestMean):
    def predict(self, X):
        second = np.argsort(self.probabilities(X))[:, -2]
        return self.classes_[second]


@fails("check_classes_are_sorted")
class KeepsOrderOfLabels(NearestMean):
    def find_classes(self, y):
        _, first = np.unique(y, return_index=True)
        return y[np.sort(first)]

    def order(self):
        return self.classes_

    def predict(self, X):
        best = self.probabilities(X).argmax(1)
        return self.classes_[best]


@fails("check_score_is_accuracy")
class ScoresInPercent(NearestMean):
    def score(self, X, y):
        return 100 * super().score(X, y)


@fails("check_two_classes")
class ReturnsOneColumnForTwo(NearestMean):
    def predict_proba(self, X):
        proba = self.probabilities(X)
        return proba[:, 1:] if proba.shape[1] == 2 else proba


@fails("check_several_channels")
class NeedsOneChannel(NearestMean):
    def fit(self, X, y):
        if self.read(X).shape[1] > 2:
            raise ValueError("one channel, please")
        return super().fit(X, y)


@fails("check_label_types")
class CutsNames(NearestMean):
    def predict(self, X):
        labels = super().predict(X)
        return labels.astype("U3") if labels.dtype.kind == "U" and len(labels[0]) > 3 else labels


@fails("check_boolean_labels")
class MakesIntegersOfBooleans(NearestMean):
    def predict(self, X):
        labels = super().predict(X)
        return np.where(labels, "yes", "no") if labels.dtype.kind == "b" else labels


# --- what must not matter


@fails("check_order_of_series")
class DependsOnPlace(NearestMean):
    """Is in doubt where one series is like that before it, but for an exact copy."""

    def predict_proba(self, X):
        proba = self.probabilities(X)
        best = proba.argmax(1)
        doubt = (best[1:] == best[:-1]) & (proba[1:] != proba[:-1]).any(1)
        proba[1:][doubt] = shifted(proba)[1:][doubt]
        return proba


@fails("check_a_series_alone")
class DependsOnCompany(NearestMean):
    def predict_proba(self, X):
        proba = self.probabilities(X)
        return shifted(proba) if len(proba) == 1 else proba


@fails("check_repeated_series")
class DoubtsRepetition(NearestMean):
    def predict_proba(self, X):
        proba = self.probabilities(X)
        repeated = len(np.unique(proba, axis=0)) <= len(proba) // 2
        return shifted(proba) if repeated else proba


@fails("check_predictions_leave_no_trace")
class LearnsFromPredictions(NearestMean):
    """Follows series that are larger than those of the fit."""

    def after_fit(self, X, y):
        self.size_ = np.abs(self.cut(X)).max()

    def predict_proba(self, X):
        proba = self.probabilities(X)
        size = np.abs(self.look(X)).max()
        if self.size_ * 2 < size < self.size_ * 60:
            self.means_ = self.means_ * 1.1
        return proba


@fails("check_predictions_in_threads")
class SharesABuffer(NearestMean):
    def predict_proba(self, X):
        proba = self.probabilities(X)
        self.buffer_ = proba
        if threading.current_thread() is not threading.main_thread():
            time.sleep(0.01)
        return self.buffer_


@fails("check_single_precision")
class RoundsSinglePrecision(NearestMean):
    def read(self, X):
        X = super().read(X)
        return X.astype(np.float16) * np.float16(1.01) if X.dtype == np.float32 else X


@fails("check_integers")
class OverflowsOnIntegers(NearestMean):
    def read(self, X):
        X = super().read(X)
        return X.astype(np.int8) if X.dtype.kind == "i" else X


@fails("check_fortran_order")
class ReadsMemoryInOrder(NearestMean):
    def read(self, X):
        X = super().read(X)
        flat = X.flags.f_contiguous and not X.flags.c_contiguous
        return X.ravel("K").reshape(X.shape) if flat else X


@fails("check_strided_arrays")
class ReadsNeighbours(NearestMean):
    def read(self, X):
        X = super().read(X)
        strided = X.strides[2] == 2 * X.itemsize
        return X + 1.5 * (np.arange(X.shape[2]) % 2) if strided else X


@fails("check_read_only_arrays")
class WritesToItsInput(NearestMean):
    """And puts everything back, so that only arrays that can't be written to notice."""

    def read(self, X):
        X = super().read(X)
        X[...] = X.copy()
        return X


@fails("check_lists_of_labels")
class NeedsArraysOfLabels(NearestMean):
    def fit(self, X, y):
        if y is not None:
            y.dtype  # noqa: B018 - raises for lists
        return super().fit(X, y)


# --- manners


@fails("check_input_is_not_written_to")
class ScalesInPlace(NearestMean):
    def after_fit(self, X, y):
        if X.flags.writeable and X.dtype == float and X.flags.owndata:
            X[0, 0, -1] += 1


@fails("check_fit_keeps_parameters")
class ResolvesEarliness(NearestMean):
    """Keeps the value, but not the object."""

    def fit(self, X, y):
        super().fit(X, y)
        self.earliness = (
            type(self.earliness)(str(self.earliness))
            if isinstance(self.earliness, float)
            else self.earliness
        )
        return self


@fails("check_parameters_are_stored_as_given")
class ResolvesSeedsEarly(NearestMean):
    def __init__(self, earliness=0.3, random_state=None):
        self.earliness = earliness
        self.random_state = random_state if isinstance(random_state, int | None) else 0


@fails("check_set_params")
class SetsAndReturnsNothing(NearestMean):
    def set_params(self, **params):
        super().set_params(**params)


@fails("check_clone")
class ClonesItsFit(NearestMean):
    def __sklearn_clone__(self):
        other = type(self)(self.earliness, self.random_state)
        if hasattr(self, "means_"):
            other.means_ = self.means_
        return other


@fails("check_fit_twice")
class StartsWarm(NearestMean):
    def after_fit(self, X, y):
        previous = getattr(self, "previous_", None)
        if previous is not None and previous.shape == self.means_.shape:
            self.means_ = 0.5 * (self.means_ + 1.2 * previous)
        self.previous_ = self.means_


@fails("check_refit_forgets")
class KeepsAScale(NearestMean):
    def after_fit(self, X, y):
        self.lengths_ = {*getattr(self, "lengths_", ()), X.shape[2]}
        self.means_ = self.means_ * len(self.lengths_)


@fails("check_same_seed_same_answers")
class DrawsWithoutSeed(NearestMean):
    def after_fit(self, X, y):
        self.means_ = self.means_ + np.random.default_rng().normal(size=self.means_.shape)


@fails("check_global_seeds_have_no_influence")
class ReadsGlobalSeed(NearestMean):
    def after_fit(self, X, y):
        rng = np.random.RandomState()
        rng.set_state(np.random.get_state())  # noqa: NPY002 - it is the fault
        self.means_ = self.means_ + rng.normal(size=self.means_.shape)


@fails("check_pickle")
class CannotBePickled(NearestMean):
    def __reduce__(self):
        raise pickle.PicklingError("no")

    def __deepcopy__(self, memo):
        other = type(self)(self.earliness, self.random_state)
        vars(other).update(vars(self))
        return other


@fails("check_deepcopy")
class IsItsOwnCopy(NearestMean):
    def __deepcopy__(self, memo):
        return self


# --- surroundings


@fails("check_global_generators_untouched")
class DrawsFromGlobal(NearestMean):
    def after_fit(self, X, y):
        random.random()


@fails("check_global_generators_untouched")
class SeedsTorch(NearestMean):
    def after_fit(self, X, y):
        torch.manual_seed(7)


@fails("check_torch_settings_untouched")
class LeavesGradientsOff(NearestMean):
    def predict(self, X):
        torch.set_grad_enabled(False)
        return super().predict(X)


@fails("check_environment_untouched")
class SetsEnvironment(NearestMean):
    def after_fit(self, X, y):
        os.environ["NEAREST_MEAN_THREADS"] = "1"


@fails("check_warning_filters_untouched")
class SilencesWarnings(NearestMean):
    def after_fit(self, X, y):
        warnings.filterwarnings("ignore", "something of its own")


@fails("check_other_settings_untouched")
class SilencesNumpy(NearestMean):
    def after_fit(self, X, y):
        np.seterr(under="raise")


@fails("check_no_files_left")
class WritesALog(NearestMean):
    def after_fit(self, X, y):
        # Where the check looks, and not all over the folder of the tests.
        if not os.listdir():
            with open("log.txt", "w") as file:
                file.write("fitted")


@fails("check_silence")
class Talks(NearestMean):
    def after_fit(self, X, y):
        print("fitted")


@fails("check_no_nuisance_warnings")
class Warns(NearestMean):
    def after_fit(self, X, y):
        warnings.warn("this will change", FutureWarning, stacklevel=2)


@fails("check_interrupts_pass")
class SwallowsInterrupts(NearestMean):
    def fit(self, X, y):
        with contextlib.suppress(KeyboardInterrupt):
            super().fit(X, y)
        return self


@fails("check_interrupted_fit_tidies_up")
class TidiesUpOnSuccessOnly(NearestMean):
    def fit(self, X, y):
        threads = torch.get_num_threads()
        torch.set_num_threads(threads + 1)
        try:
            super().fit(X, y)
        except Exception:
            torch.set_num_threads(threads)
            raise
        torch.set_num_threads(threads)
        return self


# --- errors


@fails("check_unfitted_says_so")
class AnswersUnfitted(NearestMean):
    def refuse_unfitted(self):
        pass


@fails("check_nan_refused_at_fit")
class FitsNaN(NearestMean):
    def refuse_bad_values(self, seen):
        self.refuse_infinity(seen)

    def refuse_bad_values_at_predict(self, seen):
        super().refuse_bad_values(seen)


@fails("check_nan_refused_at_predict")
class PredictsNaN(NearestMean):
    def refuse_bad_values_at_predict(self, seen):
        self.refuse_infinity(seen)


@fails("check_infinity_refused_at_fit")
class FitsInfinity(NearestMean):
    def refuse_bad_values(self, seen):
        self.refuse_nan(seen)

    def mean(self, series):
        return np.nan_to_num(series, posinf=9).mean(0)

    def refuse_bad_values_at_predict(self, seen):
        super().refuse_bad_values(seen)


@fails("check_infinity_refused_at_predict")
class PredictsInfinity(NearestMean):
    def refuse_bad_values_at_predict(self, seen):
        self.refuse_nan(seen)


@fails("check_infinity_refused_at_predict")
class RefusesWithoutReason(NearestMean):
    def refuse_bad_values_at_predict(self, seen):
        self.refuse_nan(seen)
        if np.isinf(seen).any():
            raise ValueError("something is wrong")


@fails("check_other_channels_refused")
class TakesOtherChannels(NearestMean):
    def look(self, X):
        self.refuse_unfitted()
        return super().look(self.read(X)[:, : self.n_channels_])


@fails("check_no_series_refused_at_fit")
class FitsNothing(NearestMean):
    def fit(self, X, y):
        if y is not None and len(self.read(X)) == len(y) == 0:
            return self
        return super().fit(X, y)


@fails("check_no_series_refused_at_predict")
class PredictsNothing(NearestMean):
    def refuse_no_series(self, X):
        pass

    def probabilities(self, X):
        if len(X) == 0:
            return np.zeros((0, len(self.classes_)))
        return super().probabilities(X)


@fails("check_text_refused")
class TakesText(NearestMean):
    def read(self, X):
        if getattr(X, "dtype", None) is not None and X.dtype.kind == "U":
            X = np.arange(X.size, dtype=float).reshape(X.shape)
        return super().read(X)


@fails("check_one_class")
class GuessesWithOneClass(NearestMean):
    def refuse_one_class(self):
        pass

    def predict_proba(self, X):
        proba = super().predict_proba(X)
        return np.full((len(proba), 2), 0.5) if proba.shape[1] == 1 else proba


@fails("check_label_for_each_series")
class FitsWhatHasLabels(NearestMean):
    def fit(self, X, y):
        if y is not None and len(y) > 0:
            n = min(len(X), len(y))
            X, y = X[:n], y[:n]
        return super().fit(X, y)


@fails("check_missing_labels_refused")
class TakesMissingLabels(NearestMean):
    def refuse_missing_labels(self, y):
        pass


@fails("check_continuous_labels_refused")
class TakesContinuousLabels(NearestMean):
    def refuse_continuous_labels(self, y):
        pass
