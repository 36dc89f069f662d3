"""One verdict over several problems: exact for the seeds, about these problems, and open about what it leaves out."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from pglab.results import across_problems, compare, describe_across, normalized
from pglab.results.closing import closing
from pglab.results.normalised import COLUMNS, known_returns, reference_lines
from tests.results.made import arm_of, evaluation_of, together, updates_of

RANGES = {"cartpole": (20.0, 500.0), "taxi": (-800.0, 8.0), "pendulum": None}
rng = np.random.default_rng(3)
SCORES = {
    ("cartpole", "total"): rng.normal(200, 40, 8),
    ("cartpole", "rtg"): rng.normal(280, 40, 8),
    ("taxi", "total"): rng.normal(-100, 30, 8),
    ("taxi", "rtg"): rng.normal(-90, 30, 8),
    ("pendulum", "total"): rng.normal(-900, 30, 8),
    ("pendulum", "rtg"): rng.normal(-950, 30, 8),
}


def runs_on(*names: str) -> pd.DataFrame:
    return together(*[arm_of(s, env=env, weighting=w) for (env, w), s in SCORES.items() if env in names])


def references(frame: pd.DataFrame) -> pd.DataFrame:
    arms = frame.drop_duplicates(["study", "arm"])
    rows = [
        (study, arm, RANGES[env][0], "exact", RANGES[env][1], "exact optimum")
        for study, arm, env in zip(arms["study"], arms["arm"], arms["env"], strict=True)
        if RANGES[env]
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


def z(env: str, weighting: str) -> np.ndarray:
    random, best = RANGES[env]
    return (SCORES[env, weighting] - random) / (best - random)


TWO = runs_on("cartpole", "taxi")
KNOWN = references(TWO)


def test_random_play_is_0_and_the_best_known_is_1():
    ends = together(*[arm_of(RANGES[env], env=env, weighting="rtg") for env in ("cartpole", "taxi")])
    found = normalized(ends, references(ends))
    assert found["score"].tolist() == [0.0, 1.0, 0.0, 1.0]
    assert set(found["unit"]) == {"normalised return"}


def test_the_verdict_over_problems_is_a_paired_t_test_of_each_seeds_mean_over_them():
    (row,) = across_problems(TWO, KNOWN).to_dict("records")
    of_seed = np.mean([z(env, "rtg") - z(env, "total") for env in ("cartpole", "taxi")], axis=0)
    expected = stats.ttest_1samp(of_seed, 0)
    assert (row["difference"], row["p"]) == pytest.approx((of_seed.mean(), expected.pvalue))
    assert (row["low"], row["high"]) == pytest.approx(tuple(expected.confidence_interval()))
    assert (row["problems"], row["pairs"], row["left_out"], row["test"]) == (2, 8, 0, "paired t of means over problems")
    assert row["verdict"].startswith("over 2 problems: rtg beats total by 0.106 ± 0.092 normalised return (8 paired")
    on_each = [np.mean(z(env, "rtg") - z(env, "total")) for env in ("cartpole", "taxi")]
    assert row["by_problem"] == f"cartpole {on_each[0]:.3f}, taxi {on_each[1]:.3f}"


def test_turned_around_the_verdict_is_the_same():
    (row,) = across_problems(TWO, KNOWN, control="weighting=rtg").to_dict("records")
    forth = across_problems(TWO, KNOWN)["verdict"][0]
    assert row["verdict"] == forth
    assert row["difference"] < 0


def test_scales_of_returns_are_of_no_account():
    stretched = TWO.assign(score=TWO["score"].where(TWO["env"] != "taxi", 1000 * TWO["score"] + 7))
    known = KNOWN.assign(
        **{
            end: KNOWN[end].where(~KNOWN["arm"].str.contains("taxi"), 1000 * KNOWN[end] + 7)
            for end in ("random", "best")
        }
    )
    same = ["difference", "low", "high", "p"]
    pd.testing.assert_frame_equal(across_problems(stretched, known)[same], across_problems(TWO, KNOWN)[same])


def test_a_problem_whose_best_return_nobody_knows_has_verdicts_of_its_own_and_is_named():
    three = runs_on("cartpole", "taxi", "pendulum")
    (row,) = across_problems(three, references(three)).to_dict("records")
    assert row["problems"] == 2
    assert row["verdict"].endswith("; without pendulum")
    assert compare(three)["problem"].tolist() == ["cartpole", "taxi", "pendulum"]
    assert reference_lines(three, references(three)) == [
        "cartpole: 0 is 20 (exact), 1 is 500 (exact optimum)",
        "taxi: 0 is −800 (exact), 1 is 8 (exact optimum)",
        "pendulum: not known, so its scores enter no verdict over problems",
    ]


@pytest.mark.parametrize("lacking", KNOWN["arm"])
def test_a_problem_has_the_reference_of_any_of_its_arms(lacking: str):
    some = KNOWN[KNOWN["arm"] != lacking]
    pd.testing.assert_frame_equal(normalized(TWO, some), normalized(TWO, KNOWN))
    pd.testing.assert_frame_equal(across_problems(TWO, some), across_problems(TWO, KNOWN))
    pd.testing.assert_frame_equal(describe_across(TWO, some), describe_across(TWO, KNOWN))
    assert reference_lines(TWO, some) == reference_lines(TWO, KNOWN)
    assert known_returns(TWO, some)


def test_arms_of_one_problem_go_by_one_reference_and_unlike_ones_are_refused_by_name():
    rtg = KNOWN["arm"] == "env=taxi,weighting=rtg"
    nearly = KNOWN.assign(random=KNOWN["random"].where(~rtg, -799.0))
    pd.testing.assert_frame_equal(across_problems(TWO, nearly), across_problems(TWO, KNOWN))
    unlike = KNOWN.assign(best=KNOWN["best"].where(~rtg, 80.0))
    said = "its arms have unlike references: env=taxi,weighting=total from −800 to 8 and env=taxi,weighting=rtg from"
    with pytest.raises(ValueError, match=f"scores on taxi cannot be normalised: {said} −800 to 80"):
        across_problems(TWO, unlike)
    assert not known_returns(TWO, unlike)
    assert reference_lines(TWO, unlike)[1].startswith(f"taxi: not normalised, and no verdict over problems, for {said}")


@pytest.mark.parametrize("best", [20.0, 19.0])
def test_a_best_return_that_is_not_above_random_play_is_named(best: float):
    known = KNOWN.assign(best=KNOWN["best"].where(KNOWN["arm"].str.contains("taxi"), best))
    said = f"the best known return, {best:.0f}, is not above that of random play, 20"
    with pytest.raises(ValueError, match=f"scores on cartpole cannot be normalised: {said}"):
        across_problems(TWO, known)
    assert not known_returns(TWO, known)


def test_without_two_known_problems_or_two_arms_there_is_no_verdict_over_problems():
    assert across_problems(TWO, KNOWN.iloc[:0]).empty
    assert across_problems(runs_on("cartpole"), KNOWN).empty
    alone = TWO[TWO["weighting"] == "rtg"]
    assert across_problems(alone, KNOWN).empty
    assert describe_across(alone, KNOWN)["arm"].tolist() == ["default"]


def test_seeds_that_a_problem_lacks_are_left_out_and_counted_and_with_fewer_than_two_it_is_welch():
    some = TWO[(TWO["env"] != "taxi") | (TWO["seed"] < 5)]
    (row,) = across_problems(some, KNOWN).to_dict("records")
    assert (row["pairs"], row["left_out"]) == (5, 6)
    assert "6 runs left out for want of a partner" in row["verdict"]
    apart = TWO.assign(seed=TWO["seed"] + 100 * (TWO["env"] == "taxi"))
    (row,) = across_problems(apart, KNOWN).to_dict("records")
    assert not row["paired"]
    assert row["test"].startswith("Welch")
    assert row["difference"] == pytest.approx(across_problems(TWO, KNOWN)["difference"][0])


def test_the_mean_over_problems_of_each_arm_counts_every_problem_the_same():
    table = describe_across(TWO, KNOWN)
    assert list(table.columns) == ["arm", "n", "mean", "low", "high", "interval", "cartpole", "taxi"]
    for row in table.to_dict("records"):
        means = [z(env, row["arm"]).mean() for env in ("cartpole", "taxi")]
        assert row["mean"] == pytest.approx(np.mean(means))
        assert [row["cartpole"], row["taxi"]] == pytest.approx(means)
    lacking = describe_across(TWO[TWO["arm"] != "env=taxi,weighting=rtg"], KNOWN)
    assert lacking["interval"].tolist()[1] == "none: no such arm on taxi"


def with_settings_of_the_problem(**settings: dict[str, object]) -> pd.DataFrame:
    """`TWO` with settings that its command gave each problem, and so are a part of its arms' names."""
    frame = TWO
    for key, of_env in settings.items():
        dotted = key.replace("__", ".")
        value = frame["env"].map(of_env)
        frame = frame.assign(**{dotted: value, "arm": frame["arm"] + f",{dotted}=" + value.astype(str)})
    return frame


@pytest.mark.parametrize(
    "settings",
    [
        {"batch__steps": {"cartpole": 5000, "taxi": 200}},
        {"env__horizon": {"cartpole": 500, "taxi": 100}},
        {"network": {"cartpole": "mlp", "taxi": "tabular"}, "gamma": {"cartpole": 0.9, "taxi": 1.0}},
    ],
    ids=["batch", "horizon", "network and gamma"],
)
def test_settings_that_go_with_the_problem_split_no_method_in_table_or_verdict(settings: dict):
    frame = with_settings_of_the_problem(**settings)
    known = references(frame)
    numbers = ["arm", "n", "mean", "low", "high", "cartpole", "taxi"]
    alike = describe_across(frame, known)[numbers].to_numpy().tolist()
    assert alike == describe_across(TWO, KNOWN)[numbers].to_numpy().tolist()
    said = ["label", "control_label", "alike", "difference", "low", "high", "problems"]
    pd.testing.assert_frame_equal(across_problems(frame, known)[said], across_problems(TWO, KNOWN)[said])


def test_a_method_that_was_asked_for_by_another_experiment_on_each_problem_is_called_what_it_is():
    named = {("cartpole", "total"): "a", ("cartpole", "rtg"): "b", ("taxi", "total"): "c", ("taxi", "rtg"): "d"}
    frame = TWO.assign(experiment=[named[key] for key in zip(TWO["env"], TWO["weighting"], strict=True)])
    frame = frame.assign(arm="experiment=" + frame["experiment"])
    assert describe_across(frame, references(frame))["arm"].tolist() == ["total", "rtg"]
    (row,) = across_problems(frame, references(frame)).to_dict("records")
    assert row["verdict"].startswith("over 2 problems: rtg beats total by 0.106 ± 0.092 normalised return (8 paired")


def test_the_same_arms_in_two_studies_are_two_methods():
    twice = together(TWO, TWO.assign(study="again", score=TWO["score"] - 1))
    known = references(twice)
    assert describe_across(twice, known)["n"].tolist() == [8] * 4
    assert across_problems(twice, known)["problems"].tolist() == [2, 2]


def test_scores_that_are_no_returns_are_refused():
    with pytest.raises(ValueError, match="returns are normalised; these scores are environment steps"):
        normalized(TWO.assign(unit="environment steps"), KNOWN)


def test_a_command_ends_with_the_verdict_over_problems_and_what_it_rests_on():
    frames = [
        updates_of({(w, seed): ("finished", [s]) for seed, s in enumerate(scores)}).assign(
            env=env, arm=f"env={env},weighting={w}"
        )
        for (env, w), scores in SCORES.items()
        if env != "pendulum"
    ]
    updates = together(*frames)
    end = closing(updates, evaluation_of({}), references(updates))
    assert end.verdicts[0].startswith("over 2 problems: rtg beats total by")
    assert [verdict.split(":")[0] for verdict in end.verdicts[1:]] == ["on cartpole", "on taxi"]
    assert "normalised return on taxi: 0 is −800 (exact), 1 is 8 (exact optimum)" in end.caption
    without = closing(updates, evaluation_of({}))
    assert [verdict.split(":")[0] for verdict in without.verdicts] == ["on cartpole", "on taxi"]
    assert "normalised return on taxi: not known" in without.caption
