"""Arms of which some runs never reach a threshold are compared by the order of their scores, as SciPy does."""

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pytest
from scipy import stats

from pglab.results import compare, scores
from pglab.results.order import by_order
from tests.results.made import updates_of


def steps_to(total: Sequence[int], rtg: Sequence[int], first_seed: int = 0) -> dict:
    """The comparison of arms whose runs reach a threshold at these updates of ten steps; 0: never, in nine updates."""
    runs = {("total", s): ("finished", [9.0 * (n == at) for n in range(1, 10)]) for s, at in enumerate(total)}
    of_rtg = enumerate(rtg, start=first_seed)
    runs |= {("rtg", s): ("finished", [9.0 * (n == at) for n in range(1, 10)]) for s, at in of_rtg}
    (row,) = compare(scores(updates_of(runs), how="steps_to", threshold=9.0)).to_dict("records")
    return row


def test_pairs_some_of_which_never_reach_a_threshold_are_compared_by_scipys_sign_test():
    row = steps_to([5, 0, 0, 9, 8, 0, 7, 6, 4, 0], [2, 3, 0, 4, 1, 6, 2, 1, 5, 9])
    assert row["p"] == pytest.approx(stats.binomtest(8, 9).pvalue)  # one pair never got there at all: a tie
    assert np.isnan([row["low"], row["high"], row["effect"], row["difference"]]).all()
    assert (row["p_better"], row["n"], row["capped"], row["test"]) == (0.85, 10, 5, "sign test")
    assert row["interval"] == "none: scores are infinite"
    assert row["verdict"] == (
        "rtg beats total in 85 % of pairs (10 paired seeds, p = .039, sign test; 5 runs never reached the threshold)"
    )
    assert steps_to([2, 3, 4, 1, 6, 2, 1], [5, 0, 9, 8, 0, 7, 6])["verdict"].startswith("total beats rtg in 100 % of")


def test_few_pairs_of_which_some_never_reach_a_threshold_cannot_tell_and_say_why():
    assert steps_to([0, 0, 0, 2], [0, 2, 2, 2])["verdict"] == (
        "the data cannot tell rtg from total: rtg is better in 75 % of pairs (4 paired seeds, p = .50, "
        "sign test: 2 pairs that differ cannot give p < .05, 6 can; 4 runs never reached the threshold)"
    )
    assert steps_to([0, 0, 0], [0, 0, 0])["p"] == 1


def test_seeds_that_are_not_shared_and_never_reach_a_threshold_are_compared_by_mann_and_whitney():
    row = steps_to([5, 0, 9, 8, 6, 7], [1, 2, 3, 4, 0], first_seed=50)
    assert row["p_better"] == pytest.approx((4 * 6 + 0.5) / 30)
    ranks = stats.rankdata([1, 2, 3, 4, np.inf, 5, np.inf, 9, 8, 6, 7])
    sums = np.array([ranks[list(chosen)].sum() for chosen in combinations(range(11), 5)])
    assert row["p"] == pytest.approx(np.mean(np.abs(sums - sums.mean()) >= abs(ranks[:5].sum() - sums.mean()) - 1e-9))
    assert row["test"] == "Mann-Whitney, exact"
    assert "rtg is better in 82 % of pairings of their runs (5 and 6 seeds, not paired, " in row["verdict"]
    many = steps_to([5, 0, 9, 8, 6, 7, 9, 9, 0, 0], [1, 2, 3, 4, 0, 1, 2, 3, 4, 5], first_seed=50)
    found = stats.mannwhitneyu([1, 2, 3, 4, 99, 1, 2, 3, 4, 5], [5, 99, 9, 8, 6, 7, 9, 9, 99, 99], method="asymptotic")
    assert (many["p"], many["test"]) == (pytest.approx(found.pvalue), "Mann-Whitney, normal limit")
    assert many["verdict"].startswith("rtg beats total in ")
    assert steps_to([0] * 9, [0] * 9, first_seed=50)["p"] == 1
    assert steps_to([0] * 3, [5], first_seed=50)["test"] == "none: 1 and 3 scores"


@pytest.mark.slow
@pytest.mark.parametrize("in_pairs", [True, False])
def test_the_order_of_arms_that_do_not_differ_is_taken_for_a_difference_in_one_of_twenty_studies(in_pairs: bool):
    for n in (5, 6, 9, 20):
        steps = np.random.default_rng(n).integers(1, 12, size=(2000, 2, n)).astype(float)
        steps[steps > 8] = np.inf
        assert np.mean([by_order(a, b, in_pairs).p < 0.05 for a, b in steps]) <= 0.06  # 2 standard errors
