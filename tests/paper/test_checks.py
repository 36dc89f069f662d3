"""A check agrees where its rule says so, and does not where it does not."""

import numpy as np
import pytest

from analysis.paper.checks import above, below, exactly, measured, near, share, vanishes, within_errors
from analysis.paper.figures.exact_variance import ESTIMATORS, PUBLISHED, Corridor
from analysis.paper.figures.loss_value import _by_calculation
from analysis.paper.figures.same_policy import _distance, _exact_gradients

RUNS = np.array([9.0, 10.0, 11.0, 10.0])  # mean 10, standard deviation 0.816


def test_a_published_mean_may_be_four_combined_errors_away():
    error = RUNS.std(ddof=1) * (1 / 4 + 1 / 100) ** 0.5
    assert within_errors("", 10 + 3.9 * error, RUNS, 100).agrees
    assert not within_errors("", 10 + 4.1 * error, RUNS, 100).agrees
    assert not within_errors("", 10 - 4.1 * error, RUNS, 100).agrees
    assert not within_errors("", 10 + 3.99 * error, RUNS, 10**6).agrees


def test_an_exact_value_may_be_four_of_our_errors_away():
    error = RUNS.std(ddof=1) / 2
    assert measured("", 10 - 3.9 * error, RUNS).agrees
    assert not measured("", 10 - 4.1 * error, RUNS).agrees


def test_one_run_agrees_with_nothing_that_needs_an_interval():
    one = np.array([10.0])
    assert not any(check.agrees for check in (within_errors("", 10, one, 100), measured("", 10, one)))
    assert not above("", 0, one).agrees
    assert not below("", 100, one).agrees


def test_bounds_hold_for_the_whole_interval():
    low, high = above("", 0, RUNS).low, above("", 0, RUNS).high
    assert low < 10 < high
    assert above("", low - 1e-6, RUNS).agrees
    assert not above("", low + 1e-6, RUNS).agrees
    assert below("", high + 1e-6, RUNS).agrees
    assert not below("", high - 1e-6, RUNS).agrees


def test_a_tolerance_is_for_the_mean():
    assert near("", 10.4, RUNS, 0.41).agrees
    assert not near("", 10.4, RUNS, 0.39).agrees


def test_calculated_numbers_agree_to_so_many_digits():
    assert exactly("", 550.6667, 550.666667).agrees
    assert not exactly("", 550.6667, 550.66).agrees
    assert exactly("", -2.0, -2.0).agrees
    assert not exactly("", 2.0, -2.0).agrees
    assert vanishes("", 1e-12, 1e-10).agrees
    assert not vanishes("", -1e-9, 1e-10).agrees
    assert not vanishes("", float("nan"), 1.0).agrees


def test_a_share_counts_runs():
    assert share("", [True] * 10 + [False] * 2, 10 / 12, "").agrees
    assert not share("", [True] * 9 + [False] * 3, 10 / 12, "").agrees
    assert not share("", [], 0.0, "").agrees


@pytest.mark.parametrize("name", ESTIMATORS)
def test_variances_on_the_corridor_are_the_known_ones(name):
    moments = ESTIMATORS[name](Corridor(0.5))
    assert exactly("", PUBLISHED[name], moments.variance).agrees
    assert exactly("", 2.0, float(moments.mean[0])).agrees


def test_the_surrogate_promises_a_small_step_rightly_and_a_large_one_wrongly():
    assert all(check.agrees for check in _by_calculation())


def test_gradients_of_a_softmax_are_plus_and_minus_those_of_the_sigmoid():
    softmax, sigmoid = _exact_gradients()
    assert softmax.shape == (20, 5, 2)
    assert _distance(softmax[..., 1], sigmoid) < 1e-12
    assert _distance(softmax[..., 0], -sigmoid) < 1e-12
