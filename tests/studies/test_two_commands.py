"""Two commands at once on one study leave what one would have left, and train nothing twice."""

import os
import signal
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.studies.faults import GRID, calls, put_watched, results
from tests.waiting import HANG, until

UPDATES = 60
SWEEP = (*GRID, f"updates={UPDATES}", "seed=0,1,2")


@pytest.fixture(scope="module")
def whole(command_line, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = put_watched(tmp_path_factory.mktemp("whole") / "here")
    assert command_line(SWEEP, folder).returncode == 0
    assert len(calls(folder)) == len(set(calls(folder))) == 6 * UPDATES
    return results(folder / "results" / "s")


def line(process, beginning: str) -> str:
    """The next line that begins so."""
    said = next((said for said in process.stdout if said.startswith(beginning)), "")
    assert said, process.stderr.read()
    return said


@pytest.mark.slow
@pytest.mark.parametrize(
    ("first", "second"),
    [((), ()), (("weighting=first",), ()), (("seed=0,2",), ("seed=2,1,0", "workers=1"))],
    ids=["the same grid", "overlapping grids", "other seeds"],
)
def test_two_commands_at_once(command_line, tmp_path: Path, whole, first: Sequence[str], second: Sequence[str]):
    folder = put_watched(tmp_path / "here")
    with command_line.started([*SWEEP, *first], folder) as one:
        line(one, "Training")
        os.killpg(one.pid, signal.SIGSTOP)  # so that the second one surely comes upon it
        with command_line.started([*SWEEP, *second], folder) as other:
            assert f"Waiting for process {one.pid} on " in line(other, "Waiting")
            os.killpg(one.pid, signal.SIGCONT)
            for process in (one, other):
                out, err = process.communicate(timeout=HANG)
                assert (process.returncode, err) == (0, "")
                assert "Study s" in out
    assert results(folder / "results" / "s") == whole
    assert len(calls(folder)) == len(set(calls(folder))) == 6 * UPDATES


@pytest.mark.slow
def test_the_second_takes_over_from_the_checkpoint_of_a_first_that_is_killed(command_line, tmp_path: Path, whole):
    folder = put_watched(tmp_path / "here")
    with command_line.started(SWEEP, folder) as one:
        assert until(lambda: len(list(folder.glob("results/s/*/checkpoint.bin"))) == 2, one)
        os.killpg(one.pid, signal.SIGSTOP)
        so_far = len(calls(folder))
        with command_line.started(SWEEP, folder) as other:
            line(other, "Waiting for process")
            os.killpg(one.pid, signal.SIGKILL)
            _, err = other.communicate(timeout=HANG)
            assert (other.returncode, err) == (0, "")
    assert results(folder / "results" / "s") == whole
    assert len(set(calls(folder))) == 6 * UPDATES
    assert len(calls(folder)) < 6 * UPDATES + so_far, "from the beginning"
