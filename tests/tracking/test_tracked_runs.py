"""What is to be uploaded of a run is all in its version, and nothing but what the files say."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pglab.errors import DamagedError
from pglab.results import load, load_evaluation
from pglab.settings import folder_name, naming
from pglab.store.films import film_file
from pglab.store.folder import studies_in
from pglab.store.reader import ArmFolder
from pglab.store.records import LARGEST_SEED
from pglab.tracking.tracked_runs import MOST, TrackedRun, runs_of


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


def asked_with(arm: ArmFolder, *overrides: str) -> str:
    """Names the arm in W&B as if it had been asked for with these settings."""
    about = json.loads((arm.path / "arm.json").read_text())
    folder = folder_name(naming(overrides))
    about |= {"overrides": overrides, "arm": folder}
    del about["checksum"]
    (arm.path / "arm.json").write_text(json.dumps(about))
    return next(one.name for one in runs_of(ArmFolder(arm.path.rename(arm.path.parent / folder))) if one.seed == 1)


@pytest.fixture
def two_arms(copied_study: Path) -> list[ArmFolder]:
    return [ArmFolder(about.parent) for about in sorted(copied_study.glob("*/arm.json"))][:2]


def test_a_run_is_called_by_every_setting_of_its_arm_while_there_is_room(two_arms: list[ArmFolder]):
    assert asked_with(two_arms[0], "weighting=gae", "weighting.lam=0.95") == "weighting.lam=0.95,weighting=gae,seed=1"


def test_for_want_of_room_a_run_is_called_by_what_differs_in_its_study(two_arms: list[ArmFolder]):
    shared = [f"my_group_{number}=an_option_of_it" for number in range(5)]
    names = [asked_with(arm, *shared, f"weighting={name}") for arm, name in zip(two_arms, ("gae", "rtg"), strict=True)]
    assert names[1] == "rtg,seed=1"  # the first one was asked for while the other had no such settings


def test_where_that_is_too_long_as_well_its_place_in_the_study_tells_arms_apart(two_arms: list[ArmFolder]):
    for arm, last in zip(two_arms, ("first", "fast"), strict=True):
        asked_with(arm, f"my_group=an_option_with_a_name_{'that_is_long_' * 8}{last}")
    folder = two_arms[0].path.parent
    groups = [runs_of(arm)[0].group for arm in studies_in(folder)[0].arms]
    assert sorted(group[-len("… (arm 1)") :] for group in groups) == ["… (arm 1)", "… (arm 2)"]
    assert groups[0][:-2] == groups[1][:-2]  # there is no room for the end, in which they differ
    assert [len(group) for group in groups] == [MOST, MOST]


def test_the_longest_name_of_a_run_is_as_long_as_wandb_takes_it(two_arms: list[ArmFolder]):
    asked_with(two_arms[0], *(f"my_group_{number}=a_very_long_option" for number in range(9)))
    (one, *_) = runs_of(ArmFolder(next(two_arms[0].path.parent.glob("my_group*"))))
    assert len(replace(one, seed=LARGEST_SEED).name) == 128


def test_films_beyond_the_rows_wait_for_them(arm: ArmFolder):
    (arm.path / "videos").mkdir()
    film_file(arm.path, 1, 2).write_bytes(b"a film")
    film_file(arm.path, 1, 3).write_bytes(b"of an update that is not stored yet")
    assert list(run(arm).films) == [2]
    assert json.loads(run(arm).config["given"]).keys() >= {"updates", "gamma"}
