"""What W&B holds of a run is what the files say, also where it held something else before."""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pglab.results import load, load_evaluation
from pglab.store.films import film_file
from pglab.watching.film import film
from tests.slow import first
from tests.tracking.held import check_complete, uploads
from tests.tracking.wandb_server import ENTITY

RUNS = 6


@pytest.mark.slow
def test_only_runs_that_changed_are_uploaded_again(
    mirror_command, eventful: Path, study: Path, wandb_server, variables
):
    assert mirror_command([str(eventful)], eventful, **variables).returncode == 0
    arm = sorted(eventful.glob("*/arm.json"))[0].parent
    about = json.loads((arm / "arm.json").read_text())
    about.pop("checksum", None)
    about["runs"]["1"] |= {"status": "finished", "updates": 2}
    (arm / "arm.json").write_text(json.dumps(about))
    continued = pd.read_parquet(study / arm.name / "updates.parquet").query("seed == 1 and update == 2")
    updates = pd.concat([pd.read_parquet(arm / "updates.parquet"), continued], ignore_index=True)
    updates.to_parquet(arm / "updates.parquet", index=False)
    done = mirror_command([str(eventful)], eventful, **variables)
    assert done.stdout.splitlines()[0] == f"1 of 1: {arm.name},seed=1", done.stderr
    check_complete(eventful, wandb_server.named())
    assert wandb_server.named()[f"{arm.name},seed=1"].state == "finished"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::pglab.results.IncompleteStudy")
def test_a_study_of_the_version_before_is_uploaded_and_its_notes_are_looked_at_again(
    mirror_command, tmp_path, wandb_server, variables, read_back
):
    study = shutil.copytree(Path(__file__).parents[1] / "store" / "study_of_0_1_0", tmp_path / "earlier")
    assert mirror_command([str(study)], tmp_path, **variables).returncode == 0
    check_complete(study, wandb_server.named())
    pd.testing.assert_frame_equal(read_back(f"{ENTITY}/pglab"), load(study))
    ((place, known),) = json.loads((study / "mirrored.json").read_text()).items()
    ids = {name: run.id for name, run in wandb_server.named().items()}
    (study / "mirrored.json").write_text(json.dumps({place: {one: [2, "finished"] for one in known}}))
    done = mirror_command([str(study)], tmp_path, **variables)
    assert f"Uploaded {len(ids)} of {len(ids)} runs" in done.stdout
    assert {name: run.id for name, run in wandb_server.named().items()} == ids
    assert json.loads((study / "mirrored.json").read_text()) == {place: known}


def change(arm: Path, file: str, changed: Callable[[pd.DataFrame], pd.DataFrame]) -> None:
    """Changes rows of a file, as a rerun or a copy from elsewhere does."""
    about = json.loads((arm / "arm.json").read_text())
    about.pop("checksum", None)
    about.pop("files", None)
    (arm / "arm.json").write_text(json.dumps(about))
    changed(pd.read_parquet(arm / file)).to_parquet(arm / file, index=False)


@pytest.mark.slow
def test_numbers_that_changed_take_the_place_of_the_old_ones(
    mirror_command, copied_study, wandb_server, variables, read_back
):
    assert mirror_command([str(copied_study)], copied_study, **variables).returncode == 0
    first, second = sorted(about.parent for about in copied_study.glob("*/arm.json"))
    before = {name: run.id for name, run in wandb_server.named().items()}
    change(first, "updates.parquet", lambda rows: rows.assign(loss=rows["loss"].where(rows["seed"] != 1, 0.5)))
    change(second, "evaluation.parquet", lambda rows: rows.assign(**{"return": rows["return"] - rows["seed"]}))
    done = mirror_command([str(copied_study)], copied_study, **variables)
    assert done.returncode == 0, done.stderr
    assert "Uploaded 3 of 6 runs" in done.stdout  # in the second arm that of seed 0 stays as it is
    runs = wandb_server.named()
    assert {name for name, run in runs.items() if run.id != before[name]} == {f"{first.name},seed=1"}
    check_complete(copied_study, runs)
    returns = load_evaluation(copied_study).groupby(["arm", "seed"])["return"].mean()
    assert all(runs[f"{arm},seed={seed}"].summary["final_return"] == mean for (arm, seed), mean in returns.items())
    pd.testing.assert_frame_equal(read_back(f"{ENTITY}/pglab"), load(copied_study))
    (copied_study / "mirrored.json").unlink()  # it is found under its new id without our notes, too
    assert mirror_command([str(copied_study)], copied_study, **variables).returncode == 0
    assert {name: run.id for name, run in wandb_server.named().items()} == {n: run.id for n, run in runs.items()}


@pytest.mark.slow
def test_fewer_rows_than_before_and_a_run_that_was_deleted_there_are_uploaded_anew(
    mirror_command, copied_study, wandb_server, variables
):
    assert mirror_command([str(copied_study)], copied_study, **variables).returncode == 0
    arm = sorted(copied_study.glob("*/arm.json"))[0].parent
    about = json.loads((arm / "arm.json").read_text())
    about.pop("checksum")
    for run in ("0", "1"):
        about["runs"][run] |= {"status": "stopped", "updates": 1}
    (arm / "arm.json").write_text(json.dumps(about))
    change(arm, "updates.parquet", lambda rows: rows[(rows["seed"] == 2) | (rows["update"] == 1)])
    deleted = wandb_server.named()[f"{arm.name},seed=0"].id
    del wandb_server.runs["pglab", deleted]
    wandb_server.deleted.add(("pglab", deleted))
    done = mirror_command([str(copied_study)], copied_study, **variables)
    assert done.returncode == 0, done.stderr
    assert len(wandb_server.named()) == RUNS
    check_complete(copied_study, wandb_server.named())


@pytest.mark.slow
def test_another_training_under_the_same_name_is_not_mixed_in(mirror_command, copied_study, wandb_server, variables):
    assert mirror_command([str(copied_study)], copied_study, **variables).returncode == 0
    arm = sorted(copied_study.glob("*/arm.json"))[0].parent
    changed = "seed == 1 and update == 2"
    change(arm, "updates.parquet", lambda rows: rows.assign(return_mean=rows["return_mean"] + rows.eval(changed)))
    (copied_study / "mirrored.json").unlink()
    uploads(wandb_server)
    done = mirror_command([str(copied_study)], copied_study, **variables)
    assert done.returncode == 1
    assert f"of {arm.name},seed=1 has another return_mean at update 2, from another training" in done.stderr
    runs = wandb_server.named()
    assert runs[f"{arm.name},seed=1"].state == "finished"
    assert all(len(run.lines) == 2 for run in runs.values())


@pytest.mark.parametrize("file", first(1, ["updates.parquet", "arm.json", "evaluation.parquet"]))
def test_a_damaged_arm_is_refused_by_name_and_the_others_are_uploaded(
    mirror_command, copied_study, wandb_server, variables, file
):
    damaged, sound = sorted(about.parent for about in copied_study.glob("*/arm.json"))
    with (damaged / file).open("ab") as stream:
        stream.write(b"}")
    done = mirror_command([str(copied_study)], copied_study, **variables)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"error: {damaged / file} is damaged")
    assert set(wandb_server.named()) == {f"{sound.name},seed={seed}" for seed in range(3)}
    assert not wandb_server.summaries()  # a report needs every arm


@pytest.mark.slow
def test_the_films_of_a_run_are_in_the_rows_of_their_updates(
    mirror_command, copied_study, wandb_server, variables, read_back
):
    arm = sorted(copied_study.glob("*/arm.json"))[0].parent
    (arm / "videos").mkdir()
    for seed, update in ((0, 1), (0, 2), (1, 2)):
        film_file(arm, seed, update).write_bytes(film(iter([np.full((4, 4, 3), update, np.uint8)]), 10, ".gif"))
    # A link could lead to anybody's files: neither it nor a folder of films that is one is followed.
    film_file(arm, 2, 1).symlink_to(film_file(arm, 0, 1))
    other = sorted(copied_study.glob("*/arm.json"))[1].parent
    (other / "videos").symlink_to(arm / "videos")
    frame = load(copied_study)
    done = mirror_command([str(copied_study)], copied_study, **variables)
    assert done.returncode == 0, done.stderr
    runs = wandb_server.named()
    check_complete(copied_study, runs)
    shown = {(n, row["update"]): row["episode"] for n, run in runs.items() for row in run.history if "episode" in row}
    assert shown.keys() == {(f"{arm.name},seed={seed}", update) for seed, update in ((0, 1), (0, 2), (1, 2))}
    for (name, update), about in shown.items():
        assert about["_type"] == "video-file"
        sent = film_file(arm, int(name[-1]), update).read_bytes()
        assert about["sha256"] == hashlib.sha256(sent).hexdigest()
    columns = ["arm", "seed", "update", "loss"]
    there = read_back(f"{ENTITY}/pglab")[columns].sort_values(columns, ignore_index=True)
    pd.testing.assert_frame_equal(there, frame[columns].sort_values(columns, ignore_index=True))
