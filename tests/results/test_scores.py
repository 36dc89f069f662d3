"""Every run has one row, with the score that its rows give by hand."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pglab.results import compare, describe_arms, load, load_evaluation, scores
from tests.results.made import evaluation_of, updates_of

returns = st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=45)
few = settings(max_examples=25)


def only(frame: pd.DataFrame) -> dict:
    (row,) = frame.to_dict("records")
    return row


@few
@given(returns)
def test_the_last_tenth_is_a_tenth_of_the_runs_own_updates_rounded_up(values: list[float]):
    row = only(scores(updates_of({("rtg", 0): ("finished", values)})))
    tenth = -(-len(values) // 10)
    assert row["score"] == pytest.approx(np.mean(values[-tenth:]), abs=1e-9)
    assert row["measure"] == "mean return over the last 10 % of updates"
    assert (row["unit"], row["better"], row["note"], row["env_steps"]) == ("return", "higher", "", 10 * len(values))


def test_order_of_rows_does_not_matter():
    frame = updates_of({("rtg", 0): ("finished", list(range(30))), ("total", 0): ("finished", list(range(9)))})
    shuffled = scores(frame.sample(frac=1, random_state=0)).sort_values("arm", ignore_index=True)
    pd.testing.assert_frame_equal(shuffled, scores(frame).sort_values("arm", ignore_index=True))


def test_the_area_weighs_each_update_with_its_steps():
    frame = updates_of({("rtg", 0): ("finished", [10.0, 20.0, 60.0])})
    frame["env_steps"] = [100, 400, 500]
    assert only(scores(frame, how="area"))["score"] == pytest.approx((10 * 100 + 20 * 300 + 60 * 100) / 500)


@few
@given(returns, st.integers(1, 1000))
def test_the_area_of_equal_batches_is_the_mean_return(values: list[float], steps: int):
    frame = updates_of({("rtg", 0): ("finished", values)}, steps)
    assert only(scores(frame, how="area"))["score"] == pytest.approx(np.mean(values), abs=1e-9)


def test_steps_to_a_threshold_are_those_at_the_end_of_the_first_update_that_reaches_it():
    frame = updates_of({("rtg", 0): ("finished", [1.0, 5.0, 2.0, 9.0])})
    row = only(scores(frame, how="steps_to", threshold=5.0))
    assert (row["score"], row["reached"], row["unit"], row["better"]) == (20.0, True, "environment steps", "lower")
    assert row["measure"] == "environment steps until the mean return of a batch reaches 5"


def test_a_run_that_ends_before_the_threshold_is_censored_at_its_last_step():
    runs = {("rtg", s): ("finished", [1.0, value]) for s, value in enumerate([9.0, 2.0])}
    runs |= {
        ("rtg", 2): ("diverged", [1.0, 2.0, np.nan]),
        ("rtg", 3): ("stopped", [1.0]),
        ("rtg", 4): ("failed", [9.0]),
    }
    frame = scores(updates_of(runs), how="steps_to", threshold=5.0)
    assert frame["score"].tolist() == [20.0, 20.0, 30.0, 10.0, 10.0]
    assert frame["reached"].tolist() == [True, False, False, False, True]
    said = [f"{status} before the threshold was reached: the time is censored" for status in ("finished", "stopped")]
    never = "diverged before the threshold was reached: it counts as never there"
    assert frame["note"].tolist() == ["", said[0], never, said[1], ""]


@pytest.mark.parametrize(("how", "score"), [("last_tenth", 4.0), ("area", 3.0), ("final_evaluation", 7.0)])
def test_a_diverged_run_enters_with_what_it_had_and_rows_that_are_no_numbers_are_not_that(how: str, score: float):
    frame = updates_of({("rtg", 0): ("diverged", [2.0, 4.0, np.nan])})
    row = only(scores(frame, evaluation_of({("rtg", 0): [6.0, 8.0]}), how=how))
    assert (row["score"], row["note"]) == (score, "diverged: the score is of what it had")


@pytest.mark.parametrize("how", ["last_tenth", "area", "final_evaluation"])
def test_runs_that_did_not_end_are_there_without_a_score(how: str):
    runs = {("rtg", n): (status, [5.0]) for n, status in enumerate(["stopped", "failed", "training", "finished"])}
    evaluation = evaluation_of({("rtg", 3): [5.0]})
    frame = scores(updates_of(runs), evaluation, how)
    assert frame["score"].isna().tolist() == [True, True, True, False]
    assert frame["note"].tolist() == ["stopped: no score", "failed: no score", "training: no score", ""]
    assert frame["reached"].isna().tolist()[:3] == [True] * 3


def test_a_run_without_evaluation_says_so():
    frame = updates_of({("rtg", 0): ("finished", [1.0]), ("rtg", 1): ("finished", [1.0])})
    frame = scores(frame, evaluation_of({("rtg", 0): [3.0]}), "final_evaluation")
    assert frame["score"].isna().tolist() == [False, True]
    assert frame["note"].tolist() == ["", "finished, but nothing was measured that the score needs"]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_an_evaluation_episode_that_is_not_finite_leaves_its_run_without_a_score_and_says_so(bad: float):
    frame = updates_of({("rtg", seed): ("finished", [1.0]) for seed in range(3)})
    played = {("rtg", 0): [3.0, bad, 5.0], ("rtg", 1): [3.0, 5.0], ("rtg", 2): [bad, bad]}
    frame = scores(frame, evaluation_of(played))
    assert frame["measure"][0] == "mean return of the final evaluation"
    np.testing.assert_array_equal(frame["score"], [np.nan, 4.0, np.nan])
    assert frame["note"].tolist() == [
        "finished: no score, for the return of 1 evaluation episode is not a finite number",
        "",
        "finished: no score, for the return of 2 evaluation episodes is not a finite number",
    ]
    (row,) = describe_arms(frame).to_dict("records")
    assert (row["n"], row["mean"], row["not_finite"]) == (1, 4.0, 2)


def test_a_verdict_counts_the_runs_without_a_score_for_want_of_a_finite_number():
    frame = updates_of({(arm, seed): ("finished", [1.0]) for arm in ("total", "rtg") for seed in range(3)})
    played = {(arm, s): [float(s)] for arm in ("total", "rtg") for s in range(3)} | {("rtg", 1): [1.0, np.nan]}
    (row,) = compare(scores(frame, evaluation_of(played))).to_dict("records")
    assert (row["unscored"], row["not_finite"], row["pairs"]) == (1, 1, 2)
    assert "1 run without a score (1 for want of a finite number)" in row["verdict"]


@pytest.mark.parametrize("how", ["last_tenth", "area"])
def test_a_score_that_overflows_is_none(how: str):
    frame = updates_of({("rtg", 0): ("finished", [1.7e308] * 20)})
    with np.errstate(over="ignore"):
        row = only(scores(frame, how=how))
    assert np.isnan(row["score"])
    assert row["note"] == "finished: no score, for it is not a finite number"


@few
@given(st.lists(st.one_of(st.floats(-1e3, 1e3), st.just(np.nan)), min_size=1, max_size=45))
def test_updates_in_which_no_episode_ended_enter_no_mean_and_no_others_stand_in_for_them(values: list[float]):
    """An update in which none ended leaves the last tenth where it is."""
    frame, steps = updates_of({("rtg", 0): ("finished", values)}), 10
    for how, window in (("last_tenth", values[9 * len(values) // 10 :]), ("area", values)):
        row, there = only(scores(frame, how=how)), [value for value in window if not np.isnan(value)]
        if there:
            assert row["score"] == pytest.approx(np.mean(there), abs=1e-9)
            assert row["note"] == ""
        else:
            assert np.isnan(row["score"])
            assert row["note"] == "finished, but nothing was measured that the score needs"
        assert row["env_steps"] == steps * len(values)


@pytest.mark.parametrize("bad", [[np.inf], [-np.inf, np.nan], [np.inf, -np.inf]])
@pytest.mark.parametrize("how", ["last_tenth", "area"])
def test_an_infinite_return_leaves_its_run_without_a_score_and_says_so(how: str, bad: list[float]):
    frame = updates_of({("rtg", 0): ("finished", [100.0] * 90 + bad + [100.0] * (10 - len(bad)))})
    with np.errstate(invalid="ignore"):
        row = only(scores(frame, how=how))
    number = "1 update" if np.isinf(bad).sum() == 1 else "2 updates"
    assert np.isnan(row["score"])
    assert row["note"] == f"finished: no score, for the return of {number} is not a finite number"
    early = updates_of({("rtg", 0): ("finished", bad + [100.0] * 98)})
    assert only(scores(early, how="last_tenth"))["score"] == 100
    diverged = updates_of({("rtg", 0): ("diverged", [100.0] * 20 + bad)})
    assert only(scores(diverged, how=how))["score"] == 100


def test_arms_and_seeds_keep_their_order_and_what_describes_them():
    frame = scores(updates_of({(arm, seed): ("finished", [1.0]) for arm in ("rtg", "gae") for seed in (3, 0)}))
    assert frame["weighting"].tolist() == ["rtg", "rtg", "gae", "gae"]
    assert frame["seed"].tolist() == [3, 0, 3, 0]
    described = ["study", "arm", "seed", "env", "weighting", "status", "env_steps"]
    assert list(frame.columns) == [*described, "score", "measure", "unit", "better", "reached", "note"]


@pytest.mark.parametrize(
    ("how", "threshold"), [("final_evaluation", None), ("steps_to", None), ("area", 3.0), ("best", None)]
)
def test_what_is_missing_or_unknown_is_named(how: str, threshold: float | None):
    with pytest.raises(ValueError, match=r"threshold|load_evaluation|how is"):
        scores(updates_of({("rtg", 0): ("finished", [1.0])}), how=how, threshold=threshold)  # pyright: ignore


def test_scores_of_a_study_are_the_means_of_its_rows(study: Path):
    updates, evaluation = load(study), load_evaluation(study)
    final = scores(updates, evaluation, "final_evaluation").set_index(["arm", "seed"])["score"]
    expected = evaluation.groupby(["arm", "seed"])["return"].mean()
    pd.testing.assert_series_equal(final.sort_index(), expected.sort_index(), check_names=False)
    last = scores(updates).set_index(["arm", "seed"])["score"]
    of_last = updates[updates["update"] == 2].set_index(["arm", "seed"])["return_mean"]
    pd.testing.assert_series_equal(last.sort_index(), of_last.sort_index(), check_names=False)
