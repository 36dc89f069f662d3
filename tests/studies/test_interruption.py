"""Ctrl-C, a scheduler's stop and a killed parent: quickly over, nothing half-written, nothing left running."""

import os
import signal
import subprocess
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import pandas as pd
import pytest

from pglab.cli import compose_runs
from pglab.results import load
from pglab.store.writer import ArmWriter, Ended
from pglab.studies.console import Console
from pglab.studies.execute import execute
from pglab.studies.plan import make_plan
from pglab.studies.train import ready_pool
from tests.waiting import HANG, until

ENDLESS = ("updates=100000", "workers=2", "study=long")


def running_in(folder: Path) -> list[str]:
    """The processes that have `folder` as their working directory."""

    def is_there(process: Path) -> bool:
        try:
            return (process / "cwd").readlink() == folder
        except OSError:
            return False

    return [process.name for process in Path("/proc").iterdir() if process.name.isdigit() and is_there(process)]


def calls(folder: Path) -> int:
    """How often the user's own weighting has been called there."""
    return sum(max(1, file.stat().st_size) for file in folder.glob("called-*"))


def catches_sigterm(process: subprocess.Popen[str]) -> bool:
    (caught,) = (
        line.split()[1] for line in Path(f"/proc/{process.pid}/status").read_text().splitlines() if "SigCgt" in line
    )
    return bool(int(caught, 16) >> (signal.SIGTERM - 1) & 1)


def interrupt(process: subprocess.Popen[str], press: Callable[[], None], times: int) -> tuple[str, str]:
    """Presses Ctrl-C, up to so many times, and waits for the end of what would else train for ever."""
    for _ in range(times):
        try:
            press()
        except ProcessLookupError:
            break
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=0.02)
    return process.communicate(timeout=HANG)


def whole_files(study: Path) -> bool:
    """Whether every arm has its files and there is no half-written one beside them."""
    arms = [arm for arm in study.iterdir() if arm.name != "wandb"]
    expected = {"arm.json", "config.yaml", "updates.parquet", "evaluation.parquet", "policies.npz", "states.bin"}
    optional = {"lock", "checkpoint.bin", "checkpoint.previous.bin"}
    return bool(arms) and all({path.name for path in arm.iterdir()} - optional == expected for arm in arms)


@pytest.mark.filterwarnings("ignore::pglab.results.IncompleteStudy")
def test_ctrl_c_ends_in_time_keeps_the_rows_and_the_same_command_starts_again(
    command_line, tmp_path: Path, tiny, own_weightings: list[str]
):
    study = tmp_path / "results" / "long"
    sweep = [*own_weightings, "-m", "weighting=counts,rtg", "seed=0,1", *tiny, *ENDLESS]

    def interrupted(press: Callable[[subprocess.Popen[str]], None], times: int, logger: str) -> pd.DataFrame:
        for file in tmp_path.glob("called-*"):
            file.unlink()
        with command_line.started([*sweep, f"logger.mode={logger}"], tmp_path) as process:
            assert until(lambda: calls(tmp_path) > 20, process)
            assert "libtorch" not in Path(f"/proc/{process.pid}/maps").read_text()  # only the workers need it
            out, err = interrupt(process, lambda: press(process), times)
        assert (process.returncode, err) == (130, "")
        assert "Interrupted. Kept in results/long: 0 finished runs" in out
        assert until(lambda: not running_in(tmp_path))
        assert whole_files(study)
        rows = load(study)
        assert set(rows["status"]) == {"stopped"}
        assert f"the rows so far of {rows.groupby(['arm', 'seed']).ngroups} that were stopped" in out
        for _, run in rows.groupby(["arm", "seed"]):
            assert run["update"].tolist() == list(range(1, len(run) + 1))
        return rows.set_index(["arm", "seed", "update"])

    first = interrupted(lambda process: os.killpg(process.pid, signal.SIGINT), times=100, logger="offline")
    second = interrupted(lambda process: process.send_signal(signal.SIGTERM), times=1, logger="disabled")
    both = first.index.intersection(second.index)
    assert len(both)
    pd.testing.assert_frame_equal(first.loc[both], second.loc[both])


def test_ctrl_c_ends_at_once_while_a_users_weighting_sleeps(
    command_line, tmp_path: Path, tiny, own_weightings: list[str]
):
    with command_line.started([*own_weightings, "weighting=sleeps", *tiny, *ENDLESS], tmp_path) as process:
        assert until(lambda: calls(tmp_path), process)
        out, err = interrupt(process, lambda: os.killpg(process.pid, signal.SIGINT), times=1)
    assert (process.returncode, err) == (130, "")
    assert "Interrupted. Kept in results/long: 0 finished runs, and the rows so far of 0" in out
    assert running_in(tmp_path) == []
    assert whole_files(tmp_path / "results" / "long")


@pytest.mark.filterwarnings("ignore::pglab.results.IncompleteStudy")
def test_runs_stopped_on_the_way_to_more_updates_keep_their_results_and_it_is_said(
    command_line, tmp_path: Path, tiny, own_weightings: list[str]
):
    study, asked = tmp_path / "results" / "long", [*own_weightings, "weighting=counts", "seeds=2", *tiny]
    done = command_line([*asked, "study=long"], tmp_path)
    assert done.returncode == 0, done.stderr
    before = load(study)
    for file in tmp_path.glob("called-*"):
        file.unlink()
    with command_line.started([*asked, *ENDLESS], tmp_path) as process:
        assert until(lambda: calls(tmp_path) > 20, process)
        out, err = interrupt(process, lambda: process.send_signal(signal.SIGTERM), times=1)
    assert (process.returncode, err) == (130, "")
    assert "the rows so far of 2 that were stopped" in out
    assert "Shown as it was before more updates were asked for: 2 runs." in out
    pd.testing.assert_frame_equal(load(study), before)


def test_workers_end_by_themselves_when_the_parent_is_killed(
    command_line, tmp_path: Path, tiny, own_weightings: list[str]
):
    with command_line.started([*own_weightings, "weighting=sleeps", *tiny, *ENDLESS], tmp_path) as process:
        assert until(lambda: calls(tmp_path), process)
        process.kill()
        process.wait()
        assert until(lambda: not running_in(tmp_path))


def test_ctrl_c_before_training_writes_nothing(command_line, tmp_path: Path):
    with command_line.started(["-m", "seed=range(0,1000)"], tmp_path) as process:
        assert until(lambda: catches_sigterm(process), process)
        out, err = interrupt(process, lambda: os.killpg(process.pid, signal.SIGINT), times=1)
    # CPython ends by the signal itself where it came within exec() of a text; a shell sees 130 too.
    assert process.returncode in (130, -signal.SIGINT)
    assert (out, err) == ("", "Interrupted; nothing was written.\n")
    assert list(tmp_path.iterdir()) == []


DISGUISES = """
import os, signal, time

try:
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(10)
except KeyboardInterrupt:
    {instead}
"""


@pytest.mark.parametrize("instead", ["raise ValueError('of a library')", "pass"])
def test_ctrl_c_is_one_whatever_the_code_that_it_met_makes_of_it(command_line, tmp_path: Path, instead: str):
    (tmp_path / "disguises.py").write_text(DISGUISES.format(instead=instead))
    looked_up = ["weighting._target_=disguises.Weighting", "+weighting.n=1"]  # its arguments, in composing
    done = command_line(looked_up, tmp_path)
    assert (done.returncode, done.stdout) == (130, "")
    assert done.stderr.endswith("Interrupted; nothing was written.\n")
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "results").exists()


def test_a_finished_shard_is_kept_when_ctrl_c_comes_while_it_is_stored(
    tmp_path: Path, tiny: Sequence[str], monkeypatch: pytest.MonkeyPatch
):
    add, interrupted = ArmWriter.add, []

    def add_interrupted_once(files: ArmWriter, ended: Ended) -> None:
        if files.folder.name.endswith("rtg") and not interrupted:
            interrupted.append(files)
            raise KeyboardInterrupt
        add(files, ended)

    monkeypatch.setattr(ArmWriter, "add", add_interrupted_once)
    sweep = ["weighting=total,rtg,baseline", "seed=0,1", *tiny, "workers=1", f"results_dir={tmp_path}"]
    plan = make_plan(compose_runs(sweep))
    outcome = execute(plan, ready_pool(plan)[0], Console())
    assert outcome.interrupted
    assert len(outcome.status) == 6
    assert set(outcome.status.values()) == {"finished"}
    assert set(load(tmp_path)["status"]) == {"finished"}
    assert make_plan(compose_runs(sweep)).missing == 0
