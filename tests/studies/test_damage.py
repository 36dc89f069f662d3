"""Files that were cut, changed or moved: what is broken is found and named, and never becomes a result."""

import os
import random
import re
import shutil
import signal
import time
from pathlib import Path

import pytest

import pglab
from pglab.cli import compose_runs
from pglab.errors import DamagedError, InputError
from pglab.results import load, load_evaluation
from pglab.store.checkpoints import read_checkpoint, remove_damaged_checkpoint, store_checkpoint
from pglab.studies.asked import Composed
from pglab.studies.plan import make_plan
from tests.studies.faults import abouts, edit_about, results
from tests.waiting import until

GRID = (
    "weighting=baseline,gae",
    "baseline=value",
    "baseline.fit_steps=1",
    "seed=0,1",
    "env.horizon=30",
    "batch=few_episodes",
    "optimizer=sgd",
    "+optimizer.momentum=0.9",
    "evaluation.episodes=4",
    "updates=400",
    "logger.mode=disabled",
    "workers=1",
    "study=s",
)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished study; not to be changed."""
    folder = tmp_path_factory.mktemp("whole")
    pglab.run([*GRID, f"results_dir={folder}"])
    return folder / "s"


@pytest.fixture(scope="module")
def killed(command_line, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One whose command was killed after it had stored two checkpoints of each arm; not to be changed."""
    folder = tmp_path_factory.mktemp("killed")
    with command_line.started(["-m", *GRID], folder) as process:
        assert until(lambda: len(list(folder.glob("results/s/*/checkpoint.previous.bin"))) == 2, process)
        assert until(lambda: len(list(folder.glob("results/s/*/checkpoint*.bin"))) == 4, process)
        os.killpg(process.pid, signal.SIGKILL)
    return folder / "results" / "s"


def grid(study: Path, *overrides: str) -> list[str]:
    return [*GRID, f"results_dir={study.parent}", f"study={study.name}", *overrides]


def copied(study: Path, folder: Path) -> Path:
    return shutil.copytree(study, folder / "elsewhere" / "renamed")


def flipped(content: bytes, place: int) -> bytes:
    return content[:place] + bytes([content[place] ^ 0x10]) + content[place + 1 :]


def refusal(composed: list[Composed]) -> str | None:
    """What planning says where it refuses."""
    try:
        make_plan(composed)
    except InputError as error:
        return str(error)
    return None


def starts(study: Path) -> set[int]:
    plan = make_plan(compose_runs(grid(study)))
    return {start for arm in plan.arms for start in arm.standing.starts.values()}


@pytest.mark.slow
def test_a_moved_folder_with_dates_from_the_future_goes_on(tmp_path: Path, whole: Path, killed: Path):
    study, chance = copied(killed, tmp_path), random.Random(0)
    for path in study.rglob("*"):
        date = time.time() + chance.uniform(-(10**9), 10**9)
        os.utime(path, (date, date))
    assert min(starts(study)) > 0
    pglab.run(grid(study))
    assert results(study) == results(whole)


def test_a_checkpoint_that_is_cut_or_changed_anywhere_is_refused_and_the_one_before_it_used(
    tmp_path: Path, killed: Path
):
    study = copied(killed, tmp_path)
    for arm in study.iterdir():
        last = arm / "checkpoint.bin"
        content = last.read_bytes()
        parts, _, said = read_checkpoint(arm)
        latest = parts[0].update
        assert said is None
        bad = [content[:cut] for cut in range(0, len(content), 1024)] + [content + b"\0"]
        bad += [flipped(content, place) for place in range(0, len(content), 97)]
        for broken in bad:
            last.write_bytes(broken)
            parts, rows, said = read_checkpoint(arm)
            assert parts[0].update < latest
            assert set(rows.groupby("seed")["update"].last()) == {parts[0].update}
            assert said is not None
            assert said.startswith(f"{last} is damaged")
            assert said.endswith("the checkpoint before it is used")


@pytest.mark.slow
@pytest.mark.parametrize("broken", ["last", "both"])
def test_from_what_is_left_of_the_checkpoints_the_same_bits_come(
    tmp_path: Path, whole: Path, killed: Path, capfd: pytest.CaptureFixture[str], broken: str
):
    study = copied(killed, tmp_path)
    before = max(starts(study))
    for path in study.glob("*/checkpoint*.bin"):
        if broken == "both" or path.name == "checkpoint.bin":
            path.write_bytes(flipped(path.read_bytes(), 1000))
    if broken == "both":
        assert starts(study) == {0}
    else:
        assert 0 < min(starts(study)) < before
    pglab.run(grid(study))
    said = {"last": "the checkpoint before it is used", "both": "what was not finished begins anew"}[broken]
    assert capfd.readouterr().out.count(said) == 2
    assert results(study) == results(whole)


def test_a_whole_checkpoint_is_not_lost_to_a_broken_newer_one(tmp_path: Path, killed: Path):
    study = copied(killed, tmp_path)
    (arm, _) = study.iterdir()
    (arm / "checkpoint.bin").write_bytes(b"")
    good, rows, _ = read_checkpoint(arm)
    remove_damaged_checkpoint(arm)
    store_checkpoint(arm, good, rows)
    (arm / "checkpoint.bin").write_bytes(b"")  # the power is cut again
    assert read_checkpoint(arm)[0][0].update == good[0].update


@pytest.mark.slow
@pytest.mark.parametrize("name", ["updates.parquet", "evaluation.parquet", "policies.npz", "states.bin", "arm.json"])
def test_a_changed_file_with_results_is_named_and_nothing_is_overwritten(
    tmp_path: Path, whole: Path, contents, name: str
):
    study = copied(whole, tmp_path)
    path = next(study.iterdir()) / name
    content = path.read_bytes()
    harmless = 0
    more = compose_runs(grid(study, "seed=0,1,2"))
    for place in range(0, len(content), max(1, len(content) // 60)):
        path.write_bytes(flipped(content, place))
        before = contents(study)
        said = refusal(more)
        harmless += said is None
        assert said is None or re.match(f"{re.escape(str(path))} is damaged.*put back a copy of it[^\n]*$", said)
        assert contents(study) == before
    if name == "arm.json":
        path.write_bytes(content)
        plan = make_plan(more)
        assert [arm.standing.done for arm in plan.arms] == [(0, 1)] * 2
    else:
        assert harmless == 0
    path.unlink()
    if name != "states.bin":
        with pytest.raises(InputError, match="is gone"):
            make_plan(more)


@pytest.mark.slow
def test_every_flipped_bit_of_arm_json_is_found_or_changes_nothing(tmp_path: Path, whole: Path):
    study = copied(whole, tmp_path)
    path = next(study.iterdir()) / "arm.json"
    content = path.read_bytes()
    true = load(study)
    found = 0
    places = range(content.index(b'"runs"'), len(content), 2)
    for place in places:
        path.write_bytes(flipped(content, place))
        try:
            assert load(study).equals(true)
        except DamagedError:
            found += 1
    assert found > 0.3 * len(places)


@pytest.mark.slow
def test_a_command_ends_with_one_line_and_does_not_harm_other_arms(command_line, tmp_path: Path, whole: Path, contents):
    study = copied(whole, tmp_path)
    (bad,) = (arm for arm, about in abouts(study) if about["choices"]["weighting"] == "gae")
    rows = bad / "updates.parquet"
    rows.write_bytes(flipped(rows.read_bytes(), 2000))
    before = contents(study)
    done = command_line(["-m", *grid(study)], tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"error: {rows} is damaged")
    assert done.stderr.count("\n") == 1
    assert contents(study) == before
    other = pglab.run(grid(study, "weighting=baseline", "seed=0,1,2"))
    assert set(other["seed"]) == {0, 1, 2}
    after = contents(study)
    assert {name for name in before if name.startswith(bad.name) and after[name] != before[name]} == set()


def test_damaged_rows_are_not_loaded(tmp_path: Path, whole: Path):
    study = copied(whole, tmp_path)
    for name, read in (("updates.parquet", load), ("evaluation.parquet", load_evaluation)):
        path = next(study.iterdir()) / name
        path.write_bytes(flipped(path.read_bytes(), 500))
        with pytest.raises(DamagedError, match=f"{name} is damaged"):
            read(study)


@pytest.mark.slow
def test_without_its_states_a_finished_run_begins_anew_when_more_updates_are_asked_for(tmp_path: Path):
    here, there = ("weighting=gae", "seed=0", f"results_dir={tmp_path}"), ("weighting=gae", "seed=0")
    pglab.run([*GRID, *here, "updates=4"])
    next(tmp_path.glob("s/*/states.bin")).unlink()
    longer = pglab.run([*GRID, *here, "updates=6"])
    assert longer["update"].tolist() == [1, 2, 3, 4, 5, 6]
    at_once = pglab.run([*GRID, *there, f"results_dir={tmp_path / 'there'}", "updates=6"])
    assert longer.equals(at_once)


@pytest.mark.slow
def test_other_code_is_refused_until_a_person_chooses(tmp_path: Path, whole: Path, killed: Path):
    study = copied(killed, tmp_path)
    for arm in study.iterdir():
        edit_about(arm, lambda about: about["provenance"][-1].update(torch="2.12.0"))
    with pytest.raises(InputError, match=r"torch is 2\.12\.0 there and .* on_mismatch=rerun .*=keep .*study=NAME"):
        pglab.run(grid(study))
    kept = shutil.copytree(study, tmp_path / "kept")
    pglab.run(grid(kept, "on_mismatch=keep"))
    anew = make_plan(compose_runs(grid(study, "on_mismatch=rerun")))
    assert all(arm.standing.anew and set(arm.standing.starts.values()) == {0} for arm in anew.arms)
    pglab.run(grid(study, "on_mismatch=rerun"))
    for folder, made_by in ((kept, [0, 1]), (study, [0])):
        assert results(folder) == results(whole)
        assert all(run["provenance"] == made_by for _, about in abouts(folder) for run in about["runs"].values())
