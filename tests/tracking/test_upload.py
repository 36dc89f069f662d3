"""W&B gets every run of a study from its files, once, whatever happens on the way."""

import json
import shutil
import signal
import threading
from collections import Counter
from pathlib import Path

import pytest

from pglab.results import load_evaluation
from pglab.tracking.command import AT_ONCE, WORTH
from tests.tracking.held import check_complete, uploads
from tests.tracking.wandb_server import ENTITY, Refused
from tests.waiting import HANG

RUNS = 6
assert 1 < min(AT_ONCE, 1 + RUNS // WORTH) < RUNS  # some are uploaded side by side, others wait


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


@pytest.mark.slow
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
            ended.wait(HANG)
            raise Refused(0)

    wandb_server.after = hold
    with mirror_command.started([str(copied_study)], copied_study, **variables) as process:
        assert reached.wait(HANG)
        process.send_signal(number)
        _, err = process.communicate(timeout=HANG)
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


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (["nowhere"], "nowhere holds no study"),
        (["."], "holds no study"),
        ([".", "--timeout", "0"], "0 is no number of seconds above 0"),
        ([], "STUDY is missing"),
    ],
)
def test_bad_input_is_status_2(mirror_command, tmp_path: Path, options, problem):
    done = mirror_command(options, tmp_path)
    assert done.returncode == 2
    assert problem in done.stderr
    assert "Traceback" not in done.stderr


def test_notes_that_cannot_be_read_are_named(mirror_command, copied_study, wandb_server, variables):
    where = copied_study / "mirrored.json"
    where.write_text("{")
    done = mirror_command([str(copied_study)], copied_study, **variables)
    assert done.returncode == 2
    assert str(where) in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not wandb_server.runs
