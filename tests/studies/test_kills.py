"""Killed at any moment, in part or as a whole, a study comes to the same bits and trains no finished run again."""

import os
import random
import signal
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from tests.studies.faults import (
    GRID,
    being_written,
    calls,
    finished,
    put_watched,
    read_everything,
    results,
    workers_of,
)
from tests.waiting import until

UPDATES = 100
SWEEP = (*GRID, f"updates={UPDATES}")
MOST = 200  # updates of a run, six runs together, from one kill to the next
KINDS = ("all", "all", "parent", "worker")


@pytest.fixture(scope="module")
def whole(request: pytest.FixtureRequest, command_line, tmp_path_factory: pytest.TempPathFactory):
    """A sweep, the results of it when seeds are trained one by one, and to which seed a first state belongs."""
    sweep = (*SWEEP, f"backend={getattr(request, 'param', 'torch')}")
    folder, seed_of = put_watched(tmp_path_factory.mktemp("whole") / "here"), {}
    for seed in (0, 1, 2):
        (folder / "calls").unlink(missing_ok=True)
        done = command_line([*sweep, f"seed={seed}", "workers=1"], folder)
        assert done.returncode == 0, done.stderr
        firsts = {first for _, first in calls(folder)}
        assert len(firsts) >= UPDATES
        # What trial batches show while the components are checked belongs to nobody.
        seed_of = {first: seed_of.get(first) if first in seed_of else seed for first in {*seed_of, *firsts}}
    return sweep, results(folder / "results" / "s"), seed_of


def kill(command_line, sweep: Sequence[str], folder: Path, chance: random.Random) -> tuple[str, int]:
    """Starts the command and kills it, or parts of it, at some moment; the kind of kill, and the status."""
    kind, at_write, early = chance.choice(KINDS), chance.random() < 0.4, chance.random() < 0.05

    def train_on(process) -> None:
        enough = len(calls(folder)) + chance.randrange(MOST)
        until(lambda: len(calls(folder)) >= enough, process, tick=0.001)

    with command_line.started([*sweep, "seed=0,1,2"], folder) as process:
        if early:
            time.sleep(chance.uniform(0.0, 3.0))
        else:
            train_on(process)
        if at_write:
            until(lambda: being_written(folder / "results" / "s"), process, tick=0.0)
        if process.poll() is not None:
            return "ended", process.returncode
        if kind == "worker" and (workers := workers_of(process.pid)):
            with suppress(ProcessLookupError):
                os.kill(chance.choice(workers), signal.SIGKILL)
            train_on(process)
        if kind == "parent":
            process.kill()
        else:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    return kind, process.returncode


def kill_often(command_line, folder: Path, kills: int, whole) -> list[str]:
    """Kills commands until there were as many kills; whenever a study is finished, begins another one."""
    sweep, expected, seed_of = whole
    chance, kinds, number = random.Random(0), [], 0
    here, over, seen = put_watched(folder / "0"), set(), 0
    while len(kinds) < kills or number == 0 or over:
        if len(kinds) < kills:
            kind, status = kill(command_line, sweep, here, chance)
        else:
            kind, status = "ended", command_line([*sweep, "seed=0,1,2"], here).returncode
        study = here / "results" / "s"
        assert (kind != "ended") or status in (0, 1)  # 1: the only run of a worker that was killed
        read_everything(study, UPDATES)
        now = calls(here)
        again = {(weighting, seed_of.get(first)) for weighting, first in now[seen:]} & over
        assert not again, f"trained again: {again}"
        assert over <= finished(study)
        seen, over = len(now), finished(study)
        if kind != "ended":
            kinds.append(kind)
        elif status == 0:
            assert len(over) == 6
            assert results(study) == expected
            number += 1
            here, over, seen = put_watched(folder / f"{number}"), set(), 0
            if len(kinds) >= kills:
                break
    return kinds


@pytest.mark.slow
@pytest.mark.parametrize("whole", ["torch", "native"], indirect=True)
def test_a_study_that_is_killed_a_few_times_ends_with_the_same_bits(command_line, tmp_path: Path, whole):
    kill_often(command_line, tmp_path, kills=5, whole=whole)


@pytest.mark.slow
def test_studies_that_are_killed_a_hundred_times_end_with_the_same_bits(command_line, tmp_path: Path, whole):
    kinds = kill_often(command_line, tmp_path, kills=100, whole=whole)
    assert {kind: kinds.count(kind) >= 10 for kind in set(KINDS)} == dict.fromkeys(KINDS, True)
