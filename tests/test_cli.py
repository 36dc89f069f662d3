"""The command line itself: exit statuses, the line on stderr, and an untouched folder."""

import threading
from pathlib import Path

import pandas as pd
import pytest

import pglab
import pglab.cli
from pglab.errors import InputError
from tests.slow import first

LAUNCHER = '''
import os
import signal

from hydra.core.config_store import ConfigStore
from hydra.core.utils import JobStatus
from hydra._internal.core_plugins.basic_launcher import BasicLauncher


class OneAfterTheOther(BasicLauncher):
    """Trains each job by itself, as launchers beyond Hydra's own do."""

    def launch(self, job_overrides, initial_job_idx):
        returned = super().launch(job_overrides, initial_job_idx)
        with open("objectives.txt", "w") as file:
            print(*(job.return_value if job.status == JobStatus.COMPLETED else "failed" for job in returned), file=file)
        if "INTERRUPTED" in os.environ:
            signal.raise_signal(signal.SIGINT)
        return returned


ConfigStore.instance().store(
    group="hydra/launcher",
    name="one_after_the_other",
    node={"_target_": "hydra_plugins.one_after_the_other.OneAfterTheOther"},
)
'''

CALLBACK = """
from hydra.experimental.callback import Callback


class Tells(Callback):
    def on_job_end(self, config, job_return, **_):
        with open("objectives.txt", "a") as file:
            print(job_return.return_value, file=file)
"""


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["+gama=1"], "gama"),
        (["weighting=total,rtg"], "weighting=total,rtg"),
        (["logger=null"], "logger=null"),
        (["-m", "seed=range(0,0)"], "empty"),
        (["-m", "updates=0", "--config-dir", "."], "updates=0"),
        (["--config-dir", "nowhere"], "nowhere"),
        (["-m", "env=frozenlake,cartpole", "head=sigmoid"], "head:"),
    ],
    ids=lambda part: " ".join(part) if isinstance(part, list) else None,
)
def test_bad_input_ends_with_status_2_and_one_line_and_writes_nothing(command_line, tmp_path, arguments, named):
    done = command_line(arguments, tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert named in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_refused_before_training(command_line, tmp_path: Path, tiny):
    (tmp_path / "file").write_text("as it was")
    done = command_line([*tiny, "results_dir=file/results"], tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("error: cannot write to file/results")
    assert "results_dir" in done.stderr
    assert [path.read_text() for path in tmp_path.iterdir()] == ["as it was"]


def test_run_refuses_bad_input_with_the_same_line_and_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"gamma=1\.5 is outside"):
        pglab.run(["gamma=1.5"])
    with pytest.raises(InputError, match="config_dir=nowhere is not a folder"):
        pglab.run([], config_dir="nowhere")
    assert list(tmp_path.iterdir()) == []


def test_run_returns_the_rows_of_what_it_was_asked_for_and_no_others(copied_study: Path, tiny):
    frame = pglab.run(["weighting=rtg", "seed=2,1", *tiny, "study=small", f"results_dir={copied_study.parent}"])
    everything = pglab.results.load(copied_study)
    asked = everything[(everything["weighting"] == "rtg") & everything["seed"].isin([1, 2])]
    pd.testing.assert_frame_equal(frame, asked.reset_index(drop=True))


@pytest.mark.parametrize(
    "line",
    first(
        1,
        [
            ["--updates=1", "-m", "--weighting=total,rtg"],
            ["updates=1", "-m", "weighting=total,rtg"],
            ["-m", "updates=1", "--config-name", "config", "weighting=total,rtg"],
            ["hydra.mode=MULTIRUN", "updates=1", "weighting=total,rtg"],
        ],
    ),
    ids=" ".join,
)
def test_options_stand_before_between_or_behind_overrides(command_line, tmp_path: Path, tiny, line: list[str]):
    small = [*tiny, "evaluation.episodes=0"]
    small.remove("updates=2")
    done = command_line([*small, *line], tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    updates = pglab.results.load(tmp_path / "results")
    assert (updates["update"].tolist(), updates["weighting"].tolist()) == ([1, 1], ["total", "rtg"])
    assert [path.name for path in tmp_path.iterdir()] == ["results"]


@pytest.fixture
def with_launcher(tmp_path: Path) -> dict[str, str]:
    """Variables with which Hydra finds the launcher above; a file of one's own that chooses it, in two ways."""
    plugin = tmp_path / "plugins" / "hydra_plugins" / "one_after_the_other"
    plugin.mkdir(parents=True)
    (plugin / "__init__.py").write_text(LAUNCHER)
    (tmp_path / "plugins" / "tells.py").write_text(CALLBACK)
    experiments = tmp_path / "conf" / "experiment"
    experiments.mkdir(parents=True, exist_ok=True)
    chosen = "defaults: [override /hydra/launcher: one_after_the_other]"
    (experiments / "by_itself.yaml").write_text(f"# @package _global_\n{chosen}\n")
    called = "hydra: {callbacks: {tells: {_target_: tells.Tells}}}"
    (experiments / "told.yaml").write_text(f"# @package _global_\n{called}\n")
    (tmp_path / "conf" / "own.yaml").write_text(
        "defaults: [config, _self_, override hydra/launcher: one_after_the_other]\n"
    )
    return {"PYTHONPATH": f"{pglab.__path__[0]}/..:{tmp_path / 'plugins'}"}


@pytest.mark.filterwarnings("ignore::pglab.results.IncompleteStudy")
def test_under_another_launcher_each_job_trains_and_returns_its_mean_score(
    command_line, tmp_path: Path, tiny, own_weightings: list[str], with_launcher
):
    sweep = [*own_weightings, "-m", "hydra/launcher=one_after_the_other", "weighting=rtg,raises", *tiny]
    done = command_line(sweep, tmp_path, **with_launcher)
    evaluation = pglab.results.load_evaluation(tmp_path / "results")
    objective, failed = (tmp_path / "objectives.txt").read_text().split()
    assert float(objective) == evaluation["return"].mean()
    assert failed == "failed"
    assert done.returncode == 1
    assert "my own mistake" in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    "chosen",
    [
        ["experiment=by_itself"],
        ["--config-name", "own"],
        ["experiment=told"],
    ],
    ids=" ".join,
)
def test_what_a_yaml_file_chooses_works_as_on_the_command_line(
    command_line, tmp_path: Path, tiny, with_launcher, chosen: list[str]
):
    sweep = ["--config-dir", "conf", *chosen, "-m", "weighting=rtg,total", "study=s", *tiny]
    done = command_line(sweep, tmp_path, **with_launcher)
    assert (done.returncode, done.stderr) == (0, "")
    evaluation = pglab.results.load_evaluation(tmp_path / "results")
    means = [evaluation.loc[evaluation["weighting"] == weighting, "return"].mean() for weighting in ("rtg", "total")]
    told = [float(text) for text in (tmp_path / "objectives.txt").read_text().split()]
    assert told == means
    assert done.stdout.endswith("Study s: 2 arms by this command; all verdicts: `python -m pglab.report results/s`\n")


def test_a_launcher_of_ones_own_is_not_for_run(tmp_path: Path, with_launcher, monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(InputError, match="hydra/launcher=basic"):
        pglab.run(["experiment=told"], config_dir=tmp_path / "conf")
    assert not (tmp_path / "results").exists()


@pytest.mark.slow
def test_an_interruption_between_two_jobs_does_not_claim_that_nothing_was_written(
    command_line, tmp_path: Path, tiny, with_launcher
):
    sweep = ["-m", "hydra/launcher=one_after_the_other", "weighting=rtg,total", "study=s", *tiny]
    done = command_line(sweep, tmp_path, **with_launcher, INTERRUPTED="1")
    assert done.returncode == 130
    assert done.stderr.startswith("Interrupted. What the jobs have stored is kept")
    assert set(pglab.results.load(tmp_path / "results")["status"]) == {"finished"}


def test_an_interruption_while_results_are_read_says_that_they_are_stored(
    tmp_path: Path, tiny, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["pglab", "weighting=rtg", *tiny])
    monkeypatch.setattr("pglab.studies.console.Console.table", interrupted)
    monkeypatch.setattr("pglab.cli._listen_for_interruption", threading.Event)
    assert pglab.cli.main() == 130
    said = capsys.readouterr()
    assert "nothing was written" not in said.err
    assert "Everything is stored in results/" in said.out
