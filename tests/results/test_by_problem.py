"""Arms are compared, drawn and averaged on one problem at a time, never across two."""

import pandas as pd
import pytest

from pglab.results import anova, by_problem, compare, describe_arms, effect_across, main_effects, plots, problems
from pglab.results.arm_choices import compared_factors
from pglab.results.planning import seeds_needed
from tests.results.made import arm_of, together

SCORES = {
    ("cartpole", "total"): [100.0, 120.0, 90.0, 104.0, 99.0, 111.0],
    ("cartpole", "rtg"): [200.0, 215.0, 195.0, 204.0, 203.0, 207.0],
    ("taxi", "total"): [-200.0, -190.0, -210.0, -195.0, -205.0, -200.0],
    ("taxi", "rtg"): [-150.0, -160.0, -130.0, -149.0, -151.0, -150.0],
}


def spanning(scores=SCORES) -> pd.DataFrame:
    return together(*[arm_of(values, env=env, weighting=w) for (env, w), values in scores.items()])


def test_environments_are_never_compared_as_arms():
    one_arm_each = spanning({key: values for key, values in SCORES.items() if key[1] == "rtg"})
    assert compare(one_arm_each).empty
    assert compare(one_arm_each, all_pairs=True).empty
    assert seeds_needed(one_arm_each).empty


@pytest.mark.parametrize("asked", [{}, {"control": "weighting=total"}, {"all_pairs": True}])
def test_arms_are_compared_on_each_problem_by_itself(asked: dict):
    table = compare(spanning(), **asked)
    assert table["problem"].tolist() == ["cartpole", "taxi"]
    assert table["difference"].tolist() == pytest.approx([100.0, 51.667], abs=0.01)
    assert [verdict[:32] for verdict in table["verdict"]] == [
        "on cartpole: rtg beats total by ",
        "on taxi: rtg beats total by 52 ±",
    ]
    assert set(table["alike"]) == {""}
    assert [line.split(" on ")[1].split(":")[0] for line in seeds_needed(spanning())["verdict"]] == ["cartpole", "taxi"]


def test_on_one_problem_no_verdict_names_it():
    table = compare(spanning({key: values for key, values in SCORES.items() if key[0] == "taxi"}))
    assert table["problem"].tolist() == [""]
    assert table["verdict"][0].startswith("rtg beats total by 52 ±")


def test_a_control_named_on_one_problem_is_its_like_on_the_others_and_the_first_arm_where_there_is_none():
    extra = {("acrobot", "gae"): [-90.0, -95.0, -99.0], ("acrobot", "rtg"): [-100.0, -101.0, -99.0]}
    table = compare(spanning(SCORES | extra), control="env=taxi,weighting=total")
    total = ["env=cartpole,weighting=total", "env=taxi,weighting=total"]
    assert table["control"].tolist() == [*total, "env=acrobot,weighting=gae"]
    assert table["problem"].tolist() == ["cartpole", "taxi", "acrobot"]


def test_a_problem_is_the_environment_with_its_settings_and_is_called_what_tells_it_apart():
    keys = [
        {"env": "cartpole", "env.id": None, "env.horizon": 500},
        {"env": "cartpole", "env.id": None, "env.horizon": 50},
        {"env": "toy_text", "env.id": "Taxi-v4", "env.horizon": 200},
    ]
    frame = together(*[arm_of([1.0, 2.0], **one, weighting=w) for one in keys for w in ("total", "rtg")])
    assert list(dict.fromkeys(problems(frame).values())) == ["cartpole, horizon=500", "cartpole, horizon=50", "Taxi-v4"]
    assert [len(runs) for runs in by_problem(frame).values()] == [4, 4, 4]
    assert compared_factors(frame) == ["weighting"]


def test_settings_that_go_with_the_problem_are_no_factor():
    frame = together(
        *[arm_of([1.0, 2.0], env=env, weighting=w, gamma=g) for env, g in (("a", 0.9), ("b", 0.5)) for w in "xy"]
    )
    assert compared_factors(frame) == ["weighting"]
    assert compare(frame)["label"].tolist() == ["y", "y"]


@pytest.mark.parametrize(
    "ask",
    [
        anova,
        main_effects,
        lambda runs: effect_across(runs, "weighting"),
        plots.seed_scores,
        plots.performance_profile,
        lambda runs: plots.paired_differences(compare(runs)),
    ],
)
def test_what_needs_one_scale_refuses_several_problems_by_name(ask):
    with pytest.raises(ValueError, match=r"these runs are on 2 \(cartpole, taxi\).*by_problem"):
        ask(spanning())


def test_curves_of_different_problems_never_share_an_axis():
    updates = spanning().assign(update=1, env_steps=10, return_mean=1.0)
    for draw in (plots.learning_curves, plots.gradient_diagnostics, plots.surrogate_and_objective):
        with pytest.raises(ValueError, match="are of one problem"):
            draw(updates)
    for of_problem in by_problem(updates).values():
        assert len(plots.learning_curves(of_problem).axes) == 1


def test_steps_to_a_threshold_are_restricted_to_a_horizon_of_each_problem():
    frame = spanning({key: [abs(value) for value in values] for key, values in SCORES.items()})
    frame = frame.assign(
        reached=(frame["env"] == "cartpole").astype("boolean"), unit="environment steps", better="lower"
    )
    described = describe_arms(frame)
    assert described["horizon"].isna().tolist() == [True, True, False, False]
