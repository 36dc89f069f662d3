"""A verdict names a winner only where there is one, and says what stands in the way where there is none."""

import re

import numpy as np
import pytest

from pglab.results import compare, scores
from pglab.results.permutations import sign_flips
from pglab.results.verdicts import beats
from tests.results.made import arm_of, together, updates_of
from tests.results.test_comparisons import FIRST, SECOND, two


def test_verdicts_say_who_beats_whom_by_how_much():
    better, worse = [5.0, 7.0, 6.0, 8.0, 9.0, 7.0], [1.0, 2.0, 1.0, 4.0, 4.0, 2.5]
    alike = [5.0, 6.0, 7.0, 8.0, 8.9, 7.0]
    assert two(better, worse)["verdict"].startswith("rtg beats total by 4.58 ± 0.52 return at 1,000 steps (6 paired")
    assert two(worse, better)["verdict"].startswith("total beats rtg by 4.58 ± 0.52 return at 1,000 steps (6 paired")
    assert re.fullmatch(
        r"the data cannot tell rtg from total: −0\.02 ± 0\.67 return at 1,000 steps \(6 paired seeds, p = \.95\)",
        two(alike, better)["verdict"],
    )


@pytest.mark.parametrize("number", [2, 5])
def test_with_fewer_than_six_seeds_there_is_an_estimate_and_no_winner(number: int):
    row = two([50.0 + s % 2 for s in range(number)], [0.1 * s for s in range(number)])
    assert row["low"] > 0
    assert not beats(row)
    assert re.fullmatch(
        rf"too few seeds to judge rtg against total: 50\.\d+ ± \d\.\d+ return at 1,000 steps "
        rf"\({number} paired seeds; a verdict takes 6\)",
        row["verdict"],
    )
    apart = two([50.0, 51.0, 52.0, 51.5, 50.5], {9: 1.0, 10: 2.0, 11: 1.5, 12: 1.8, 13: 1.6, 14: 1.7})
    assert "(5 and 6 seeds, not paired; a verdict takes 6)" in apart["verdict"]


@pytest.mark.parametrize("test", ["t", "permutation"])
def test_six_pairs_are_the_fewest_with_which_signs_alone_come_to_p_05(test):
    differences = np.array([1.0, 1.1, 0.9, 1.2, 0.8, 1.05])
    assert [sign_flips(differences[:n]).p for n in (5, 6)] == [2 / 2**5, 2 / 2**6]
    frame = together(arm_of([0.0] * 6, weighting="total"), arm_of(differences, weighting="rtg"))
    assert compare(frame, test=test)["verdict"][0].startswith("rtg beats total by ")


def test_two_shared_seeds_among_many_are_no_reason_to_leave_the_others_out():
    row = two(FIRST, dict(enumerate(SECOND, start=6)))
    assert (row["paired"], row["n"], row["n_control"], row["left_out"]) == (False, 8, 8, 0)
    assert "(8 and 8 seeds, not paired, for they share 2, p = " in row["verdict"]
    assert row["verdict"].endswith("; seeds 0-5, 8-13 of both arms would make more pairs)")


def test_runs_left_out_of_pairs_come_with_the_seeds_that_would_bring_them_in():
    row = two(FIRST, dict(enumerate(SECOND, start=2)))
    assert (row["paired"], row["pairs"], row["left_out"]) == (True, 6, 4)
    assert "4 runs left out for want of a partner (seeds 0-1, 8-9 of both arms would make more pairs)" in row["verdict"]


def test_seeds_that_failed_are_not_advised_to_be_trained_once_more():
    rtg, total = arm_of(np.arange(10.0) ** 2, weighting="rtg"), arm_of(range(10), weighting="total")
    rtg.loc[rtg["seed"] > 6, ["score", "status"]] = [np.nan, "failed"]
    (row,) = compare(together(total, rtg)).to_dict("records")
    assert (row["lacking"], row["left_out"], row["unscored"]) == ("", 3, 3)
    assert "; 3 runs left out for want of a partner; 3 runs without a score)" in row["verdict"]
    rtg.loc[rtg["seed"] == 8, "status"] = "stopped"
    (row,) = compare(together(total, rtg)).to_dict("records")
    assert "3 runs left out for want of a partner (seed 8 of both arms would make more pairs)" in row["verdict"]


@pytest.mark.parametrize("status", ["diverged", "failed"])
def test_an_arm_that_diverged_or_failed_is_named_and_does_not_lose(status: str):
    runs = {("total", s): ("finished", [100.0 + s]) for s in range(8)}
    runs |= {("rtg", s): (status if s < 5 else "finished", [1.0 + s % 3]) for s in range(8)}
    row = compare(scores(updates_of(runs))).to_dict("records")[0]
    assert not beats(row)
    assert row["verdict"].startswith(f"no verdict on rtg and total, for rtg {status} in 5 of 8 runs: −")
    runs |= {("rtg", s): ("finished", [1.0]) for s in range(2)}
    assert compare(scores(updates_of(runs)))["verdict"][0].startswith(
        "total beats rtg by " if status == "diverged" else "too few seeds to judge rtg against total: "
    )
