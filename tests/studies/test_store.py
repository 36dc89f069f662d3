"""Every file is written whole or not at all, and by one process at a time."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pglab.cli import compose_runs
from pglab.errors import InputError
from pglab.store.films import films_of
from pglab.store.records import RunRecord
from pglab.store.writer import Ended, prepare
from pglab.studies.asked import ArmConfig
from pglab.studies.plan import writer_of
from pglab.studies.provenance import provenance
from pglab.studies.standing import standing_of


@pytest.fixture(scope="module")
def arm() -> ArmConfig:
    (composed,) = compose_runs(["updates=2"])
    return ArmConfig("some", composed)


def add(store: Path, arm: ArmConfig, seed: int, status: str = "finished", value: float = 0.0) -> None:
    """Adds a made-up run of two updates and three evaluation episodes."""
    updates = pd.DataFrame({"seed": [seed, seed], "update": [1, 2], "loss": [value, value]})
    evaluation = pd.DataFrame({"seed": [seed] * 3, "episode": [1, 2, 3], "return": [value] * 3, "length": [1] * 3})
    runs = {seed: RunRecord(status, 2, 2)}
    files = writer_of(store, arm)
    files.begin({seed: 0}, provenance(arm.settings), anew=False)
    files.add(Ended(runs, updates, evaluation, {seed: {"weight": np.full((2, 3), value)}}))


def done(store: Path, arm: ArmConfig) -> set[int]:
    return set(standing_of(writer_of(store, arm), arm, range(20)).done)


def stored(store: Path, arm: ArmConfig) -> tuple[dict, pd.DataFrame, dict[str, np.ndarray]]:
    folder = store / arm.name
    with np.load(folder / "policies.npz", allow_pickle=False) as policies:
        arrays = {name: policies[name] for name in policies.files}
    return json.loads((folder / "arm.json").read_text())["runs"], pd.read_parquet(folder / "updates.parquet"), arrays


def test_seeds_are_kept_in_order_whatever_the_order_they_come_in(tmp_path: Path, arm: ArmConfig):
    store = tmp_path
    for seed in (10, 2, 7):
        add(store, arm, seed, value=float(seed))
    runs, updates, policies = stored(store, arm)
    assert list(runs) == ["2", "7", "10"]
    assert updates["seed"].tolist() == [2, 2, 7, 7, 10, 10]
    assert list(policies) == ["2/weight", "7/weight", "10/weight"]
    assert all((policies[f"{seed}/weight"] == seed).all() for seed in (2, 7, 10))


def test_a_run_takes_the_place_of_an_earlier_one_of_its_seed(tmp_path: Path, arm: ArmConfig):
    store = tmp_path
    add(store, arm, 0, status="stopped", value=1.0)
    add(store, arm, 1, value=1.0)
    assert done(store, arm) == {1}
    add(store, arm, 0, value=2.0)
    assert done(store, arm) == {0, 1}
    _, updates, policies = stored(store, arm)
    assert updates["loss"].tolist() == [2.0, 2.0, 1.0, 1.0]
    assert (policies["0/weight"] == 2.0).all()


@pytest.mark.parametrize(
    ("status", "ended"), [("finished", True), ("diverged", True), ("stopped", False), ("failed", False)]
)
def test_only_a_run_that_ended_is_not_trained_again(tmp_path: Path, arm: ArmConfig, status: str, ended: bool):
    add(tmp_path, arm, 0, status=status)
    assert done(tmp_path, arm) == ({0} if ended else set())


def test_a_write_that_fails_leaves_the_files_as_they_were(tmp_path: Path, arm: ArmConfig, contents):
    store = tmp_path
    add(store, arm, 0)
    before = contents(tmp_path)
    bad = pd.DataFrame({"seed": [1], "update": [1], "loss": [object()]})  # no parquet column
    with pytest.raises(Exception, match="loss"):
        writer_of(store, arm).add(Ended({1: RunRecord("finished", 1, 2)}, bad))
    after = contents(tmp_path)
    assert after.keys() == before.keys()
    assert {name for name in after if after[name] != before[name]} <= {"some/config.yaml"}
    assert done(store, arm) == {0}


def test_a_folder_that_cannot_be_made_is_refused_with_the_reason(tmp_path: Path):
    (tmp_path / "file").touch()
    with pytest.raises(
        InputError, match=r"cannot write to .*file/study \(Not a directory\); choose another results_dir"
    ):
        prepare(tmp_path / "file" / "study")


def test_films_lie_in_one_folder_and_go_with_what_is_trained_anew(tmp_path: Path, arm: ArmConfig):
    store = tmp_path
    add(store, arm, seed=0)
    files = writer_of(store, arm)
    paths = [files.keep_film(seed, update, b"film") for seed, update in ((0, 50), (0, 5), (10, 5))]
    folder = tmp_path / arm.name / "videos"
    assert sorted(path.relative_to(folder).name for path in paths) == sorted(path.name for path in folder.iterdir())
    assert films_of(tmp_path / arm.name, 0) == {5: paths[1], 50: paths[0]}
    (folder / ".seed=0,update=000007.gif.half").touch()
    files.begin({1: 0}, provenance(arm.settings), anew=False)
    assert sorted(folder.iterdir()) == sorted(paths)
    files.begin({0: 0}, provenance(arm.settings), anew=True)
    assert not folder.exists()
