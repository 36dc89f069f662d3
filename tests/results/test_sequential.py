"""Sequential comparisons: their limits are those of the books, and their errors are kept."""

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
import scipy.stats

from pglab.results import decide
from pglab.results.sequential import GROWTH, Look, levels, look_at, looks, spent
from tests.results import sequential_error_rates
from tests.results.error_rates import BENT
from tests.results.made import arm_of, together


def scores_of(arms: Mapping[str, Sequence[float]]) -> pd.DataFrame:
    return together(*(arm_of(list(scores), weighting=name) for name, scores in arms.items()))


def test_looks_are_the_same_whatever_the_most():
    assert looks(200) == (6, 8, 10, 13, 17, 22, 28, 35, 44, 55, 69, 87, 109, 137, 172)
    assert looks(30) == looks(200)[:7]
    assert all(later == math.ceil(GROWTH * number) for number, later in pairwise(looks(1000)))


@pytest.mark.parametrize("alpha", [0.05, 0.01])
def test_the_looks_together_take_what_is_spent_and_never_all(alpha: float):
    numbers = (6, 10, 17)
    limits = scipy.stats.norm.isf(np.array(levels(numbers, alpha)) / 2)
    shared = np.array([[math.sqrt(min(n, m) / max(n, m)) for m in numbers] for n in numbers])
    stay = scipy.stats.multivariate_normal(cov=shared).cdf(limits, lower_limit=-limits, rng=np.random.default_rng(0))
    assert 1 - stay == pytest.approx(spent(17, alpha), abs=2e-4)
    assert spent(10**9, alpha) < alpha


def test_five_equal_looks_have_the_limit_of_pocock(monkeypatch: pytest.MonkeyPatch):
    """Pocock 1977, Table 1: five looks at equal steps, each at the level .0158, have .05 together."""
    each, taken = 0.0158, {}
    for number in range(1, 6):
        n = np.arange(1, number + 1)
        within = scipy.stats.multivariate_normal(cov=np.minimum.outer(n, n) / np.sqrt(np.outer(n, n)))
        limit = np.full(number, scipy.stats.norm.isf(each / 2))
        taken[number] = 1 - within.cdf(limit, lower_limit=-limit, rng=np.random.default_rng(0))
    assert taken[5] == pytest.approx(0.05, abs=0.002)
    monkeypatch.setattr("pglab.results.sequential.spent", lambda seeds, alpha: taken[int(seeds)])
    levels.cache_clear()
    assert np.allclose(levels((1, 2, 3, 4, 5), 0.05), each, atol=4e-4)
    levels.cache_clear()


def test_a_look_decides_by_what_its_interval_leaves_out():
    assert Look(6, 6, 5.0, 1.0, 9.0).outcome(3.0) == "seen"
    assert Look(6, 6, -5.0, -9.0, -1.0).outcome(3.0) == "seen"
    assert Look(6, 6, 0.5, -1.0, 2.0).outcome(3.0) == "excluded"
    assert Look(6, 6, 0.5, -3.5, 2.0).outcome(3.0) == "open"
    assert look_at(np.zeros(50), 50, 0.01).outcome(3.0) == "open"  # no spread tells nothing of rare differences


def test_the_interval_of_a_look_is_students():
    differences = np.random.default_rng(0).normal(size=10)
    known = scipy.stats.ttest_1samp(differences, 0.0).confidence_interval(0.99)
    found = look_at(np.append(differences, np.nan), 11, 0.01)
    assert (found.low, found.high) == pytest.approx((known.low, known.high))
    assert (found.seeds, found.pairs) == (11, 10)


def test_decide_goes_look_by_look_and_more_seeds_change_no_decision():
    rng = np.random.default_rng(1)
    control, arm = rng.normal(size=(2, 60))
    whole = decide(scores_of({"total": control, "rtg": arm + 1.2}), difference=0.5).iloc[0]
    assert whole["outcome"] == "seen"
    assert 6 <= whole["seeds"] < 60
    short = decide(scores_of({"total": control[: whole["seeds"]], "rtg": arm[: whole["seeds"]] + 1.2}), 0.5).iloc[0]
    assert short["verdict"] == whole["verdict"]
    before = decide(scores_of({"total": control[: whole["seeds"] - 1], "rtg": arm[: whole["seeds"] - 1] + 1.2}), 0.5)
    assert before["outcome"].tolist() == ["open"]


def test_verdicts_say_what_was_found_after_how_many_seeds_and_what_a_fixed_plan_takes():
    rng = np.random.default_rng(2)
    control = rng.normal(size=300)
    frame = scores_of({"total": control, "rtg": control + 2 + 0.1 * rng.normal(size=300), "gae": rng.normal(size=300)})
    better, alike = decide(frame, difference=0.5)["verdict"]
    assert better.startswith("seen after 6 paired seeds: ")
    assert "rtg beats " in better
    assert "a fixed plan to see 0.5 return would have taken " in better
    assert alike.startswith("excluded after ")
    assert " differ by less than 0.5 return" in alike


def test_a_run_that_goes_on_stops_the_looks_and_one_that_failed_leaves_its_pair_out():
    rng = np.random.default_rng(3)
    frame = scores_of({"total": rng.normal(size=13), "rtg": rng.normal(size=13)})
    running = frame.assign(
        status=frame["status"].mask((frame["seed"] == 9) & (frame["arm"] == frame["arm"][0]), "running")
    )
    assert decide(running, 0.5)["seeds"].tolist() == [8]
    failed = frame[~((frame["seed"] == 9) & (frame["arm"] == frame["arm"][0]))]
    found = decide(failed, 0.1).iloc[0]
    assert (found["seeds"], found["pairs"]) == (13, 12)


def test_pairs_that_count_are_told_from_seeds_and_lost_and_diverged_runs_are_named():
    control = np.random.default_rng(3).normal(size=8)
    frame = scores_of({"total": control, "rtg": control + np.random.default_rng(4).normal(0, 0.1, 8)})
    lost = frame["seed"].isin([3, 4]) & (frame["weighting"] == "rtg")
    frame = frame.assign(status=frame["status"].mask(lost, "failed"), score=frame["score"].mask(lost))
    frame["status"] = frame["status"].mask(frame["seed"].isin([3, 5]) & (frame["weighting"] == "total"), "diverged")
    found = decide(frame, 5.0).iloc[0]
    assert (found["outcome"], found["seeds"], found["pairs"], found["diverged"]) == ("excluded", 8, 6, 1)
    assert found["verdict"].startswith("excluded after 6 paired seeds (2 of 8 without a score, 1 run diverged): ")


def test_nothing_is_decided_by_fewer_than_six_pairs_or_without_spread():
    few = decide(scores_of({"total": np.arange(5.0), "rtg": np.arange(5.0) + 9}), 1.0).iloc[0]
    assert (few["outcome"], few["looks"], few["pairs"]) == ("open", 0, 5)
    assert few["verdict"].startswith("not decided after 5 paired seeds: too few to judge ")
    assert few["verdict"].endswith("; a verdict takes 6")
    alike = decide(scores_of({"total": np.full(40, 500.0), "rtg": np.full(40, 500.0)}), 1.0)
    assert alike["verdict"][0].startswith("not decided after 35 paired seeds")
    assert alike["verdict"][0].endswith("show no spread to go by")


def test_a_fixed_plan_has_as_many_seeds_as_a_verdict_takes():
    found = decide(scores_of({"total": np.arange(6.0), "rtg": np.array([1, 3, 2, 4, 6, 5.0])}), 1000.0).iloc[0]
    assert found["fixed_plan"] == 6


@pytest.mark.parametrize("difference", [0.0, -1.0, math.nan, math.inf])
def test_a_difference_is_above_zero(difference: float):
    with pytest.raises(ValueError, match="above 0"):
        decide(scores_of({"total": np.arange(6.0), "rtg": np.arange(6.0)}), difference)


def test_times_are_refused():
    frame = scores_of({"total": np.arange(6.0), "rtg": np.arange(6.0)}).assign(better="lower")
    with pytest.raises(ValueError, match="decides on returns"):
        decide(frame, 1.0)


def check_rates(bent: str, studies: int, most_errors: float) -> None:
    alike = sequential_error_rates.rates(bent, 0.0, studies)
    differing = sequential_error_rates.rates(bent, 1.0, studies)
    assert alike.some_seen <= most_errors
    assert differing.some_excluded <= most_errors
    assert differing.seen >= 0.8
    further = sequential_error_rates.rates(bent, 2.0, studies)
    assert further.seeds < 0.6 * further.fixed_plan


def test_errors_are_kept_in_a_few_simulated_studies():
    check_rates("normal", 200, most_errors=0.09)


@pytest.mark.slow
@pytest.mark.parametrize("bent", BENT)
def test_errors_are_kept_in_2000_simulated_studies(bent: str):
    check_rates(bent, 2000, most_errors=0.05)
    assert sequential_error_rates.rates(bent, 0.0, 2000, arms=1).some_seen <= 0.05
