"""A study goes on from where it was, to the bits of one that was never interrupted."""

import os
import random
import signal
import time
from pathlib import Path

import pytest

import pglab
from pglab.cli import compose_runs
from pglab.errors import InputError
from pglab.studies.plan import make_plan
from tests.waiting import until

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

# What PPO adds to it: lanes, running statistics of observations and returns, a penalty's weight, shuffled minibatches.
PPO = (
    "surrogate=clip,kl_adaptive", "reuse=epochs", "reuse.epochs=2", "reuse.minibatches=2", "batch=segments",
    "batch.lanes=3", "batch.steps=16",
    "weighting=gae", "baseline=value", "baseline.fit=with_policy", "baseline.normalize_targets=true", "gamma=0.97",
    "observations=normalized", "rewards=scaled", "estimator.normalize=minibatch", "schedule=linear", "env.horizon=60",
    "seed=0,1", "evaluation.episodes=4", "logger.mode=disabled", "workers=2", "study=s",
)  # fmt: skip


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


def test_fewer_updates_than_an_unfinished_run_has_made_are_refused_and_its_checkpoint_stays(
    command_line, tmp_path: Path, tiny, contents
):
    asked = [*tiny, "seeds=2", "study=s", f"results_dir={tmp_path}"]
    pglab.run([*asked, "updates=1", "seeds=1"])  # the first seed is on its way to more updates, the other to its first
    with command_line.started([*asked, "updates=3000"], tmp_path) as process:
        assert until(lambda: list(tmp_path.glob("s/*/checkpoint.bin")), process)
    there = contents(tmp_path)
    for seed in (0, 1):
        one = compose_runs([*asked, "updates=2", "seeds=1", f"seed={seed}"])
        with pytest.raises(
            InputError, match=rf"holds seed {seed} with \d+ updates, more than updates=2; ask for as many"
        ):
            make_plan(one)
    assert make_plan(compose_runs([*asked, "updates=1", "seeds=1"])).missing == 0
    assert command_line([*asked, "updates=2", "plan=true"], tmp_path).returncode == 2
    assert contents(tmp_path) == there


@pytest.mark.slow
def test_more_seeds_and_arms_leave_the_others_as_they_are(tmp_path: Path, contents, whole):
    train(tmp_path, "updates=5", "weighting=baseline", "seed=1")
    train(tmp_path, "updates=12", "weighting=baseline", "seed=0,1")
    plan = make_plan(compose_runs([*GRID, f"results_dir={tmp_path}", "updates=12"]))
    assert [arm.standing.done for arm in plan.arms] == [(0, 1), ()]
    train(tmp_path, "updates=12")
    assert numbers(contents, tmp_path / "s") == whole


@pytest.mark.slow
def test_ppo_killed_after_a_checkpoint_ends_with_the_same_bits(command_line, tmp_path: Path, contents):
    asked = ["-m", *PPO, "updates=30"]
    with command_line.started(asked, tmp_path) as process:
        assert until(lambda: list(tmp_path.glob("results/s/*/checkpoint.bin")), process)
        os.killpg(process.pid, signal.SIGKILL)
    plan = make_plan(compose_runs([*asked[1:], f"results_dir={tmp_path / 'results'}"]))
    assert any(0 < start < 30 for arm in plan.arms for start in arm.standing.starts.values())
    pglab.run([*asked[1:], f"results_dir={tmp_path / 'results'}"])
    pglab.run([*PPO, "updates=30", "workers=1", f"results_dir={tmp_path / 'at_once'}"])
    assert numbers(contents, tmp_path / "results" / "s") == numbers(contents, tmp_path / "at_once" / "s")


def kill_and_continue(command_line, folder: Path, asked: list[str], kills: int, seed: int) -> None:
    """Starts a command again and again, and kills all of it at a random moment."""
    moments = random.Random(seed)
    for _ in range(kills):
        with command_line.started(asked, folder) as process:
            time.sleep(moments.uniform(0.5, 6.0))
            os.killpg(process.pid, signal.SIGKILL)


@pytest.mark.slow
@pytest.mark.parametrize(("grid", "kills"), [(GRID, 2), (PPO, 8)], ids=["episodes", "ppo"])
def test_killed_at_any_moment_it_ends_with_the_same_bits(command_line, tmp_path: Path, contents, grid, kills):
    there, here = tmp_path / "there", tmp_path / "here"
    here.mkdir()
    pglab.run([*grid, f"results_dir={there}", "updates=300"])
    asked = ["-m", *grid, "updates=300"]
    kill_and_continue(command_line, here, asked, kills, seed=0)
    done = command_line(asked, here)
    assert done.returncode == 0, done.stderr
    assert numbers(contents, here / "results" / "s") == numbers(contents, there / "s")
