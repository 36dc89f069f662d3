"""A component of the user's that fails takes its own runs with it and no others."""

import json
import re
import subprocess
from pathlib import Path

import pytest

from pglab.cli import compose_runs
from pglab.results import load, load_evaluation
from pglab.studies.plan import make_plan
from pglab.studies.train import train

EXPERIMENT = """# @package _global_
defaults:
  - override /weighting: {weighting}
  - override /head: {head}
"""


@pytest.fixture(scope="module")
def failing(command_line, tmp_path_factory: pytest.TempPathFactory, tiny, put_own_weightings):
    """Three bundles of two seeds on one worker: one raises, in one the process dies, one is fine."""
    folder = tmp_path_factory.mktemp("failing")
    options = put_own_weightings(folder)
    experiments = folder / "conf" / "experiment"
    experiments.mkdir()
    for weighting, head in (("raises", "sigmoid"), ("dies", "sigmoid_action_blind"), ("rtg", "softmax")):
        (experiments / f"{weighting}.yaml").write_text(EXPERIMENT.format(weighting=weighting, head=head))
    sweep = ["-m", "experiment=dies,raises,rtg", "seed=0,1", "workers=1", *tiny[:-1], "study=failing"]
    return command_line([*options, *sweep], folder), folder / "results" / "failing"


def runs(study: Path, weighting: str) -> dict[str, dict]:
    (about,) = study.glob(f"*experiment={weighting}*/arm.json")
    runs = json.loads(about.read_text())["runs"]
    return {seed: {key: run[key] for key in ("status", "updates", "asked")} for seed, run in runs.items()}


def test_the_command_ends_with_status_1_and_shows_the_traceback(failing: tuple[subprocess.CompletedProcess[str], Path]):
    done, _ = failing
    assert done.returncode == 1
    assert "own_weightings.py" in done.stdout
    assert "RuntimeError: my own mistake" in done.stdout
    assert "the worker process ended without a word" in done.stdout
    assert "4 runs failed; the same command again tries them anew" in done.stdout
    assert "Traceback" not in done.stderr


def test_the_traceback_that_is_shown_is_the_users_part_and_all_of_it_is_stored(failing):
    done, study = failing
    assert re.findall(r'File ".*/(\w+\.py)", line', done.stdout) == ["own_weightings.py"]
    (about,) = study.glob("*experiment=raises*/arm.json")
    whole = json.loads(about.read_text())["runs"]["0"]["error"]
    assert "pglab/training" in whole
    assert "own_weightings.py" in whole


def test_a_failed_arm_stays_in_the_table_with_its_error_and_where_the_traceback_is(failing):
    lines = [line.strip() for line in failing[0].stdout.splitlines()]
    rows = {name: line.split()[1:] for name in ("raises", "rtg") for line in lines if line.startswith(f"{name}  ")}
    assert rows == {"raises": ["2", "–", "–", "0", "0", "2"], "rtg": [*rows["rtg"][:-2], "0", "0"]}
    (said,) = [line for line in lines if "seeds 0-1 failed: RuntimeError" in line]
    assert re.fullmatch(
        r"raises: seeds 0-1 failed: RuntimeError: my own mistake "
        r"\(traceback in results/failing/\S*experiment=raises/arm.json, and in the report\)",
        said,
    )


@pytest.mark.filterwarnings("ignore::pglab.results.IncompleteStudy")
def test_the_other_bundles_runs_are_finished(failing):
    _, study = failing
    assert runs(study, "rtg") == {str(s): {"status": "finished", "updates": 2, "asked": 2} for s in (0, 1)}
    finished = load(study).query("status == 'finished'")
    assert len(finished) == 2 * 2
    assert len(load_evaluation(study)) == 2 * 100


@pytest.mark.parametrize("weighting", ["raises", "dies"])
def test_failed_runs_are_recorded_as_failed(failing, weighting: str):
    assert runs(failing[1], weighting) == {str(s): {"status": "failed", "updates": 0, "asked": 2} for s in (0, 1)}


def test_the_mirror_has_every_run_and_marks_the_failed_ones(failing, mirrored):
    done, study = failing
    assert "warning" not in done.stdout
    status = {name: (run.summary["status"], run.exit_code) for name, run in mirrored(study).items()}
    assert len(status) == 6
    for name, seen in status.items():
        assert seen == (("finished", 0) if "experiment=rtg" in name else ("failed", 1))


@pytest.mark.filterwarnings("ignore::pglab.results.IncompleteStudy")
def test_a_study_in_which_every_run_fails_says_why_and_can_be_tried_again(
    tmp_path: Path, tiny, own_weightings: list[str], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
):
    monkeypatch.syspath_prepend(tmp_path)
    composed = compose_runs(["weighting=raises", *tiny, f"results_dir={tmp_path / 'results'}"], tmp_path / "conf")
    assert train(composed).exit_status == 1
    out, _ = capfd.readouterr()
    assert "RuntimeError: my own mistake" in out
    assert "1 runs failed" in out
    assert re.search("weighting=raises, .*: seed 0 failed: RuntimeError: my own mistake .traceback in ", out)
    assert make_plan(composed).missing == 1
    assert load(tmp_path / "results")["update"].tolist() == [0]
