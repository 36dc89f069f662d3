"""The command line itself: exit statuses, the line on stderr, and an untouched folder."""

from pathlib import Path

import pandas as pd
import pytest

import pglab
from pglab.errors import InputError

LAUNCHER = '''
from hydra.core.config_store import ConfigStore
from hydra.core.utils import JobStatus
from hydra._internal.core_plugins.basic_launcher import BasicLauncher


class OneAfterTheOther(BasicLauncher):
    """Trains each job by itself, as launchers beyond Hydra's own do."""

    def launch(self, job_overrides, initial_job_idx):
        returned = super().launch(job_overrides, initial_job_idx)
        with open("objectives.txt", "w") as file:
            print(*(job.return_value if job.status == JobStatus.COMPLETED else "failed" for job in returned), file=file)
        return returned


ConfigStore.instance().store(
    group="hydra/launcher",
    name="one_after_the_other",
    node={"_target_": "hydra_plugins.one_after_the_other.OneAfterTheOther"},
)
'''


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


@pytest.mark.filterwarnings("ignore::pglab.results.IncompleteStudy")
def test_under_another_launcher_each_job_trains_and_returns_its_mean_score(
    command_line, tmp_path: Path, tiny, own_weightings: list[str]
):
    plugin = tmp_path / "plugins" / "hydra_plugins" / "one_after_the_other"
    plugin.mkdir(parents=True)
    (plugin / "__init__.py").write_text(LAUNCHER)
    sweep = [*own_weightings, "-m", "hydra/launcher=one_after_the_other", "weighting=rtg,raises", *tiny]
    done = command_line(sweep, tmp_path, PYTHONPATH=f"{pglab.__path__[0]}/..:{tmp_path / 'plugins'}")
    evaluation = pglab.results.load_evaluation(tmp_path / "results")
    objective, failed = (tmp_path / "objectives.txt").read_text().split()
    assert float(objective) == evaluation["return"].mean()
    assert failed == "failed"
    assert done.returncode == 1
    assert "my own mistake" in done.stderr
