"""Short names say what tells arms apart, and never make two arms one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pglab.results.arm_names import setting, shared_settings, short_names, without

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
