"""The end of a command speaks of one score, and hints at what fits the runs that were asked for."""

import re

import numpy as np
import pytest

from pglab.results import compare, scores, summarize
from pglab.results.closing import closing, next_hint
from tests.results.made import evaluation_of, updates_of

RUNS = {
    (arm, seed): ("finished", [*range(10), 10.0 * place + seed, 50.0 * place])
    for place, arm in enumerate(("total", "rtg"))
    for seed in range(4)
}
PLAYED = {(arm, seed): [seed + 30.0 * (arm == "rtg"), seed + 2.0] for arm, seed in RUNS}
TABLE = ["arm", "seeds", "score", "low", "high", "env_steps", "finished", "diverged", "running", "stopped", "failed"]


@pytest.mark.parametrize(
    ("played", "measure"),
    [({}, "mean return over the last 10 % of updates"), (PLAYED, "mean return of the final evaluation")],
)
def test_the_table_and_the_verdicts_have_the_same_score_and_name_it(played, measure: str):
    updates, evaluation = updates_of(RUNS), evaluation_of(played)
    found, compared = closing(updates, evaluation), compare(scores(updates, evaluation))
    assert found.measure == measure == compared["measure"][0]
    column = "final return" if played else "score"
    assert (found.column, found.caption.splitlines()[0]) == (
        column,
        f"{column}: {measure}, averaged over seeds",
    )
    assert found.verdicts == tuple(compared["verdict"])
    assert list(found.summary.columns) == TABLE
    total, rtg = found.summary["score"]
    assert rtg - total == pytest.approx(compared["difference"][0])


def test_without_evaluation_the_table_has_the_last_tenth_and_not_the_last_update():
    updates = updates_of({("total", 0): ("finished", [*[0.0] * 18, 4.0, 8.0])})
    assert summarize(updates, evaluation_of({}))["score"].tolist() == [6.0]


def test_a_run_without_a_finite_evaluation_is_counted_below_the_table():
    evaluation = evaluation_of(PLAYED | {("rtg", 2): [1.0, np.nan]})
    found = closing(updates_of(RUNS), evaluation)
    assert found.caption.endswith("\nno score: 1 run, of which something that was measured is not a finite number")
    of_rtg = [(seed + 30 + seed + 2) / 2 for seed in (0, 1, 3)]
    assert found.summary["score"].tolist() == pytest.approx([2.5, np.mean(of_rtg)])
    assert found.summary["seeds"].tolist() == [4, 4]
    assert "1 run without a score (1 for want of a finite number)" in found.verdicts[0]


def test_many_verdicts_are_counted_and_no_rows_leave_nothing_to_say():
    runs = {(f"w{arm}", seed): ("finished", [float(arm + seed)]) for arm in range(12) for seed in range(2)}
    told = closing(updates_of(runs), evaluation_of({})).verdicts
    assert (len(told), told[-1]) == (9, "… and 3 more comparisons")
    none = closing(updates_of(runs).iloc[:0], evaluation_of({}))
    assert (none.measure, none.caption, none.verdicts, len(none.summary)) == ("", "", (), 0)


COMMAND = "python -m pglab -m weighting=total,rtg"


@pytest.mark.parametrize(
    ("given", "asked", "there", "hint"),
    [
        ("seed=0,1,2", range(3), range(3), "seeds=20"),
        ("seeds=19", range(19), range(19), "seeds=20"),
        ("seeds=20", range(20), range(20), "seeds=40"),
        ("seed=0,1,2", range(3), range(20), "seeds=40"),  # another command has trained the others
        ("seed=1000 seeds=40", range(1000, 1040), [*range(20), *range(1000, 1040)], "seed=1000 seeds=80"),
        ("+seed=5 seeds=3", range(5, 8), range(5, 8), "seed=5 seeds=20"),
        ("seed=11,3,7", [11, 3, 7], [3, 7, 11], "seed=3 seeds=20"),
    ],
)
def test_the_hint_is_the_command_that_adds_seeds_to_those_that_are_there(given: str, asked, there, hint: str):
    said = next_hint(f"{COMMAND} {given}", asked, there, ["finished", "diverged"])
    assert said == f"Next: more seeds narrow the intervals; `{COMMAND} {hint}` trains only those that are new."
    first, more = re.fullmatch(r"(?:seed=(\d+) )?seeds=(\d+)", hint).groups("0")
    assert set(range(int(first), int(first) + int(more))) - set(there)


def test_the_hint_is_quoted_for_a_shell_and_python_is_told_the_keys_alone():
    said = next_hint("python -m pglab 'study=my study' seed=0", [0], [0], ["finished"])
    assert "`python -m pglab 'study=my study' seeds=20`" in said
    said = next_hint("pglab.run(['weighting=rtg'])", [4], [4], ["finished"])
    assert "; the same with seed=4 seeds=20 trains" in said


@pytest.mark.parametrize("status", ["failed", "stopped", "running"])
def test_there_is_no_such_hint_where_a_run_is_not_at_its_end(status: str):
    assert next_hint(COMMAND, [0, 1], [0], ["finished", status]) is None


def test_there_is_no_such_hint_beyond_the_largest_seed():
    assert next_hint(COMMAND, [2**63 - 1], [2**63 - 1], ["finished"]) is None
