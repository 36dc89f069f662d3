"""A search finds the best settings of each arm, goes on after a kill, and is judged by fresh seeds."""

import os
import re
import signal
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml

from pglab.errors import InputError
from pglab.report.command import main as report
from pglab.results import load, load_evaluation, scores
from pglab.search import JOURNAL, Proposal, read_range
from pglab.store.tuning import Range, Tuning, read_tuning, store_tuning
from pglab.store.writer import prepare
from pglab.studies.plan import make_plan
from pglab.tune import asked_for, job_of, main
from tests.conftest import CommandLine
from tests.waiting import until

needs_optuna = pytest.mark.skipif(find_spec("optuna") is None, reason="Optuna is not installed")
BANDIT = ["env=bandit", "batch=episodes", "batch.episodes=10", "evaluation.episodes=50", "logger.mode=disabled"]
ARMS = ["weighting=total,rtg", "optimizer.lr=1e-7..10", "workers=1"]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Works in an empty folder, and leaves stops to pytest."""
    monkeypatch.chdir(tmp_path)
    stops = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR2)
    handlers = {stop: signal.getsignal(stop) for stop in stops}
    yield
    for stop, handler in handlers.items():
        signal.signal(stop, handler)


def trials(study: Path) -> dict[str, list[tuple]]:
    """Settings and score of each trial of each arm."""
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend
    from optuna.study import get_all_study_names, load_study

    storage = JournalStorage(JournalFileBackend(str(study / JOURNAL)))
    searches = {name: load_study(study_name=name, storage=storage) for name in get_all_study_names(storage)}
    return {
        name: [(next(iter(trial.user_attrs["settings"].values())), trial.value) for trial in search.trials]
        for name, search in searches.items()
    }


@needs_optuna
def test_the_best_of_a_bandit_is_found_for_two_arms_and_confirmed_by_seeds_of_its_own(tmp_path: Path, capsys):
    command = ["t", *ARMS, *BANDIT, "updates=30", "seeds=2", "trials=6", "round=6", "confirm=3"]
    assert main(command) == 0
    out = capsys.readouterr().out
    study, confirmed = Path("results/t"), Path("results/t_confirmed")
    runs = scores(load(study), load_evaluation(study))
    means = runs.groupby(["weighting", "arm"])["score"].mean()
    best = max(yaml.safe_load(next(study.glob("*/config.yaml")).read_text())["env"]["means"])
    for weighting in ("total", "rtg"):
        assert means[weighting].max() > 0.9 * best
        assert means[weighting].min() < 0.75 * best, "a learning rate of nearly nothing learns nothing"
        assert len(means[weighting]) == 6
        assert re.search(rf"6 of 6 trials of {weighting}: best \S+ at optimizer.lr=", out)
    assert set(runs["seed"]) == {0, 1}
    fresh = load(confirmed)
    assert set(fresh["seed"]) == {2, 3, 4}
    assert set(fresh["arm"]) == {means[weighting].idxmax() for weighting in ("total", "rtg")}
    assert main(command) == 0, "and there is nothing left to do"
    again = capsys.readouterr().out
    assert "Training" not in again
    assert report([str(study)]) == 0
    page = (study / "report/index.html").read_text()
    assert "Sensitivity to what was tuned" in page
    assert "Sensitivity to optimizer.lr" in page


@needs_optuna
@pytest.mark.slow
def test_a_search_that_was_killed_goes_on_and_tries_what_it_would_have_tried(tmp_path: Path):
    command = [*ARMS, *BANDIT, "updates=40", "seeds=2", "trials=6", "round=2", "confirm=0"]
    tune = CommandLine("pglab.tune")
    assert tune(["results/whole", *command], tmp_path).returncode == 0
    expected = trials(Path("results/whole"))
    assert {name: len(of_arm) for name, of_arm in expected.items()} == dict.fromkeys(expected, 6)
    for _ in range(2):
        with tune.started(["results/killed", *command], tmp_path) as process:
            there = len(list(tmp_path.glob("results/killed/*/updates.parquet")))
            until(lambda there=there: len(list(tmp_path.glob("results/killed/*/updates.parquet"))) > there, process)
            os.killpg(process.pid, signal.SIGKILL)
    done = tune(["results/killed", *command], tmp_path)
    assert done.returncode == 0, done.stderr
    assert trials(Path("results/killed")) == expected


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("optimizer.lr=1e-4..1e-1", Range("optimizer.lr", 1e-4, 1e-1, log=True)),
        ("gamma=0.9..1", Range("gamma", 0.9, 1.0)),
        ("batch.steps=1000..20000", Range("batch.steps", 1000, 20000, log=True, whole=True)),
        ("network.activation=tanh|relu", Range("network.activation", choices=("tanh", "relu"))),
        ("weighting=total,rtg", None),
        ("seeds=5", None),
    ],
)
def test_a_range_is_read(text: str, found: Range | None):
    assert read_range(text) == found


@pytest.mark.parametrize("text", ["optimizer.lr=1..x", "optimizer.lr=1..0.1", "optimizer.lr=1..1", "optimizer.lr=..1"])
def test_a_range_that_is_none_is_refused(text: str):
    with pytest.raises(InputError):
        read_range(text)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (["weighting=total,rtg"], "nothing is to be tuned: give a range, such as optimizer.lr=1e-4..1e-1"),
        (["optimizer.rl=1e-4..1e-1"], "unknown key optimizer.rl"),
        (["workers=1..2"], "workers decides no number, so there is nothing to tune"),
        (["optimizer.lr=0.1..1", "optimizer.lr=0.1,0.2"], "optimizer.lr is given a value, too"),
        (["optimizer.lr=0.1..1", "trials=0"], "trials=0 must be a whole number of at least 1"),
    ],
)
def test_what_cannot_be_tuned_is_refused_before_anything_is_written(given, told: str, tmp_path: Path, capsys):
    assert main(["results/t", *given]) == 2
    assert told in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_plan_trains_nothing(tmp_path: Path, capsys):
    assert main(["t", *ARMS, *BANDIT, "plan=true"]) == 0
    assert capsys.readouterr().out == (
        "Tuning optimizer.lr=1e-07..10 of 2 arms by 20 trials of 5 seeds each, 200 runs in all; then 20 fresh seeds "
        "of the best of each\n"
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["env=corridor,weighting", "1.5", "a b"])
def test_trials_go_to_the_folder_that_is_named_whatever_its_letters_mean_in_an_override(name: str, tmp_path: Path):
    study = tmp_path / "of,two" / name
    asked = asked_for(str(study), [*ARMS, *BANDIT], None)
    for arm in asked.arms:
        assert make_plan([job_of(asked, arm, Proposal(0, {"optimizer.lr": "0.1"}))]).folder == study


def test_without_optuna_nothing_is_written(tmp_path: Path, capsys, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    assert main(["t", *ARMS, *BANDIT]) == 2
    assert capsys.readouterr() == ("", "error: pglab.tune needs Optuna: pip install 'pglab[tune]'\n")
    assert list(tmp_path.iterdir()) == []


THERE = Tuning((Range("optimizer.lr", 0.1, 1.0, log=True),), ("env=bandit,weighting=rtg",), (0,))
SEARCH = ["t", "weighting=rtg", "env=bandit", "seeds=1"]


def test_another_search_is_refused_where_one_has_trained_something(tmp_path: Path, capsys):
    prepare(Path("results/t/arm"))
    Path("results/t/arm/arm.json").touch()
    store_tuning(Path("results/t"), THERE)
    assert read_tuning(Path("results/t")) == THERE
    assert main([*SEARCH, "optimizer.lr=0.1..2"]) == 2
    assert "tunes optimizer.lr=0.1..1, and not optimizer.lr=0.1..2" in capsys.readouterr().err
    assert main([*SEARCH, "optimizer.lr=0.1..1", "gamma=0.5"]) == 2
    assert "has the arms env=bandit,weighting=rtg, and not env=bandit,gamma=0.5" in capsys.readouterr().err


def test_a_search_that_never_trained_anything_keeps_no_other_from_its_folder(tmp_path: Path):
    prepare(Path("results/t"))
    store_tuning(Path("results/t"), THERE)
    assert main([*SEARCH, "optimizer.lr=0.1..2", "plan=true"]) == 0
    assert read_tuning(Path("results/t")) == THERE, "a plan writes nothing"


@needs_optuna
def test_a_search_whose_range_was_refused_is_given_another(tmp_path: Path, capsys):
    search = [*BANDIT, "workers=1", "updates=1", "seeds=1", "trials=2", "confirm=0"]
    assert main(["t", *search, "gamma=1.5..2"]) == 2
    assert "outside [0, 1]" in capsys.readouterr().err
    assert main(["t", *search, "gamma=0.5..1"]) == 0
    (found,) = trials(Path("results/t")).values()
    assert [0.5 <= float(gamma) <= 1 for gamma, _ in found] == [True, True]
