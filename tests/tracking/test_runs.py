"""What is to be uploaded of a run is all in its version, and nothing but what the files say."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pglab.errors import DamagedError
from pglab.results import load, load_evaluation
from pglab.store.films import film_file
from pglab.store.reader import ArmFolder
from pglab.tracking.runs import TrackedRun, runs_of


@pytest.fixture
def arm(copied_study: Path) -> ArmFolder:
    return ArmFolder(sorted(copied_study.glob("*/arm.json"))[0].parent)


def run(arm: ArmFolder, seed: int = 1) -> TrackedRun:
    return next(one for one in runs_of(arm) if one.seed == seed)


def test_the_runs_of_an_arm_are_those_of_its_files(arm: ArmFolder):
    frame = load(arm.path)
    returns = load_evaluation(arm.path).groupby("seed")["return"].mean()
    assert [one.seed for one in runs_of(arm)] == [0, 1, 2]
    for one in runs_of(arm):
        assert one.rows["loss"].tolist() == frame.loc[frame["seed"] == one.seed, "loss"].tolist()
        assert (one.status, one.final_return) == ("finished", returns[one.seed])


def test_equal_content_has_one_version_and_any_other_content_another(arm: ArmFolder):
    one = run(arm)
    assert run(arm).version == one.version
    nudged = one.rows.assign(loss=np.nextafter(one.rows["loss"].to_numpy(), np.inf, dtype=np.float32))
    (arm.path / "videos").mkdir()
    film = film_file(arm.path, 1, 2)
    film.write_bytes(b"a film")
    filmed = run(arm).version
    film.write_bytes(b"another")
    others = [
        replace(one, rows=nudged),
        replace(one, rows=one.rows[:1]),
        replace(one, status="diverged"),
        replace(one, final_return=one.final_return + 1),
        replace(one, final_return=None),
        replace(one, record=replace(one.record, identity={**one.record.identity, "gamma": 0.5})),
        run(arm),
    ]
    assert len({one.version, filmed, *(other.version for other in others)}) == 2 + len(others)


def test_where_and_how_fast_a_run_is_trained_is_no_part_of_it(arm: ArmFolder):
    one = run(arm)
    elsewhere = {**one.record.given, "workers": 7, "logger.mode": "online", "results_dir": "/elsewhere"}
    assert replace(one, record=replace(one.record, given=elsewhere, commands=("another",))).version == one.version


def test_the_ids_of_runs_differ_by_study_arm_and_seed(arm: ArmFolder, tmp_path: Path):
    one = run(arm)
    others = [
        run(arm, 0),
        replace(one, study_folder=tmp_path / "other"),
        replace(one, record=replace(one.record, arm="other")),
    ]
    assert len({one.id, *(other.id for other in others)}) == 4
    assert replace(one, study_folder=tmp_path / "moved" / "small").id == one.id


def test_an_arm_is_refused_where_a_file_is_not_what_was_written(arm: ArmFolder):
    with (arm.path / "evaluation.parquet").open("ab") as stream:
        stream.write(b" ")
    with pytest.raises(DamagedError, match=r"evaluation\.parquet is damaged"):
        runs_of(arm)


def test_films_beyond_the_rows_wait_for_them(arm: ArmFolder):
    (arm.path / "videos").mkdir()
    film_file(arm.path, 1, 2).write_bytes(b"a film")
    film_file(arm.path, 1, 3).write_bytes(b"of an update that is not stored yet")
    assert list(run(arm).films) == [2]
    assert json.loads(run(arm).config["given"]).keys() >= {"updates", "gamma"}
