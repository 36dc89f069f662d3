"""One run that fails costs itself; the others of its bundle keep their bits."""

import re
from pathlib import Path

import pytest

from tests.slow import first
from tests.studies.faults import GRID, abouts, calls, finished, put_watched, results

UPDATES = 30
SWEEP = (*GRID, f"updates={UPDATES}", "workers=1")
EVERY = {(weighting, seed) for weighting in ("first", "second") for seed in (0, 1, 2)}


@pytest.fixture(scope="module")
def whole(command_line, tmp_path_factory: pytest.TempPathFactory):
    """Two arms of three seeds; their results, and at which first state it is seed 1's turn for the 18th time."""
    folder = put_watched(tmp_path_factory.mktemp("whole") / "here")
    assert command_line([*SWEEP, "seed=1"], folder).returncode == 0
    turns = [first for weighting, first in calls(folder) if weighting == "first"]
    assert command_line([*SWEEP, "seed=0,2"], folder).returncode == 0
    return results(folder / "results" / "s"), turns[17]


def runs(folder: Path) -> dict[tuple[str, int], dict]:
    return {
        (about["identity"]["weighting"]["name"], int(seed)): run
        for _, about in abouts(folder / "results" / "s")
        for seed, run in about["runs"].items()
    }


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("raises", "RuntimeError: cannot weigh first"),
        pytest.param("ends", "the worker process ended without a word", marks=pytest.mark.slow),
    ],
)
def test_only_the_run_that_fails_is_lost(command_line, tmp_path: Path, whole, kind: str, error: str):
    expected, turn = whole
    folder = put_watched(tmp_path / "here")
    (folder / "faults").write_text(f"{kind} first {turn}\n")
    done = command_line([*SWEEP, "seed=0,1,2"], folder)
    assert (done.returncode, done.stderr) == (1, "")
    assert "1 runs failed; the same command again tries them anew" in done.stdout
    assert finished(folder / "results" / "s") == EVERY - {("first", 1)}
    failed = runs(folder)["first", 1]
    assert (failed["status"], failed["updates"]) == ("failed", 17)
    assert error in failed["error"]
    assert error in done.stdout
    before = len(calls(folder))
    (folder / "faults").unlink()
    assert command_line([*SWEEP, "seed=0,1,2"], folder).returncode == 0
    assert results(folder / "results" / "s") == expected
    assert len(calls(folder)) - before == UPDATES - 15, "it goes on from its last checkpoint"


@pytest.mark.slow
def test_fail_fast_stops_at_the_first_failure_and_the_same_command_goes_on(command_line, tmp_path: Path, whole):
    expected, turn = whole
    folder = put_watched(tmp_path / "here")
    (folder / "faults").write_text(f"raises first {turn}\n")
    command = [*SWEEP, "seed=0,1,2", "fail_fast=true"]
    done = command_line(command, folder)
    assert (done.returncode, done.stderr) == (1, "")
    assert {run["status"] for run in runs(folder).values()} == {"failed"}
    assert 6 * 17 < len(calls(folder)) < 6 * 18
    (folder / "faults").unlink()
    assert command_line(command, folder).returncode == 0
    assert results(folder / "results" / "s") == expected


@pytest.mark.parametrize("weighting", first(1, ["raises", "dies"]))
def test_an_arm_that_always_fails_is_given_up_soon(
    command_line, tmp_path: Path, tiny, own_weightings: list[str], weighting: str
):
    done = command_line([*own_weightings, "-m", f"weighting=rtg,{weighting}", "seeds=50", *tiny, "study=s"], tmp_path)
    assert done.returncode == 1
    assert "50 runs failed" in done.stdout
    status = {
        weighting: [run["status"] for run in about["runs"].values()]
        for arm, about in abouts(tmp_path / "results" / "s")
        for weighting in [re.search("weighting=([a-z]+)", arm.name)[1]]
    }
    assert status == {"rtg": ["finished"] * 50, weighting: ["failed"] * 50}
    said = re.findall("RuntimeError: my own|without a word", done.stdout)
    assert len(said) == 2, "it is said once with its traceback, and once below the table"


@pytest.mark.slow
def test_many_runs_that_fail_for_reasons_of_their_own_leave_the_others(command_line, tmp_path: Path):
    folder = put_watched(tmp_path / "here")
    sweep = [*SWEEP, "weighting=first", "updates=2"]
    assert command_line([*sweep, "seeds=10", "study=alone", "fuse=false"], folder).returncode == 0
    turns = [calls(folder)[2 * seed][1] for seed in (1, 3, 4, 5, 7)]  # one seed after another, two updates each
    (folder / "faults").write_text("".join(f"raises first {turn}\n" for turn in turns))
    assert command_line([*sweep, "seeds=10"], folder).returncode == 1
    assert finished(folder / "results" / "s") == {("first", seed) for seed in (0, 2, 6, 8, 9)}
