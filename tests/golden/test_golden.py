"""No change of the program changes a bit of any run that could be trained before it."""

import json

import pytest

from pglab.cli import compose_runs
from pglab.studies.asked import runs_of
from tests.conftest import ROOT
from tests.golden.studies import HASHES, STUDIES, bits, machine
from tests.mujoco_here import needs_mujoco

# Importing Box2D warns, and as an error that ends the process.
pytestmark = pytest.mark.filterwarnings("ignore:builtin type:DeprecationWarning")
KNOWN = json.loads(HASHES.read_text())
SWEPT_ELSEWHERE = {  # where it is trained, where results go, and how many seeds: not what they are
    "cluster/ray",
    "cluster/submitit",
    "logger/wandb",
    "until/decided",
}


DEAR = {
    "doom", "groups", "ppo", "surrogates", "ppo_atari", "group experiments", "group_estimators", "baselines under gae",
    "weightings and optimizers", "pong with one bias less", "minatar", "mujoco/trust_region", "ppo details",
}  # fmt: skip


def marks_of(name: str) -> list[pytest.MarkDecorator]:
    return [needs_mujoco] * ("mujoco" in name) + [pytest.mark.slow] * (name in DEAR)


@pytest.mark.parametrize("name", [pytest.param(name, marks=marks_of(name)) for name in STUDIES])
def test_every_run_has_the_bits_that_it_had(name: str):
    known = KNOWN.get(machine(), {})
    if name not in known:
        pytest.skip(
            f"no bits are known of {machine()}: `python -m tests.golden.record` at a trusted commit stores them"
        )
    assert bits(STUDIES[name]) == known[name]


LARGE = ("baselines", "weightings and optimizers")


@pytest.mark.parametrize("name", ["diagnostics", *(pytest.param(name, marks=pytest.mark.slow) for name in LARGE)])
def test_a_run_alone_has_the_bits_that_it_has_in_the_bundle(name: str):
    together = bits(STUDIES[name])
    runs = {f"{run.arm.name}/{run.seed}": run for c in compose_runs(STUDIES[name]) for run in runs_of(c)}
    for key in list(together)[1::5]:
        run = runs[key]
        own = [o for o in run.arm.composed.overrides if o.partition("=")[0] not in ("seed", "seeds")]
        alone = bits([*own, f"seed={run.seed}", "seeds=1"])
        assert list(alone.values()) == [together[key]]


def test_the_studies_span_every_choice_of_every_group():
    keys = [override.partition("=") for overrides in STUDIES.values() for override in overrides]
    chosen = {f"{group}/{choice}" for group, _, choices in keys for choice in choices.split(",")}
    (default,) = compose_runs([])
    chosen |= {f"{group}/{choice}" for group, choice in default.choices.items()}
    there = {f"{file.parent.name}/{file.stem}" for file in (ROOT / "conf").glob("*/*.yaml")}
    assert there - SWEPT_ELSEWHERE <= chosen
