"""Short names say what tells arms apart, and never make two arms one."""

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pglab.results.arm_names import (
    arm_labels,
    full_name,
    names_in,
    names_of,
    setting,
    shared_settings,
    short_names,
    without,
)
from pglab.results.finding import meant
from pglab.settings import folder_name, naming
from pglab.store.records import ArmRecord

GRID = [f"batch.steps=1000,env=cartpole,optimizer.lr={lr},weighting={w}" for w in ("total", "rtg") for lr in (0.1, 0.2)]
parts = st.builds("{}={}".format, st.sampled_from(["a", "b.c", "d.c", "seed", "e.seed"]), st.sampled_from("12"))
arms = st.lists(parts, max_size=4, unique_by=lambda part: part.partition("=")[0]).map(lambda p: ",".join(sorted(p)))


def test_what_all_arms_share_is_left_out_and_said_apart():
    expected = ["weighting=total, lr=0.1", "weighting=total, lr=0.2", "weighting=rtg, lr=0.1", "weighting=rtg, lr=0.2"]
    assert list(short_names(GRID).values()) == expected
    assert shared_settings(GRID) == "batch.steps=1000, env=cartpole"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["weighting=rtg"], ["weighting=rtg"]),
        (["weighting=rtg,x=1", "weighting=total,x=1"], ["rtg", "total"]),
        (["gamma=0.9,weighting=rtg", "weighting=rtg"], ["gamma=0.9", "default"]),
        (["default", "weighting=rtg"], ["default", "weighting=rtg"]),
        (["a.lr=1", "b.lr=1"], ["a.lr=1", "b.lr=1"]),
        (["env.seed=1", "env.seed=2"], ["env.seed=1", "env.seed=2"]),
        (["x=[1,y=2", "x=[2,y=2"], ["[1", "[2"]),
        (["x=\x1b[31m", "x=a\nb"], [r"\x1b[31m", r"a\nb"]),
        (["network.sizes=[8,8],x=1", "network.sizes=[8],x=1"], ["sizes=[8,8]", "sizes=[8]"]),
    ],
)
def test_names_by_hand(given, expected):
    assert list(short_names(given).values()) == expected


@given(st.lists(arms, min_size=1, max_size=6, unique=True))
def test_names_stay_different_and_keep_their_order(given: list[str]):
    names = short_names(given)
    assert list(names) == given
    assert len(set(names.values())) == len(given)


def test_a_setting_can_be_read_and_taken_out():
    assert setting(GRID[1], "optimizer.lr") == "0.2"
    assert setting(GRID[1], "lr") is None
    assert without(GRID[1], "optimizer.lr") == without(GRID[0], "optimizer.lr")
    assert without("network.sizes=[8,8],x=1", "x") == "network.sizes=[8,8]"


def record(*overrides: str, given: dict[str, object] | None = None, **choices: str) -> ArmRecord:
    return ArmRecord(folder_name(naming(overrides)), choices, given or {}, {}, overrides)


LONG = [f"estimator.key_{number}=value" for number in range(9)]


def test_an_arm_whose_folder_is_cut_and_hashed_is_called_by_what_differs():
    arms = [record(*LONG, f"+weighting={weighting}", weighting=weighting) for weighting in ("total", "rtg")]
    folders = [arm.arm for arm in arms]
    assert all(len(folder) == 109 and "weighting" not in folder for folder in folders)
    assert names_of(arms) == dict(zip(folders, ["total", "rtg"], strict=True))
    assert full_name(arms[0]) == ",".join([*LONG, "weighting=total"])


def test_an_arm_whose_folder_was_renamed_has_its_new_name():
    arms = [record("weighting=rtg"), ArmRecord("mine", {"weighting": "rtg"}, {}, {}, ("weighting=rtg",))]
    assert names_of(arms) == {"weighting=rtg": "weighting=rtg", "mine": "mine"}


def test_a_setting_that_an_arm_leaves_at_its_default_is_said_where_it_is_known():
    arms = [
        record("weighting=rtg", given={"optimizer.lr": 0.01}, weighting="rtg"),
        record("weighting=rtg", "optimizer.lr=0.03", given={"optimizer.lr": 0.03}, weighting="rtg"),
        record("optimizer.lr=0.010", given={"optimizer.lr": 0.01}, weighting="gae"),
    ]
    expected = ["weighting=rtg, lr=0.01", "weighting=rtg, lr=0.03", "weighting=gae, lr=0.010"]
    assert list(names_of(arms).values()) == expected
    rows = [{"arm": full_name(arm), "weighting": arm.choices["weighting"], **arm.given} for arm in arms]
    assert list(names_in(pd.DataFrame(rows)).values()) == expected


def test_the_choice_that_was_swept_is_the_name_and_not_the_settings_that_it_brings():
    arms = [
        record(
            f"experiment={name}", "updates=2", given={"optimizer.lr": lr}, experiment=name, init=init, env="cartpole"
        )
        for name, lr, init in (("a2c", 0.1, "pytorch"), ("ppo", 0.2, "pytorch"), ("ppo_cleanrl", 0.2, "orthogonal"))
    ]
    assert list(names_of(arms).values()) == ["a2c", "ppo", "ppo_cleanrl"]


def test_arms_of_one_name_in_two_studies_have_the_study_in_their_names():
    frame = pd.DataFrame({"study": ["a,b", "c"], "arm": "weighting=rtg"})
    assert list(arm_labels(frame).values()) == ["a,b", "c"]
    frame = pd.concat([frame, pd.DataFrame({"study": ["c"], "arm": ["weighting=total"]})])
    assert list(arm_labels(frame).values()) == [
        "weighting=rtg, study=a,b", "weighting=rtg, study=c", "weighting=total, study=c",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ("weighting=total, lr=0.1", [0]),
        ("lr=0.10,weighting=total", [0]),
        ("total", [0, 1]),
        ("optimizer.lr=0.2", [1, 3]),
        ("rtg,lr=0.2", [3]),
        (GRID[2], [2]),
        ("0.1", []),
        ("lr=0.3", []),
        ("gae", []),
        ("", []),
    ],
)
def test_an_arm_is_found_by_any_of_its_names_and_by_what_it_chose(wanted: str, expected: list[int]):
    names = short_names(GRID)
    found = meant(wanted, {arm: (arm, name) for arm, name in names.items()}, {arm: {} for arm in GRID})
    assert found == [GRID[place] for place in expected]
