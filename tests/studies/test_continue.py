"""A study goes on from where it was, to the bits of one that was never interrupted."""

import os
import random
import signal
import time
from pathlib import Path

import pytest

import pglab
from pglab.cli import compose_runs
from pglab.studies.plan import make_plan

NUMBERS = ("updates.parquet", "evaluation.parquet", "policies.npz", "states.bin")
# A critic, an optimizer with momentum, memory and batches that end by their steps: all kinds of state.
GRID = (
    "weighting=baseline,gae",
    "baseline=value",
    "seed=0,1,2",
    "env=corridor",
    "env.horizon=60",
    "batch.steps=200",
    "optimizer=sgd",
    "+optimizer.momentum=0.9",
    "evaluation.episodes=4",
    "logger.mode=disabled",
    "workers=2",
    "study=s",
)


def numbers(contents, study: Path) -> dict[str, bytes]:
    """The files that hold a study's results."""
    return {name: content for name, content in contents(study).items() if name.endswith(NUMBERS)}


def train(folder: Path, *overrides: str) -> None:
    pglab.run([*GRID, f"results_dir={folder}", *overrides])


@pytest.fixture(scope="module")
def whole(tmp_path_factory, contents) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("whole")
    train(folder, "updates=12")
    return numbers(contents, folder / "s")


def test_more_updates_go_on_from_the_last_one(tmp_path: Path, contents, whole):
    train(tmp_path, "updates=5")
    plan = make_plan(compose_runs([*GRID, f"results_dir={tmp_path}", "updates=12"]))
    assert [arm.standing.starts for arm in plan.arms] == [{0: 5, 1: 5, 2: 5}] * 2
    train(tmp_path, "updates=12")
    assert numbers(contents, tmp_path / "s") == whole


@pytest.mark.slow
def test_more_seeds_and_arms_leave_the_others_as_they_are(tmp_path: Path, contents, whole):
    train(tmp_path, "updates=5", "weighting=baseline", "seed=1")
    train(tmp_path, "updates=12", "weighting=baseline", "seed=0,1")
    plan = make_plan(compose_runs([*GRID, f"results_dir={tmp_path}", "updates=12"]))
    assert [arm.standing.done for arm in plan.arms] == [(0, 1), ()]
    train(tmp_path, "updates=12")
    assert numbers(contents, tmp_path / "s") == whole


def kill_and_continue(command_line, folder: Path, updates: int, kills: int, seed: int) -> None:
    """Starts the grid again and again, and kills all of it at a random moment, until it is finished."""
    moments = random.Random(seed)
    for _ in range(kills):
        with command_line.started(["-m", *GRID, f"updates={updates}"], folder) as process:
            time.sleep(moments.uniform(0.5, 6.0))
            os.killpg(process.pid, signal.SIGKILL)


@pytest.mark.slow
def test_killed_at_any_moment_it_ends_with_the_same_bits(command_line, tmp_path: Path, contents):
    there, here = tmp_path / "there", tmp_path / "here"
    here.mkdir()
    train(there, "updates=300")
    kill_and_continue(command_line, here, updates=300, kills=2, seed=0)
    done = command_line(["-m", *GRID, "updates=300"], here)
    assert done.returncode == 0, done.stderr
    assert numbers(contents, here / "results" / "s") == numbers(contents, there / "s")
