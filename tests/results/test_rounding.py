"""Rounding makes no winner: what is equal or 0 but for rounding is so in every test, plan and sentence."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pglab.results import across_problems, compare, decide, describe_arms, main_effects, mean_interval, seeds_needed
from pglab.results.contrasts import contrast
from pglab.results.digits import with_interval
from pglab.results.normalised import COLUMNS
from pglab.results.pairs import paired, unpaired
from pglab.results.rounding import differences_of, mean_of, variance_of, weighted_sums, without_rounding
from tests.results.made import arm_of, together

values = st.floats(-1e6, 1e6).filter(lambda x: x == 0 or abs(x) > 1e-6)
columns = st.integers(6, 14).flatmap(
    lambda n: st.lists(st.lists(values, min_size=n, max_size=n), min_size=2, max_size=5)
)


@settings(max_examples=50)
@given(columns, st.booleans())
def test_equal_arms_are_equal_in_every_mean_of_their_differences(problems: list[list[float]], shared: bool):
    scores = np.array(problems).T
    number = scores.shape[1]
    by_seed = pd.DataFrame(np.hstack([scores, scores]))
    if not shared:
        again = by_seed.set_axis(range(100, 100 + len(by_seed)))
        again.iloc[:, :number] = np.nan
        by_seed.iloc[:, number:] = np.nan
        by_seed = pd.concat([by_seed, again])
    found, _, over_seeds = contrast(by_seed, np.repeat([1 / number, -1 / number], number), 0.05)
    assert over_seeds == shared
    assert found.value == 0
    assert found.p == 1 or (not shared and np.isnan(found.p))


@settings(max_examples=50)
@given(values, st.integers(6, 20), st.integers(6, 20))
def test_a_score_that_all_seeds_have_is_their_mean_and_has_no_spread(score: float, n: int, m: int):
    scores = np.full(n, score)
    assert (mean_of(scores), variance_of(scores)) == (score, 0)
    assert mean_interval(scores) == (score, score, score)
    told = describe_arms(arm_of(list(scores), weighting="total")).iloc[0]
    assert (told["mean"], told["low"], told["high"], told["sd"]) == (score, score, score, 0)
    alike = unpaired(scores, np.full(m, score))
    assert (alike.value, alike.low, alike.high, alike.p) == (0, 0, 0, 1)


@given(st.lists(st.integers(-1000, 1000), min_size=1, max_size=20))
def test_what_is_no_rounding_stays_to_the_bit(whole: list[int]):
    numbers = np.array(whole, dtype=float)
    assert (without_rounding(numbers) == numbers).all()
    assert (differences_of(numbers, numbers[::-1]) == numbers - numbers[::-1]).all()


@settings(max_examples=50)
@given(st.lists(st.integers(-1000, 1000), min_size=6, max_size=12), st.integers(-99, 99).filter(bool))
def test_differences_that_are_equal_but_for_rounding_are_tested_by_their_signs(tenths: list[int], more: int):
    control = np.array(tenths) / 10
    found = paired(differences_of(control + more / 100, control))
    assert found.p == 2 / 2 ** len(tenths)
    assert found.low == found.value == found.high == pytest.approx(more / 100)
    assert np.isnan(found.effect)


def test_a_pair_without_a_score_has_no_difference_and_spoils_no_other():
    assert np.array_equal(
        differences_of(np.array([1.0, np.nan, 3]), np.array([0.5, 2, np.nan])), [0.5, np.nan, np.nan], True
    )
    assert len(weighted_sums(np.empty((0, 2)), np.array([1, -1]))) == 0


def test_a_grid_of_equal_scores_has_no_effect():
    arms = [arm_of([500.0] * 12, weighting=f"w{i}", network=f"n{j}") for i in range(3) for j in range(3)]
    table = main_effects(together(*arms))
    assert set(table["effect"]) == {0}
    assert set(table["p_bonferroni"]) == {1}


def test_two_equal_arms_on_three_problems_have_no_winner():
    known = {"c": (487.0, 500.0), "d": (-110.3, -90.0), "e": (0.7, 0.82)}
    arms = [arm_of([score] * 8, env=env, weighting=w) for env, (score, _) in known.items() for w in ("total", "rtg")]
    runs = together(*arms)
    rows = [("made", arm["arm"][0], -200.0, "given", known[arm["env"][0]][1], "given") for arm in arms]
    found = across_problems(runs, pd.DataFrame(rows, columns=COLUMNS)).iloc[0]
    assert (found["difference"], found["p"]) == (0, 1)
    assert "cannot tell" in found["verdict"]


def test_a_constant_difference_is_no_spread_to_plan_or_decide_by_and_is_shown_as_it_is():
    runs = together(arm_of([0.0] * 6, weighting="total"), arm_of([0.1] * 6, weighting="rtg"))
    assert "no spread to plan by" in seeds_needed(runs, 0.05)["verdict"][0]
    assert "no spread" in decide(runs, 0.05)["verdict"][0]
    assert " beats " in compare(runs)["verdict"][0]
    assert " by 0.1 return" in compare(runs)["verdict"][0]
    assert with_interval(*mean_interval(np.full(10, 0.3))) == ("0.3", "0.3 to 0.3")
    assert with_interval(0.1 + 0.2, 0.3, 0.1 + 0.2) == ("0.3", "0.3 to 0.3")
