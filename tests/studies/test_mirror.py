"""W&B mirrors what is stored, and losing it costs a warning."""

import math
import shutil
from contextlib import ExitStack
from pathlib import Path

import pytest

from pglab.results import load, load_evaluation
from tests.tracking.wandb_server import WandbServer
from tests.waiting import HANG

pytestmark = pytest.mark.filterwarnings("ignore::pglab.results.IncompleteStudy")  # diverged runs have fewer rows

MEASURES = ("env_steps", "episodes", "return_mean", "return_std", "length_mean", "loss", "entropy", "grad_norm")


def called(study: Path) -> dict[str, str]:
    """What W&B has room for of the name of each arm: the setting in which they differ."""
    return {arm: f"lr={rate:g}" for arm, rate in load(study).groupby("arm")["optimizer.lr"].first().items()}


def test_every_run_has_a_folder_of_its_own(diverging: Path, mirrored):
    assert len(list(diverging.glob("wandb/offline-run-*"))) == 4
    assert set(mirrored(diverging)) == {f"{name},seed={s}" for name in called(diverging).values() for s in (0, 1)}


def test_a_run_says_what_it_belongs_to(diverging: Path, mirrored):
    for name, run in mirrored(diverging).items():
        assert run.project == "pglab"
        assert run.group == name.rpartition(",seed=")[0]
        assert run.tags == ["diverging"]


def test_a_run_has_its_resolved_configuration_and_its_choices(diverging: Path, mirrored):
    rates = load(diverging).groupby("arm")["optimizer.lr"].first().rename(called(diverging))
    for name, run in mirrored(diverging).items():
        assert run.config["seed"] == int(name[-1])
        assert run.config["optimizer"]["lr"] == rates[run.group]
        assert run.config["weighting"]["gamma"] == run.config["gamma"] == 1.0
        assert run.config["choices"]["network"] == "linear"
        assert run.config["study"] == "diverging"
        assert (diverging / run.config["arm"]).is_dir()


def test_the_history_has_the_stored_numbers_of_every_update(diverging: Path, mirrored):
    runs, names = mirrored(diverging), called(diverging)
    for (arm, seed), rows in load(diverging).groupby(["arm", "seed"]):
        history = runs[f"{names[arm]},seed={seed}"].history
        assert [row["update"] for row in history] == rows["update"].tolist()
        for here, there in zip(history, rows.to_dict("records"), strict=True):
            for measure in MEASURES:
                shown = float(here[measure])
                assert shown == there[measure] or (math.isnan(shown) and math.isnan(there[measure]))


def test_a_diverged_run_is_marked_as_failed_and_with_its_update(diverging: Path, mirrored):
    runs, names = mirrored(diverging), called(diverging)
    for (arm, seed), rows in load(diverging).groupby(["arm", "seed"]):
        run = runs[f"{names[arm]},seed={seed}"]
        diverged = rows["status"].iloc[0] == "diverged"
        assert run.summary["status"] == rows["status"].iloc[0]
        assert run.summary.get("diverged_at") == (rows["update"].max() if diverged else None)
        assert run.exit_code == diverged


@pytest.mark.slow
def test_a_run_that_is_trained_again_takes_the_place_of_its_earlier_folder(
    command_line, tmp_path: Path, tiny, mirrored
):
    arguments, study = ["-m", *tiny[:-1], "seed=0,1", "study=again"], tmp_path / "results" / "again"
    assert command_line([*arguments, "updates=1"], tmp_path).returncode == 0
    earlier = {folder.name for folder in study.glob("wandb/offline-run-*")}
    for arm in study.glob("*/arm.json"):
        shutil.rmtree(arm.parent)
    assert command_line(arguments, tmp_path).returncode == 0
    folders = {folder.name for folder in study.glob("wandb/offline-run-*")}
    assert len(earlier) == len(folders) == 2
    assert not earlier & folders
    assert {name.rpartition("-")[2] for name in earlier} == {name.rpartition("-")[2] for name in folders}
    assert [[row["update"] for row in run.history] for run in mirrored(study).values()] == [[1, 2], [1, 2]]


@pytest.mark.slow
def test_an_online_study_is_there_once_however_often_it_is_trained(
    command_line, tmp_path: Path, tiny, wandb_server: WandbServer
):
    variables = wandb_server.variables(tmp_path)
    arguments = ["-m", *tiny[:-1], "seed=0,1", "study=online", "logger.mode=online"]
    for updates, sent in ((1, [1]), (3, [1, 2, 3])):
        shutil.rmtree(tmp_path / "results", ignore_errors=True)
        done = command_line([*arguments, f"updates={updates}"], tmp_path, **variables)
        assert done.returncode == 0, done.stderr
        assert "warning" not in done.stdout
        runs = wandb_server.named()
        assert {name[-6:] for name in runs} == {"seed=0", "seed=1"}
        assert [run.steps for run in runs.values()] == [sent, sent]
    returns = load_evaluation(tmp_path / "results").groupby(["arm", "seed"])["return"].mean()
    for (arm, seed), rows in load(tmp_path / "results").groupby(["arm", "seed"]):
        run = runs[f"{arm},seed={seed}"]
        assert [row["return_mean"] for row in run.history] == rows["return_mean"].tolist()
        assert run.state == run.summary["status"] == "finished"
        assert run.summary["final_return"] == pytest.approx(returns[arm, seed])


@pytest.mark.slow
def test_losing_wandb_costs_a_warning_and_no_run(command_line, tmp_path: Path, tiny):
    closed = {"WANDB_BASE_URL": "http://127.0.0.1:9", "HOME": str(tmp_path), "NETRC": str(tmp_path / "netrc")}
    online = [*tiny[:-1], "logger.mode=online", "logger.timeout=5"]
    keys = {"without_an_answer": "0" * 40, "without_a_key": ""}
    problems = {"without_an_answer": "it did not end in time", "without_a_key": "UsageError: No API key configured"}
    with ExitStack() as both:
        processes = {
            study: both.enter_context(
                command_line.started([*online, f"study={study}"], tmp_path, WANDB_API_KEY=key, **closed)
            )
            for study, key in keys.items()
        }
        for study, process in processes.items():
            out, err = process.communicate(timeout=HANG)
            assert process.returncode == 0, err
            assert f"warning: W&B has an incomplete mirror ({problems[study]}" in out
            assert load(tmp_path / "results" / study)["status"].tolist() == ["finished", "finished"]
