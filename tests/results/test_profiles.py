"""Performance profiles show the share of runs that they say, with the interval that they say."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from pglab.results import plots
from pglab.results.plots.distributions import share_interval
from tests.results.frames import TIMES


@pytest.mark.parametrize("n", [1, 5, 30])
def test_the_interval_of_a_share_is_that_of_scipy(n):
    for k in range(n + 1):
        expected = stats.binomtest(k, n).proportion_ci(0.95, method="exact")
        assert share_interval(np.array([k]), n) == (pytest.approx(expected.low), pytest.approx(expected.high))


def test_the_profile_is_the_share_of_runs_that_reach_each_score():
    scores = pd.DataFrame({"arm": "a=1", "seed": range(4), "score": [1.0, 3.0, 3.0, np.nan]})
    figure = plots.performance_profile(scores)
    (axes,) = figure.axes
    (line,) = axes.lines
    corners = [(0.92, 0.75), (0.92, 0.75), (1.0, 0.75), (1.0, 0.5), (3.0, 0.5), (3.0, 0.0), (3.08, 0.0)]
    assert list(zip(*line.get_data(), strict=True)) == corners  # a step ends at its score: there it is still reached
    band = axes.collections[0].get_paths()[0].vertices
    low, high = share_interval(np.array([2]), 4)
    assert {low.item(), high.item()} <= set(band[:, 1])
    (legend,) = figure.legends
    assert legend.get_texts()[0].get_text() == "a=1 (n = 3 of 4)"
    assert "Clopper-Pearson" in legend.get_title().get_text()
    assert "pointwise" in legend.get_title().get_text()


def test_the_profile_of_steps_to_a_threshold_is_the_share_of_runs_that_are_there():
    scores = pd.DataFrame({"arm": "a=1", "seed": range(4), "score": [1.0, 3.0, 3.0, np.nan], "better": "lower"})
    figure = plots.performance_profile(scores)
    (axes,) = figure.axes
    (line,) = axes.lines
    corners = [(0.92, 0.0), (1.0, 0.0), (1.0, 0.25), (3.0, 0.25), (3.0, 0.75), (3.08, 0.75), (3.08, 0.75)]
    assert list(zip(*line.get_data(), strict=True)) == corners  # at its score a run is there
    assert axes.get_ylabel() == "share of runs with score ≤ τ"
    (legend,) = figure.legends
    assert legend.get_texts()[0].get_text() == "a=1 (n = 3 of 4)"


def test_runs_that_diverged_before_the_threshold_are_never_there_in_the_profile():
    """The share of those that are there comes to 4 of 6, and stays."""
    reached = pd.array([False, False, True, True, True, True], dtype="boolean")
    times = TIMES.assign(reached=reached, status=["diverged"] * 2 + ["finished"] * 4, env_steps=[1, 2, 9, 9, 9, 9])
    (axes,) = plots.performance_profile(times).axes
    at = dict(zip(*axes.lines[0].get_data(), strict=True))
    assert [at[time] for time in (2.0, 3.0, 4.0)] == pytest.approx([1 / 6, 2 / 6, 4 / 6])
    assert axes.lines[0].get_data()[1][-1] == pytest.approx(4 / 6)
    assert np.isfinite(axes.lines[0].get_data()[0]).all()


def test_the_profile_of_censored_times_is_one_minus_the_curve_of_kaplan_and_meier():
    figure = plots.performance_profile(TIMES)
    (axes,) = figure.axes
    curve = stats.ecdf(stats.CensoredData(uncensored=[1, 2, 3], right=[2, 4, 4])).cdf
    at = dict(zip(*axes.lines[0].get_data(), strict=True))  # the upper one of two corners
    assert [at[time] for time in (1.0, 2.0, 3.0, 4.0)] == pytest.approx(curve.evaluate([1, 2, 3, 4]))
    (legend,) = figure.legends
    assert legend.get_texts()[0].get_text() == "a=1 (n = 6, 3 censored)"
    assert "one minus Kaplan-Meier" in legend.get_title().get_text().replace("\n", " ")
    low, high = share_interval(np.array([1]), 6)  # before any run is censored the band is the exact one
    assert {round(low.item(), 9), round(high.item(), 9)} <= set(
        axes.collections[0].get_paths()[0].vertices[:, 1].round(9)
    )


def test_the_profile_of_an_arm_goes_on_where_all_its_runs_are_there_and_ends_where_the_last_is_cut_off():
    cut_late = TIMES.assign(
        arm="a=2", reached=pd.array([True] * 5 + [False], dtype="boolean"), score=[1, 1, 1, 1, 1, 9.0]
    )
    both = pd.concat([TIMES.assign(reached=pd.array([True, True, False, True, True, True], dtype="boolean")), cut_late])
    (axes,) = plots.performance_profile(both.reset_index(drop=True)).axes
    ends = [(line.get_xdata()[-1], line.get_ydata()[-1]) for line in axes.lines]
    assert ends == [(pytest.approx(9 + 0.04 * 8), 1.0), (9.0, pytest.approx(5 / 6))]
