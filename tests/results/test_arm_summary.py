"""What is said about an arm is the textbook's interval over seeds, and every run is counted."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from pglab.results import load, load_evaluation, mean_interval, summarize

scores = st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=30)


@given(scores.filter(lambda some: np.std(some) > 1e-3), st.sampled_from([0.5, 0.9, 0.95, 0.99]))
def test_the_interval_is_students_t(some: list[float], level: float):
    mean, low, high = mean_interval(np.array(some), level)
    expected = stats.t.interval(level, len(some) - 1, loc=np.mean(some), scale=stats.sem(some))
    assert mean == np.mean(some)
    np.testing.assert_allclose((low, high), expected, rtol=1e-9, atol=1e-6)


def test_the_interval_of_three_seeds_by_hand():
    # t_{2, 0.975} = 4.302653, s = 1, n = 3
    mean, low, high = mean_interval(np.array([1.0, 2.0, 3.0]))
    assert mean == 2.0
    assert low == pytest.approx(2 - 4.302653 / np.sqrt(3), abs=1e-6)
    assert high == pytest.approx(2 + 4.302653 / np.sqrt(3), abs=1e-6)


def test_one_seed_has_a_mean_and_no_interval():
    mean, low, high = mean_interval(np.array([7.0]))
    assert mean == 7.0
    assert np.isnan(low)
    assert np.isnan(high)


def test_an_infinite_score_leaves_no_interval():
    mean, low, high = mean_interval(np.array([7.0, np.inf, 3.0]))
    assert mean == np.inf
    assert np.isnan([low, high]).all()


@pytest.mark.parametrize("value", [-11.5, 0.0, 500.0])
@pytest.mark.parametrize("n", [2, 3, 10])
def test_equal_scores_have_an_interval_of_no_width(value: float, n: int):
    assert mean_interval(np.full(n, value)) == (value, value, value)


def frame(runs: dict[tuple[str, int], tuple[str, list[float]]]) -> pd.DataFrame:
    """Rows of runs: of each (arm, seed) its status and the mean return of each update, 10 steps each."""
    rows = [
        {"study": "made", "arm": arm, "seed": seed, "update": n, "env_steps": 10 * n}
        | {"return_mean": value, "status": status}
        for (arm, seed), (status, values) in runs.items()
        for n, value in enumerate(values, start=1)
    ]
    return pd.DataFrame(rows)


def evaluated(runs: dict[tuple[str, int], list[float]]) -> pd.DataFrame:
    rows = [{"study": "made", "arm": a, "seed": s, "return": x} for (a, s), values in runs.items() for x in values]
    return pd.DataFrame(rows, columns=["study", "arm", "seed", "return"])


def test_every_run_is_counted_under_its_status_and_only_ended_ones_have_a_score():
    updates = frame(
        {
            ("a", 0): ("finished", [0.0, 1.0]),
            ("a", 1): ("diverged", [0.0, 2.0]),
            ("a", 2): ("stopped", [0.0]),
            ("a", 3): ("failed", [0.0]),
            ("b", 0): ("stopped", [5.0]),
            ("b", 1): ("running", [5.0, 7.0]),
        }
    )
    summary = summarize(updates, evaluated({("a", 0): [10.0, 20.0], ("a", 1): [30.0, 40.0]}))
    a, b = summary.to_dict("records")
    mean, low, high = mean_interval(np.array([15.0, 35.0]))
    counts = {"finished": 1, "diverged": 1, "running": 0, "stopped": 1, "failed": 1}
    assert a == {"arm": "a", "seeds": 4, "score": mean, "low": low, "high": high, "env_steps": 60} | counts
    assert (b["seeds"], b["running"], b["stopped"], b["finished"], b["env_steps"]) == (2, 1, 1, 0, 30)
    assert np.isnan(b["score"])


def test_the_seed_is_the_unit_however_many_episodes_it_played():
    updates = frame({("a", 0): ("finished", [0.0]), ("a", 1): ("finished", [0.0])})
    (arm,) = summarize(updates, evaluated({("a", 0): [0.0], ("a", 1): [1.0, 1.0, 1.0]})).to_dict("records")
    assert arm["score"] == 0.5


def test_without_an_evaluation_the_last_tenth_of_the_updates_is_the_score():
    updates = frame({("a", 0): ("finished", [1.0, 2.0]), ("a", 1): ("finished", [3.0, 6.0])})
    (arm,) = summarize(updates, evaluated({})).to_dict("records")
    assert arm["score"] == 4.0


def test_arms_of_the_same_name_in_two_studies_have_a_line_each():
    updates = frame({("a", seed): ("finished", [float(seed)]) for seed in range(6)})
    both = pd.concat([updates, updates.assign(study="again", return_mean=7.0)], ignore_index=True)
    alone, (first, again) = summarize(updates, evaluated({})), summarize(both, evaluated({})).to_dict("records")
    assert first == {"study": "made"} | alone.to_dict("records")[0]
    assert (again["study"], again["arm"], again["seeds"], again["score"]) == ("again", "a", 6, 7.0)


def test_arms_keep_the_order_in_which_they_come():
    updates = frame({(arm, 0): ("finished", [1.0]) for arm in ("rtg", "gae", "total")})
    assert list(summarize(updates, evaluated({}))["arm"]) == ["rtg", "gae", "total"]


def test_no_rows_at_all_give_no_line_but_every_column():
    none = summarize(frame({("a", 0): ("failed", [0.0])}).iloc[:0], evaluated({}))
    assert len(none) == 0
    assert list(none.columns) == list(summarize(frame({("a", 0): ("failed", [0.0])}), evaluated({})).columns)


def test_the_summary_of_a_study_is_that_of_its_seeds_means(study: Path):
    evaluation = load_evaluation(study)
    summary = summarize(load(study), evaluation).set_index("arm")
    for arm, of_arm in evaluation.groupby("arm"):
        means = of_arm.groupby("seed")["return"].mean()
        low, high = stats.t.interval(0.95, 2, loc=means.mean(), scale=stats.sem(means))
        assert summary.loc[arm, ["score", "low", "high"]].tolist() == pytest.approx([means.mean(), low, high])
        assert summary.loc[arm, ["seeds", "finished", "diverged", "stopped", "failed"]].tolist() == [3, 3, 0, 0, 0]
