"""An arm's numbers are SciPy's, and every run of it is counted."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from pglab.results import describe_arms, read_runs, scores
from pglab.results.intervals import interval_of_mean, tolerance_interval
from tests.results.made import arm_of, together, updates_of

some_scores = st.lists(st.floats(-1e4, 1e4), min_size=2, max_size=30).filter(lambda some: np.std(some) > 1e-3)


def only(frame: pd.DataFrame) -> dict:
    (row,) = frame.to_dict("records")
    return row


@settings(max_examples=25)
@given(some_scores)
def test_the_numbers_of_an_arm_are_scipys(some: list[float]):
    row = only(describe_arms(arm_of(some, weighting="rtg")))
    low, high = stats.t.interval(0.95, len(some) - 1, loc=np.mean(some), scale=stats.sem(some))
    assert [row["mean"], row["low"], row["high"]] == pytest.approx([np.mean(some), low, high], rel=1e-9, abs=1e-6)
    assert row["sd"] == pytest.approx(stats.tstd(some))
    assert [row["median"], row["iqm"]] == pytest.approx([np.median(some), stats.trim_mean(some, 0.25)])
    assert (row["min"], row["max"], row["n"]) == (min(some), max(some), len(some))
    assert row["interval"] == "95 % Student-t"


def test_the_bootstrap_is_scipys_and_the_same_every_time():
    some = np.random.default_rng(0).exponential(size=12)
    row = only(describe_arms(arm_of(list(some), weighting="rtg"), interval="bca", level=0.9))
    expected = stats.bootstrap((some,), np.mean, confidence_level=0.9, method="BCa", rng=0).confidence_interval
    assert (row["low"], row["high"]) == tuple(expected)
    assert row["interval"] == "90 % BCa bootstrap"


def test_the_interquartile_mean_hides_a_quarter_of_failed_seeds():
    assert only(describe_arms(arm_of([0.0, 0.0, *[500.0] * 6], weighting="rtg")))["iqm"] == 500.0


@pytest.mark.parametrize("method", ["t", "bca"])
def test_few_or_equal_scores_have_an_interval_that_says_what_it_is(method):
    assert interval_of_mean(np.array([]), method).said == "none: no scores"
    assert interval_of_mean(np.array([3.0]), method).said == "none: one score"
    assert np.isnan(interval_of_mean(np.array([3.0]), method).low)
    equal = interval_of_mean(np.full(5, 500.0), method)
    assert (equal.low, equal.high, equal.said) == (500.0, 500.0, "no width: all 5 scores are equal")


@pytest.mark.parametrize("n", [2, 3])
def test_a_bootstrap_of_two_or_three_scores_gives_an_interval_or_says_that_it_is_students(n: int):
    found = interval_of_mean(np.arange(n, dtype=float), "bca")
    assert np.isfinite([found.low, found.high]).all()
    assert "BCa" in found.said


def test_an_unknown_interval_is_named():
    with pytest.raises(ValueError, match="'t' or 'bca'"):
        describe_arms(arm_of([1.0, 2.0], weighting="rtg"), interval="percentile")  # pyright: ignore


def test_a_tolerance_interval_takes_46_scores():
    assert np.isnan(tolerance_interval(np.arange(45.0)).low)
    assert tolerance_interval(np.arange(45.0)).said == "none: it needs 46 scores, there are 45"
    found = tolerance_interval(np.random.default_rng(0).permutation(46).astype(float))
    assert (found.low, found.high) == (0.0, 45.0)


@pytest.mark.parametrize("n", [46, 93])
def test_a_tolerance_interval_holds_nine_tenths_of_the_seeds_in_95_of_100_studies(n: int):
    draws = np.random.default_rng(n).uniform(size=(2000, n))
    found = [tolerance_interval(study) for study in draws]
    held = np.mean([of_study.high - of_study.low >= 0.9 for of_study in found])
    assert held >= 0.95 - 0.015
    shorter = np.sort(draws)  # one score further in at each end would not be enough
    cut = int(np.searchsorted(shorter[0], found[0].low)) + 1
    assert np.mean(shorter[:, n - 1 - cut] - shorter[:, cut] >= 0.9) < 0.95


def test_every_run_is_counted():
    runs = {("rtg", n): (status, [5.0]) for n, status in enumerate(["finished", "diverged", "stopped", "failed", "?"])}
    runs |= {("gae", 0): ("finished", [1.0]), ("gae", 9): ("finished", [9.0])}
    rtg, gae = describe_arms(scores(updates_of(runs), how="steps_to", threshold=5.0)).to_dict("records")
    counts = ["n", "finished", "diverged", "stopped", "failed", "unfinished", "missing", "capped"]
    assert [rtg[count] for count in counts] == [5, 1, 1, 1, 1, 1, 1, 0]
    assert [gae[count] for count in counts] == [2, 2, 0, 0, 0, 0, 4, 1]


def test_an_arm_without_any_score_has_a_row():
    row = only(describe_arms(scores(updates_of({("rtg", 0): ("failed", [1.0])}))))
    assert (row["n"], row["failed"], row["interval"]) == (0, 1, "none: no scores")
    assert np.isnan([row["mean"], row["median"], row["iqm"], row["min"], row["max"]]).all()


def test_arms_of_the_same_name_in_two_studies_stay_apart():
    arm = arm_of([1.0, 2.0], weighting="rtg")
    table = describe_arms(together(arm, arm_of([5.0], weighting="rtg").assign(study="other")))
    assert table[["study", "n", "missing"]].to_numpy().tolist() == [["made", 2, 0], ["other", 1, 0]]


@pytest.mark.parametrize("censored", [False, True])
def test_it_is_of_no_account_how_rows_are_numbered(censored: bool):
    arms = [arm_of(range(6), weighting="rtg"), arm_of(range(100, 106), weighting="total")]
    if censored:
        arms = [arm.assign(better="lower", reached=pd.array(arm["seed"] % 3 > 0, dtype="boolean")) for arm in arms]
    pd.testing.assert_frame_equal(describe_arms(pd.concat(arms)), describe_arms(together(*arms)))


def test_no_seed_of_another_program_is_missing_in_an_arm():
    rows = pd.DataFrame([(arm, s, st, 1.0) for arm in ("x", "y") for s in range(1, 6) for st in (10, 20)])
    theirs = read_runs(rows.set_axis(["arm", "seed", "env_steps", "return_mean"], axis=1))
    assert describe_arms(scores(theirs))["missing"].tolist() == [0, 0]
    own = updates_of({("rtg", 0): ("finished", [1.0]), ("gae", 1): ("finished", [1.0])}).assign(study="frame")
    both = describe_arms(scores(together(own, theirs[own.columns])))
    assert both["missing"].tolist() == [1, 1, 0, 0]


def test_a_frame_with_two_rows_of_a_run_is_refused():
    with pytest.raises(ValueError, match="more than one row"):
        describe_arms(together(arm_of([1.0], weighting="rtg"), arm_of([1.0], weighting="rtg")))


def test_unlike_scores_are_refused():
    with pytest.raises(ValueError, match="unlike scores"):
        describe_arms(together(arm_of([1.0], weighting="rtg"), arm_of([1.0], weighting="gae").assign(unit="steps")))
