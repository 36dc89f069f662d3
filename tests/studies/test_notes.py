"""Choices that do not go well together are told of, once for all arms."""

import pytest

from pglab.cli import compose_runs
from pglab.studies.notes import lacks_baseline, unused_baseline
from pglab.studies.plan import make_plan


def test_no_baseline_where_one_would_be_used_is_noted_once():
    assert lacks_baseline(compose_runs(["weighting=total,rtg,baseline,gae"])) is None
    assert lacks_baseline(compose_runs(["weighting=total,rtg,baseline,gae", "baseline=none", "gamma=0.9,1"])) == (
        "under weighting=baseline and weighting=gae baseline=none leaves returns alone to weigh by; "
        "baseline=value is a learned one"
    )


def test_a_baseline_that_is_not_used_is_noted_once():
    assert unused_baseline(compose_runs(["weighting=total,rtg,baseline,gae"])) is None
    assert unused_baseline(compose_runs(["weighting=total,rtg,gae", "baseline=value"])) == (
        "under weighting=total and weighting=rtg no baseline is used, and nothing changes with baseline=value"
    )


@pytest.mark.parametrize(
    ("overrides", "shown"),
    [
        (["weighting=gae"], " (baseline=value)"),
        (["weighting=gae", "baseline=value"], ""),
        (["weighting=rtg"], ""),
        (["experiment=ppo"], ""),
    ],
    ids=str,
)
def test_a_baseline_that_a_weighting_brought_stands_beside_the_arms_name(overrides, shown: str, tmp_path):
    (arm,) = make_plan(compose_runs([*overrides, f"results_dir={tmp_path}"])).asked
    assert arm.shown_baseline == shown
