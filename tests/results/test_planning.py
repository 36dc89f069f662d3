"""The number of seeds is the one that sees the difference as often as it says."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.stats.power import TTestIndPower, TTestPower

from pglab.results import compare, seeds_needed
from pglab.results.digits import plain
from pglab.results.planning import power_of_t
from tests.results.made import arm_of, together

rng = np.random.default_rng(0)
BASE = rng.normal(300, 50, size=10)
RTG = BASE + rng.normal(20, 30, size=10)
PAIRED = together(arm_of(list(BASE), weighting="total"), arm_of(list(RTG), weighting="rtg"))
APART = together(arm_of(list(BASE), weighting="total"), arm_of(dict(enumerate(RTG, start=50)), weighting="rtg"))


def only(frame: pd.DataFrame) -> dict:
    (row,) = frame.to_dict("records")
    return row


@pytest.mark.parametrize("effect", [0.1, 0.5, 1.2])
@pytest.mark.parametrize("n", [2, 5, 30])
def test_power_is_statsmodels(effect: float, n: int):
    assert power_of_t(effect, n, 0.05, True) == pytest.approx(TTestPower().power(effect, n, 0.05))
    assert power_of_t(effect, n, 0.05, False) == pytest.approx(TTestIndPower().power(effect, n, 0.05))


def test_power_of_large_effects_is_one_where_the_noncentral_t_fails():
    assert np.isnan(TTestPower().power(5, 10, 0.05))
    assert power_of_t(5, 10, 0.05, True) == pytest.approx(1)


def test_seeds_in_pairs_are_those_of_statsmodels():
    row, sd = only(seeds_needed(PAIRED, 25)), np.std(RTG - BASE, ddof=1)
    assert row["needed"] == np.ceil(TTestPower().solve_power(25 / sd, power=0.8, alpha=0.05))
    assert row["power_now"] == pytest.approx(TTestPower().power(25 / sd, 10, 0.05))
    assert power_of_t(row["detectable"] / sd, 10, 0.05, True) == pytest.approx(0.8)
    assert row["sd_high"] == pytest.approx(sd * np.sqrt(9 / stats.chi2.ppf(0.2, 9)))
    assert row["needed_high"] > row["needed"]


def test_seeds_that_are_not_shared_need_more():
    row, sd = only(seeds_needed(APART, 25)), np.sqrt((BASE.var(ddof=1) + RTG.var(ddof=1)) / 2)
    assert row["needed"] == np.ceil(TTestIndPower().solve_power(25 / sd, power=0.8, alpha=0.05))
    assert row["needed"] > only(seeds_needed(PAIRED, 25))["needed"]
    assert not row["paired"]


def test_as_many_seeds_find_the_difference_four_times_out_of_five():
    row = only(seeds_needed(PAIRED, 25))
    n = int(row["needed"])
    studies = np.random.default_rng(1).normal(25, row["sd"], size=(20_000, n))
    assert np.mean(stats.ttest_1samp(studies, 0, axis=1).pvalue < 0.05) == pytest.approx(0.8, abs=0.03)


def test_several_comparisons_divide_alpha():
    several = together(PAIRED, arm_of(list(BASE[::-1]), weighting="gae"))
    table = seeds_needed(several, 25, control="total")
    assert table["alpha"].tolist() == [0.025, 0.025]
    assert table["needed"][0] > only(seeds_needed(PAIRED, 25))["needed"]


def test_verdicts_say_whether_there_are_enough():
    many, few = only(seeds_needed(PAIRED, 80)), only(seeds_needed(PAIRED, -5))
    assert (many["enough"], few["enough"]) == (True, False)
    said = "enough: 10 paired seeds see a difference of 80 return between rtg and total with 100 % power"
    assert many["verdict"].startswith(said)
    assert few["verdict"].startswith("not enough: 10 paired seeds see a difference of 5 return between rtg and total")
    assert "in each arm see" in only(seeds_needed(APART, 80))["verdict"]


@pytest.mark.parametrize("seeds", [4, 5, 6])
def test_no_plan_is_enough_where_a_verdict_takes_more(seeds: int):
    both = together(*[arm_of(list(runs[:seeds]), weighting=w) for w, runs in (("total", BASE), ("rtg", RTG))])
    row = only(seeds_needed(both, 1000))
    assert (row["needed"], row["needed_high"], row["enough"]) == (6, 6, seeds >= 6)
    assert row["verdict"].startswith("enough: " if seeds >= 6 else "not enough: a verdict takes 6, and there are ")
    assert ("a verdict takes 6" in only(seeds_needed(both))["verdict"]) == (seeds < 6)
    assert compare(both)["verdict"][0].startswith("too few seeds") == (seeds < 6)


@pytest.mark.parametrize("scores", [[1.0], [5.0] * 4, [np.nan, np.nan]])
def test_where_there_is_no_spread_nothing_is_planned(scores: list[float]):
    frame = together(arm_of([4.0] * len(scores), weighting="total"), arm_of(scores, weighting="rtg"))
    row = only(seeds_needed(frame, 10))
    assert np.isnan([row["needed"], row["sd"], row["power_now"]]).all()
    assert pd.isna(row["enough"])
    assert "show no spread to plan by" in row["verdict"]


def test_without_a_difference_the_one_that_the_seeds_can_see_is_told():
    asked, row = only(seeds_needed(PAIRED, 25)), only(seeds_needed(PAIRED))
    assert row["detectable"] == asked["detectable"]
    assert np.isnan([row["difference"], row["needed"], row["power_now"]]).all()
    assert pd.isna(row["enough"])
    assert row["verdict"] == f"10 paired seeds of rtg and total: a difference of {plain(row['detectable'])} return"


def test_a_single_arm_has_no_rows_but_every_column():
    assert list(seeds_needed(arm_of([1.0, 2.0], weighting="rtg"), 1).columns) == list(seeds_needed(PAIRED, 1).columns)


@pytest.mark.parametrize(("difference", "power"), [(0, 0.8), (5, 1.0), (5, 0.01)])
def test_what_cannot_be_planned_is_refused(difference: float, power: float):
    with pytest.raises(ValueError, match="needs a difference"):
        seeds_needed(PAIRED, difference, power=power)
