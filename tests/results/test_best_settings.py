"""Of the settings that were tried the best one of each arm is taken, and verdicts tell at which setting arms were."""

import pandas as pd
import pytest

from pglab.results import compare
from pglab.results.best_settings import best_settings, tuned_by_default
from pglab.results.tuning import tuned_arms
from tests.results.made import arm_of, together

LEVELS = {
    ("total", 0.01): 3,
    ("total", 0.03): 5,
    ("total", 0.1): 4,
    ("rtg", 0.01): 2,
    ("rtg", 0.03): 7,
    ("rtg", 0.1): 9,
}


def grid(levels=LEVELS, **described) -> pd.DataFrame:
    return together(
        *[
            arm_of([level, level + 1.0], **described, weighting=w, **{"optimizer.lr": lr})
            for (w, lr), level in levels.items()
        ]
    )


def taken(scores: pd.DataFrame, *tuned: str) -> dict[str, dict]:
    return {best.arm[1]: dict(best.settings) for best in best_settings(scores, tuned)}


def test_each_arm_has_the_setting_with_the_best_mean_score():
    assert taken(grid(), "optimizer.lr") == {
        "weighting=total,optimizer.lr=0.03": {"optimizer.lr": "0.03"},
        "weighting=rtg,optimizer.lr=0.1": {"optimizer.lr": "0.1"},
    }
    fewer_steps = grid().assign(better="lower")
    assert [arm[-4:] for arm in taken(fewer_steps, "optimizer.lr")] == ["0.01", "0.01"]


def test_a_setting_at_the_end_of_those_that_were_tried_is_told():
    total, rtg = best_settings(grid(), ["optimizer.lr"])
    assert (total.beyond, rtg.beyond) == ((), ("optimizer.lr",))
    assert (rtg.score, rtg.n, rtg.tried) == (9.5, 2, 3)


def test_each_problem_has_its_own_best_setting():
    turned = {key: -level for key, level in LEVELS.items()}
    found = taken(together(grid(env="a"), grid(turned, env="b")), "optimizer.lr")
    assert [arm.partition("lr=")[2] for arm in found] == ["0.03", "0.1", "0.01", "0.01"]


def test_values_are_tuned_and_choices_of_groups_are_compared_unless_said_otherwise():
    assert tuned_by_default(grid()) == ["optimizer.lr"]
    assert list(taken(grid(), "weighting")) == [
        "weighting=total,optimizer.lr=0.01",
        "weighting=rtg,optimizer.lr=0.03",
        "weighting=rtg,optimizer.lr=0.1",
    ]


LRS = [arm_of([level] * 5, weighting="rtg", **{"optimizer.lr": lr}) for lr, level in ((0.1, 300), (0.2, 400))]


@pytest.mark.parametrize("left", range(5))
def test_a_setting_under_which_runs_fail_is_chosen_only_where_there_is_no_other(left: int):
    survived = LRS[1].assign(score=LRS[1]["score"].where(LRS[1]["seed"] < left))
    (best,) = best_settings(together(LRS[0], survived), ["optimizer.lr"])
    assert (best.settings, best.score, best.n) == ({"optimizer.lr": "0.1"}, 300, 5)
    assert (best.tried, best.passed_over) == (2, 1)
    (row,) = tuned_arms(together(LRS[0], survived), ["optimizer.lr"]).to_dict("records")
    assert (row["optimizer.lr"], row["best"], row["settings"]) == ("0.1", 300, 1)
    neither = together(LRS[0].assign(score=LRS[0]["score"].where(LRS[0]["seed"] > 0)), survived)
    (best,) = best_settings(neither, ["optimizer.lr"])
    assert (best.score, best.passed_over) == ((400, 0) if left else (300, 1))
    (row,) = tuned_arms(neither, ["optimizer.lr"]).to_dict("records")
    assert (row["best"], row["settings"]) == ((400, 2) if left else (300, 1))


def test_an_arm_without_any_score_is_named():
    some = grid()
    with pytest.raises(ValueError, match=r"no run of .*total.* has a score"):
        best_settings(some.assign(score=some["score"].where(some["weighting"] != "total")), ["optimizer.lr"])


def test_a_key_in_which_no_arms_differ_is_refused_with_those_in_which_they_do():
    with pytest.raises(ValueError, match=r"do not differ in gamma; they differ in weighting, optimizer\.lr"):
        best_settings(grid(), ["gamma"])


def test_settings_in_which_two_arms_differ_are_part_of_the_verdict():
    unlike = {key: LEVELS[key] for key in (("total", 0.03), ("rtg", 0.1))}
    (row,) = compare(grid(unlike)).to_dict("records")
    assert (row["label"], row["control_label"]) == ("rtg at lr=0.1", "total at lr=0.03")
    alike = {key: LEVELS[key] for key in (("total", 0.03), ("rtg", 0.03))}
    (row,) = compare(grid(alike)).to_dict("records")
    assert (row["label"], row["control_label"]) == ("rtg", "total")
    by_default = together(
        arm_of([1.0, 2.0], weighting="total").assign(**{"optimizer.lr": 0.01}),
        arm_of([3.0, 5.0], weighting="rtg", **{"optimizer.lr": 0.1}),
    )
    assert compare(by_default)["verdict"][0].count("rtg at lr=0.1") == 1
    assert "total at lr=0.01" in compare(by_default)["verdict"][0]
