"""A study says what is missing when it is read, once, and is read in full."""

import json
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from pglab.results import IncompleteStudy, load, load_evaluation
from pglab.results.incomplete import incomplete, missing
from pglab.store.records import RunRecord, Status
from tests.results import scale

LONG = 5


def run(status: Status = "finished", updates: int = LONG, asked: int = LONG) -> RunRecord:
    return RunRecord(status, updates, asked)


def arm(*seeds: int, **described) -> dict[int, RunRecord]:
    return {seed: run(**described) for seed in seeds}


@pytest.fixture
def edited(copied_study: Path) -> Callable[..., Path]:
    """The small study (two arms, seeds 0 to 2, two updates) after `edit(runs)` of one arm's runs."""

    def edit(edit: Callable[[dict], object], weighting: str = "rtg") -> Path:
        (about,) = copied_study.glob(f"*weighting={weighting}*/arm.json")
        content = json.loads(about.read_text())
        del content["checksum"]
        edit(content["runs"])
        about.write_text(json.dumps(content))
        return copied_study

    return edit


def said(study: Path, read: Callable[[Path], pd.DataFrame] = load) -> str:
    """The one warning of a reading."""
    with pytest.warns(IncompleteStudy) as caught:
        read(study)
    (warning,) = caught
    assert warning.filename == __file__, "it points at the line that read"
    return str(warning.message)


def test_a_complete_study_says_nothing(study: Path):
    with warnings.catch_warnings(action="error"):
        load(study)
        load_evaluation(study)


def test_nothing_is_missing_of_no_arms_one_arm_or_equal_arms():
    assert (
        missing({})
        == missing({"a": {}})
        == missing({"a": arm(3, 9)})
        == missing({"a": arm(0, 1), "b": arm(0, 1)})
        == []
    )
    assert incomplete({"one": {"a": arm(0)}, "two": {"a": arm(1, updates=9, asked=9)}}) is None


@pytest.mark.parametrize("read", [load, load_evaluation])
def test_a_missing_seed_is_said_once_with_its_arm(edited, read):
    study = edited(lambda runs: runs.pop("1"))
    assert said(study, read).splitlines()[:2] == [
        "study small is incomplete:",
        "  no seed 1, which other arms have: rtg",
    ]


def test_everything_that_is_missing_is_in_one_message_and_every_row_in_the_frame(edited):
    study = edited(lambda runs: runs.update({"0": vars(run("stopped", 1, 2)), "7": vars(run("failed", 0, 2))}))
    lines = said(study).splitlines()
    assert len(lines) == 5
    assert "no seed 7, which other arms have: " in lines[1]
    assert lines[2].startswith("  failed: 1 run (1 without any rows) with 0 of 2 updates: ")
    assert lines[2].endswith(": rtg (seed 7)")
    assert lines[3].startswith("  stopped: 1 run with 1 of 2 updates: ")
    with pytest.warns(IncompleteStudy):
        assert load(study).groupby("weighting").size().to_dict() == {"rtg": 6 + 1, "total": 6}  # one of update 0


def test_a_results_folder_names_each_incomplete_study(edited):
    study = edited(lambda runs: runs.pop("1"))
    (study.parent / "whole").mkdir()
    (the_arm,) = study.glob("*weighting=total*")
    the_arm.rename(study.parent / "whole" / the_arm.name)
    with warnings.catch_warnings(action="error"):
        load(study.parent)  # two studies need not have the same seeds
    (the_arm.parent.parent / "whole" / the_arm.name).rename(the_arm)
    assert said(study.parent).count("is incomplete") == 1


def test_arms_that_lack_the_same_seeds_are_told_together():
    few, many = arm(0, 1), arm(*range(20))
    assert missing({"a": few, "b": many, "c": few}) == ["no seeds 2-19, which other arms have: a; c"]
    assert missing({"a": arm(1), "b": arm(2)}) == [
        "no seed 2, which other arms have: a",
        "no seed 1, which other arms have: b",
    ]


def test_many_seeds_and_many_arms_are_cut_short_and_counted():
    arms = {f"arm{number}": arm(*range(0, 100, 2)) for number in range(9)} | {"all": arm(*range(100))}
    (line,) = missing(arms)
    assert line == "no seeds 1, 3, 5, … (50 in all), which other arms have: arm0; arm1; arm2 and 6 more arms"


def test_a_status_that_is_no_end_is_told_whatever_it_is_called():
    arms = {
        "a": arm(0, 1) | arm(2, status="stopped", updates=3),
        "b": arm(0) | arm(1, 2, status="paused", updates=LONG),
    }
    assert missing(arms) == [
        "paused: 2 runs with 5 of 5 updates: b (seeds 1-2)",
        "stopped: 1 run with 3 of 5 updates: a (seed 2)",
    ]


def test_runs_without_rows_are_counted():
    arms = {"a": arm(0, 1, status="failed", updates=0), "b": arm(0, status="failed", updates=2) | arm(1)}
    assert missing(arms) == ["failed: 3 runs (2 without any rows) with 0 to 2 of 5 updates: a (seeds 0-1); b (seed 0)"]


def test_finished_runs_with_fewer_updates_than_others_are_told():
    arms = {"a": arm(0, 1, updates=3, asked=3), "b": arm(0, 1)}
    assert missing(arms) == ["finished: 2 runs with 3 of 5 updates: a (seeds 0-1)"]
    assert missing({"a": arm(0, 1) | arm(2, updates=4)}) == ["finished: 1 run with 4 of 5 updates: a (seed 2)"]


def test_diverged_runs_are_counted_apart_where_rows_are_missing_for_it():
    arms = {"a": arm(0) | arm(1, status="diverged", updates=2), "b": arm(0, 1, updates=3, asked=3)}
    assert missing(arms) == [
        "diverged: 1 run with 2 of 5 updates: a (seed 1)",
        "finished: 2 runs with 3 of 5 updates: b (seeds 0-1)",
    ]
    assert missing({"a": arm(0) | arm(1, status="diverged")}) == []  # at its very last update


def test_the_command_shows_its_table_and_no_warning(edited, tiny, command_line, tmp_path: Path):
    edited(lambda runs: runs.update({"1": vars(run("stopped", 1, 2))}), "total")
    again = command_line(["weighting=rtg", "seed=0", "study=small", *tiny], tmp_path)
    assert again.returncode == 0
    assert "Study small" in again.stdout
    assert "incomplete" not in (again.stdout + again.stderr).lower()


def test_ten_thousand_runs_are_read_in_seconds_and_little_memory(tmp_path: Path):
    scale.write_study(tmp_path / "large", arms=20, seeds=500, updates=50, episodes=1)
    rows, seconds, memory = scale.read(tmp_path / "large", "load")
    assert rows == 20 * 500 * 50
    assert seconds < 5
    assert memory < 2


def test_a_warning_in_a_script_names_the_scripts_line(edited):
    study = edited(lambda runs: runs.pop("1"))
    script = study.parent / "script.py"
    script.write_text(f"from pglab.results import load\nload({str(study)!r})\n")
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=True)
    assert done.stderr.startswith(f"{script}:2: IncompleteStudy: study small is incomplete:\n  no seed 1")
