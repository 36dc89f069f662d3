"""W&B gets every run of a study from its files, once, whatever happens on the way."""

import hashlib
import json
import math
import shutil
import signal
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pglab.mirror.command import AT_ONCE, WORTH
from pglab.studies.films import film_file

from pglab.results import load, load_evaluation
from pglab.watching.film import film
from tests.mirror.wandb_server import ENTITY, Refused, StoredRun, WandbServer

RUNS = 6
assert 1 < min(AT_ONCE, 1 + RUNS // WORTH) < RUNS  # some are uploaded side by side, others wait


def uploads(server: WandbServer) -> list[str]:
    """What the server was asked since the last time that may change a run."""
    changing = [name for name in server.asked if name in ("UpsertBucket", "file_stream")]
    server.asked.clear()
    return changing


def equal(there: Any, here: Any) -> bool:
    return float(there) == here or (math.isnan(float(there)) and math.isnan(here))


def check_complete(study: Path, runs: dict[str, StoredRun]) -> None:
    """Every stored run is there with exactly its rows."""
    frame = load(study)
    for (arm, seed), rows in frame.groupby(["arm", "seed"]):
        run = runs[f"{arm},seed={seed}"]
        assert run.steps == rows["update"].tolist()
        assert run.summary["status"] == rows["status"].iloc[0]
        measures = frame.columns[frame.columns.get_loc("update") : frame.columns.get_loc("status")]
        for there, here in zip(run.history, rows.to_dict("records"), strict=True):
            assert all(equal(there.get(name, np.nan), here[name]) for name in measures)


def answering(statuses: dict[str, list[int]]):
    """Answers requests of a name with these statuses, one after the other, and then as it should."""

    def before(name: str) -> None:
        if statuses.get(name):
            raise Refused(statuses[name].pop(0))

    return before


def test_a_study_trained_without_wandb_is_uploaded_completely(
    mirror_command, study: Path, copied_study, wandb_server, variables
):
    done = mirror_command([str(copied_study)], copied_study, **variables)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[RUNS:] == [
        f"Uploaded {RUNS} of {RUNS} runs to {wandb_server.url}/{ENTITY}/pglab",
        "Uploaded 1 of 1 summaries",
    ]
    runs = wandb_server.named()
    assert len(runs) == RUNS
    check_complete(study, runs)
    returns = load_evaluation(study).groupby(["arm", "seed"])["return"].mean()
    for (arm, seed), mean in returns.items():
        run = runs[f"{arm},seed={seed}"]
        assert (run.group, run.tags, run.state) == (arm, ["small"], "finished")
        assert run.summary["final_return"] == pytest.approx(mean)
        assert run.settings["seed"] == seed
        assert run.settings["optimizer"]["lr"] == 0.01
        assert run.settings["choices"]["network"] == "mlp"


def test_a_second_call_uploads_nothing_and_a_lost_record_makes_no_second_run(
    mirror_command, copied_study, wandb_server, variables
):
    assert mirror_command([str(copied_study)], copied_study, **variables).returncode == 0
    assert len(uploads(wandb_server)) >= 2 * RUNS
    again = mirror_command([str(copied_study)], copied_study, **variables)
    assert again.returncode == 0, again.stderr
    assert f"Uploaded 0 of {RUNS} runs" in again.stdout
    assert "Uploaded 0 of 1 summaries (1 were there already)" in again.stdout
    assert not uploads(wandb_server)
    (copied_study / "mirrored.json").unlink()
    assert mirror_command([str(copied_study)], copied_study, **variables).returncode == 0
    assert uploads(wandb_server)
    assert (len(wandb_server.named()), len(wandb_server.summaries())) == (RUNS, 1)
    check_complete(copied_study, wandb_server.named())


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
def test_every_status_is_shown_as_it_is(mirror_command, eventful: Path, wandb_server, variables):
    done = mirror_command([str(eventful)], eventful, **variables)
    assert done.returncode == 0, done.stderr
    runs = wandb_server.named()
    check_complete(eventful, runs)
    arm = sorted(eventful.glob("*/arm.json"))[0].parent.name
    diverged, stopped, failed = (runs[f"{arm},seed={seed}"] for seed in range(3))
    assert [run.state for run in (diverged, stopped, failed)] == ["failed"] * 3
    assert diverged.summary["diverged_at"] == 2
    assert "final_return" in diverged.summary
    assert stopped.summary["status"] == "stopped"
    assert not {"diverged_at", "final_return"} & stopped.summary.keys()
    assert failed.summary["status"] == "failed"
    assert failed.history == []


@pytest.mark.slow
def test_a_folder_of_studies_goes_where_it_is_told(mirror_command, study, copied_study, wandb_server, variables):
    results, other = copied_study.parent, copied_study.with_name("other")
    shutil.copytree(study, other)
    options = [str(results), "--project", "elsewhere", "--entity", "colleagues"]
    done = mirror_command(options, results, **variables)
    assert done.returncode == 0, done.stderr
    place = f"{wandb_server.url}/colleagues/elsewhere"
    assert done.stdout.splitlines()[-2:] == [
        f"Uploaded {2 * RUNS} of {2 * RUNS} runs to {place}",
        "Uploaded 2 of 2 summaries",
    ]
    by_study = Counter(run.tags[0] for run in wandb_server.runs.values() if run.project == "elsewhere")
    assert by_study == {"small": RUNS + 1, "other": RUNS + 1}
    assert wandb_server.summaries("elsewhere").keys() == {"small", "other"}
    for folder in (copied_study, other):
        assert list(json.loads((folder / "mirrored.json").read_text())) == [place]


@pytest.mark.slow
def test_what_a_server_refuses_for_a_while_arrives_in_the_end(mirror_command, copied_study, wandb_server, variables):
    refused = {"file_stream": [500, 429, 0, 503], "UpsertBucket": [500, 429], "Run": [429], "Viewer": [500]}
    wandb_server.before = answering(refused)
    done = mirror_command([str(copied_study)], copied_study, **variables)
    assert done.returncode == 0, done.stderr
    assert not any(refused.values())
    check_complete(copied_study, wandb_server.named())


@pytest.mark.slow
def test_an_answer_that_was_lost_duplicates_no_row(mirror_command, copied_study, wandb_server, variables):
    lost = {"file_stream": [0, 0, 500]}
    wandb_server.after = answering(lost)
    done = mirror_command([str(copied_study)], copied_study, **variables)
    assert done.returncode == 0, done.stderr
    assert not any(lost.values())
    check_complete(copied_study, wandb_server.named())


@pytest.mark.slow
def test_a_server_that_dies_midway_costs_only_what_it_did_not_take(
    mirror_command, copied_study, wandb_server, variables, contents
):
    finished: list[str] = []

    def after(name: str) -> None:
        done = [run.id for run in wandb_server.runs.values() if run.exit_code is not None]
        if name == "Run" and len(done) >= 2:  # those two may be looked at, then nothing more
            finished[:] = finished or done
        elif finished:
            raise Refused(0)

    wandb_server.after = after
    wandb_server.before = lambda name: after(name) if finished and name != "Run" else None
    before = contents(copied_study)
    died = mirror_command([str(copied_study), "--timeout", "5"], copied_study, **variables)
    assert died.returncode == 1
    assert died.stdout.count(" of 6: ") >= 1
    (line,) = died.stderr.splitlines()
    assert line.startswith("error: W&B has an incomplete mirror: ")
    assert line.endswith("runs were uploaded, and the same command uploads the rest")
    (kept,) = json.loads((copied_study / "mirrored.json").read_text()).values()
    assert 1 <= len(kept) < RUNS
    assert {file: data for file, data in contents(copied_study).items() if file != "mirrored.json"} == before

    def untouched(name: str) -> None:
        assert name != "file_stream" or all(wandb_server.runs["pglab", run].exit_code == 0 for run in kept)

    wandb_server.before, wandb_server.after = untouched, lambda name: None
    done = mirror_command([str(copied_study)], copied_study, **variables)
    assert done.returncode == 0, done.stderr
    assert f"Uploaded {RUNS - len(kept)} of {RUNS} runs" in done.stdout
    assert f"({len(kept)} were there already)" in done.stdout
    assert len(wandb_server.named()) == RUNS
    check_complete(copied_study, wandb_server.named())


@pytest.mark.slow
@pytest.mark.parametrize(("number", "status"), [(signal.SIGKILL, -signal.SIGKILL), (signal.SIGINT, 130)])
def test_an_upload_that_is_ended_is_taken_up_without_duplicates(
    mirror_command, copied_study, wandb_server, variables, number, status
):
    reached, ended = threading.Event(), threading.Event()

    def hold(name: str) -> None:
        """The rows of some runs have arrived, and their client never hears of it."""
        if name == "file_stream" and sum(len(run.lines) == 2 for run in wandb_server.runs.values()) >= 2:
            reached.set()
            ended.wait(60)
            raise Refused(0)

    wandb_server.after = hold
    with mirror_command.started([str(copied_study)], copied_study, **variables) as process:
        assert reached.wait(60)
        process.send_signal(number)
        _, err = process.communicate(timeout=10)
        ended.set()
    assert process.returncode == status
    assert "Traceback" not in err
    wandb_server.after = lambda name: None
    done = mirror_command([str(copied_study)], copied_study, **variables)
    assert done.returncode == 0, done.stderr
    assert len(wandb_server.named()) == RUNS
    check_complete(copied_study, wandb_server.named())


def test_a_wrong_key_is_said_in_one_line_and_changes_nothing(
    mirror_command, copied_study, wandb_server, variables, contents
):
    before = contents(copied_study)
    done = mirror_command([str(copied_study)], copied_study, **variables | {"WANDB_API_KEY": "f" * 40})
    assert done.returncode == 1
    key = "it does not accept the API key; set WANDB_API_KEY, or `wandb login --relogin`"
    assert done.stderr == f"error: W&B has an incomplete mirror: {key}\n"
    assert contents(copied_study) == before
    assert not wandb_server.runs


@pytest.mark.slow
def test_rows_that_are_turned_away_for_good_are_not_called_uploaded(
    mirror_command, copied_study, wandb_server, variables
):
    wandb_server.before = answering({"file_stream": [403] * 1000})
    done = mirror_command([str(copied_study), "--timeout", "4"], copied_study, **variables)
    assert done.returncode == 1
    assert done.stderr == "error: W&B has an incomplete mirror: it holds 0 of the 2 rows that it was sent\n"
    assert not (copied_study / "mirrored.json").exists()


@pytest.mark.slow
@pytest.mark.parametrize("refused", [{"Viewer": [500] * 1000}, {"file_stream": [429] * 1000}, None])
def test_waiting_for_a_server_has_an_end(mirror_command, copied_study, wandb_server, variables, refused):
    if refused:
        wandb_server.before = answering(refused)
    else:
        wandb_server.stop()
    done = mirror_command([str(copied_study), "--timeout", "4"], copied_study, **variables)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: W&B has an incomplete mirror: it could not be reached, or took nothing, ")


@pytest.mark.slow
def test_another_training_under_the_same_name_is_not_mixed_in(mirror_command, copied_study, wandb_server, variables):
    assert mirror_command([str(copied_study)], copied_study, **variables).returncode == 0
    arm = sorted(copied_study.glob("*/arm.json"))[0].parent
    updates = pd.read_parquet(arm / "updates.parquet")
    updates.loc[(updates["seed"] == 1) & (updates["update"] == 2), "return_mean"] += 1
    updates.to_parquet(arm / "updates.parquet", index=False)
    (copied_study / "mirrored.json").unlink()
    uploads(wandb_server)
    done = mirror_command([str(copied_study)], copied_study, **variables)
    assert done.returncode == 1
    assert f"of {arm.name},seed=1 has another return_mean at update 2, from another training" in done.stderr
    runs = wandb_server.named()
    assert runs[f"{arm.name},seed=1"].state == "finished"
    assert all(len(run.lines) == 2 for run in runs.values())


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (["nowhere"], "nowhere holds no study"),
        (["."], "holds no study"),
        ([".", "--timeout", "0"], "0 is no number of seconds above 0"),
        ([], "required: STUDY"),
    ],
)
def test_bad_input_is_status_2(mirror_command, tmp_path: Path, options, problem):
    done = mirror_command(options, tmp_path)
    assert done.returncode == 2
    assert problem in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("file", ["mirrored.json", "arm.json", "config.yaml"])
def test_a_file_that_cannot_be_read_is_named(mirror_command, copied_study, wandb_server, variables, file):
    arm = sorted(copied_study.glob("*/arm.json"))[0].parent
    where = (copied_study if file == "mirrored.json" else arm) / file
    where.write_text("{")
    done = mirror_command([str(copied_study)], copied_study, **variables)
    assert done.returncode == 2
    assert str(where) in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not wandb_server.runs


def test_the_films_of_a_run_are_in_the_rows_of_their_updates(
    mirror_command, copied_study, wandb_server, variables, read_back
):
    arm = sorted(copied_study.glob("*/arm.json"))[0].parent
    (arm / "videos").mkdir()
    for seed, update in ((0, 1), (0, 2), (1, 2)):
        film_file(arm, seed, update).write_bytes(film(iter([np.full((4, 4, 3), update, np.uint8)]), 10, ".gif"))
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
