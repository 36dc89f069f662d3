"""A scheduler's SIGTERM stops a study and fails none of its runs: the same command ends with the same bits."""

import os
import signal
import subprocess
import time
import warnings
from pathlib import Path

import pandas as pd
import pytest

from pglab import study as study_command
from pglab.processes import start
from pglab.results import IncompleteStudy, load, load_evaluation
from pglab.studies.messages import Check, Checked
from tests.slow import first
from tests.waiting import HANG, until

LONG = ("weighting=counts,rtg", "seed=0,1", "updates=120", "batch.episodes=8", "workers=2", "study=s", "fuse=false")


@pytest.fixture(scope="module")
def command(put_own_weightings, tiny, tmp_path_factory: pytest.TempPathFactory) -> tuple[list[str], Path]:
    """The command, and what it trains when nobody stops it."""
    folder = tmp_path_factory.mktemp("undisturbed")
    options = put_own_weightings(folder)
    return ["-m", *options, *tiny, *LONG], folder


@pytest.fixture(scope="module")
def undisturbed(command_line, command: tuple[list[str], Path]) -> Path:
    arguments, folder = command
    done = command_line(arguments, folder)
    assert done.returncode == 0, done.stderr
    return folder / "results" / "s"


def once_it_trains(process: subprocess.Popen[str], folder: Path) -> list[int]:
    """The workers that have begun to train."""
    assert until(lambda: any(path.stat().st_size >= 5 for path in folder.glob("called-*")), process)
    return [int(path.name.partition("-")[2]) for path in folder.glob("called-*")]


def assert_same_rows(study: Path, other: Path) -> None:
    for read in (load, load_evaluation):
        pd.testing.assert_frame_equal(read(study), read(other), check_exact=True)


@pytest.mark.slow
def test_a_stop_of_the_whole_group_leaves_a_study_that_the_same_command_finishes(
    command_line, command, undisturbed: Path, put_own_weightings, tmp_path: Path, capsys
):
    put_own_weightings(tmp_path)
    with command_line.started(command[0], tmp_path) as process:
        once_it_trains(process, tmp_path)
        os.killpg(process.pid, signal.SIGTERM)
        out, err = process.communicate(timeout=HANG)
    assert (process.returncode, err) == (130, "")
    assert "Interrupted. Kept in results/s" in out
    with warnings.catch_warnings(action="ignore", category=IncompleteStudy):
        stopped = load(tmp_path / "results" / "s")
    assert set(stopped["status"]) <= {"stopped", "finished"}
    assert "stopped" in set(stopped["status"])
    assert study_command.main([str(tmp_path / "results" / "s")]) == 0
    told = capsys.readouterr().out
    assert "unfinished" in told
    assert "failed" not in told
    done = command_line(command[0], tmp_path)
    assert done.returncode == 0, done.stderr
    assert_same_rows(tmp_path / "results" / "s", undisturbed)


@pytest.mark.slow
def test_a_stop_that_reaches_workers_alone_stops_nothing(
    command_line, command, undisturbed: Path, put_own_weightings, tmp_path: Path
):
    put_own_weightings(tmp_path)
    with command_line.started(command[0], tmp_path) as process:
        for worker in once_it_trains(process, tmp_path):
            os.kill(worker, signal.SIGTERM)
        _, err = process.communicate(timeout=HANG)
    assert (process.returncode, err) == (0, "")
    assert_same_rows(tmp_path / "results" / "s", undisturbed)


MOMENTS = first(3, (0.5, 1.5, 2.5, 0.0, 0.2, 1.0, 2.0))


@pytest.mark.parametrize("wait", MOMENTS)
def test_a_stop_at_any_moment_of_the_beginning_fails_nothing(
    command_line, command, put_own_weightings, tmp_path: Path, wait: float
):
    put_own_weightings(tmp_path)
    with command_line.started(command[0], tmp_path) as process:
        time.sleep(wait)
        os.killpg(process.pid, signal.SIGTERM)
        out, err = process.communicate(timeout=HANG)
    assert process.returncode in (130, -signal.SIGTERM)  # before or after the command listens
    assert "failed" not in out + err
    assert "Traceback" not in out + err


def test_a_worker_that_has_not_begun_yet_survives_a_stop_too():
    process, connection = start("pglab.studies.worker", {})
    for stop in (signal.SIGTERM, signal.SIGINT):
        process.send_signal(stop)
    connection.send(Check(()))
    assert connection.recv() == Checked(None)
    connection.close()
    assert process.wait(timeout=HANG) == 0
