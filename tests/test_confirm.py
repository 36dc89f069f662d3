"""A confirmation trains the best setting of each arm on seeds that had no part in the choice."""

import shutil
import signal
from pathlib import Path

import pandas as pd
import pytest

import pglab
from pglab.confirm import main
from pglab.results import load, load_evaluation, scores
from pglab.results.best_settings import best_settings

OWN = "_target_: pglab.algorithms.weightings.RewardToGo\ngamma: {gamma}\n"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Works in an empty folder, and leaves stops to pytest."""
    monkeypatch.chdir(tmp_path)
    handlers = {stop: signal.getsignal(stop) for stop in (signal.SIGINT, signal.SIGTERM)}
    yield
    for stop, handler in handlers.items():
        signal.signal(stop, handler)


@pytest.fixture(scope="module")
def tuned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study of two weightings, one of them a user's own, at three learning rates; not to be changed."""
    folder = tmp_path_factory.mktemp("tuned")
    (folder / "conf/weighting").mkdir(parents=True)
    (folder / "conf/weighting/own.yaml").write_text(OWN.format(gamma="${gamma}"))
    grid = ["weighting=total,own", "+optimizer.betas=[0.5,0.9]", "optimizer.lr=0.1,1.0,3.0", "env=bandit", "gamma=0.5"]
    grid += ["batch=few_episodes", "updates=3", "seeds=3", "evaluation.episodes=4"]
    pglab.run([*grid, "workers=1", "logger.mode=disabled", f"results_dir={folder}", "study=s"], folder / "conf")
    return folder


def confirm(folder: Path, *arguments: str) -> int:
    return main(
        [str(folder / "s"), "--config-dir", str(folder / "conf"), "workers=1", "logger.mode=disabled", *arguments]
    )


def refusal(folder: Path, capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert confirm(folder, *arguments) == 2
    return capsys.readouterr().err


def test_the_best_setting_of_each_arm_gets_fresh_seeds_and_goes_on_with_the_same_command(
    tuned: Path, capsys: pytest.CaptureFixture[str]
):
    command = ["tuned=optimizer.lr", "seeds=4", "results_dir=there"]
    assert confirm(tuned, *command) == 0
    first = capsys.readouterr().out
    runs = scores(load(tuned / "s"), load_evaluation(tuned / "s"))
    confirmed = load("there/s_confirmed")
    assert set(confirmed["arm"]) == {best.arm[1] for best in best_settings(runs, ["optimizer.lr"])}
    assert set(confirmed["seed"]) == {3, 4, 5, 6}
    assert set(confirmed.groupby(["arm", "seed"])["update"].max()) == {3}
    assert len(set(confirmed["weighting"])) == 2
    for said in ("best of 3 settings", "has also been lucky", "Study s_confirmed", "4 paired seeds"):
        assert said in first
    assert confirm(tuned, *command) == 0
    assert "Finished before and kept as they are: 8 of 8 runs." in capsys.readouterr().out
    again = load("there/s_confirmed")
    pd.testing.assert_frame_equal(again, confirmed)


def test_fresh_seeds_are_added_until_a_difference_is_decided(tuned: Path, capsys: pytest.CaptureFixture[str]):
    until = ["until=decided", "until.difference=1", "until.max_seeds=6", "results_dir=there"]
    assert confirm(tuned, *until) == 0
    assert " after 6 paired seeds: " in capsys.readouterr().out
    assert set(load("there/s_confirmed")["seed"]) == set(range(3, 9))
    assert "finds the number of seeds itself" in refusal(
        tuned, capsys, "until=decided", "until.difference=1", "seeds=9"
    )


@pytest.mark.slow
def test_without_a_word_values_are_tuned_twenty_fresh_seeds_are_asked_for_and_the_study_lies_beside_the_first(
    tuned: Path, capsys: pytest.CaptureFixture[str]
):
    assert confirm(tuned, "plan=true") == 0
    assert "40" in capsys.readouterr().out
    assert list(tuned.glob("s_*")) == []


@pytest.mark.slow
def test_arms_of_an_earlier_choice_in_the_same_study_are_named(tuned: Path, capsys: pytest.CaptureFixture[str]):
    shutil.copytree(tuned / "s", "there/s_confirmed")
    assert confirm(tuned, "plan=true", "results_dir=there") == 0
    (note,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("note: there/s_confirmed also")]
    runs = scores(load(tuned / "s"), load_evaluation(tuned / "s"))
    chosen = {best.arm[1] for best in best_settings(runs, ["optimizer.lr"])}
    assert all((arm in note) == (arm not in chosen) for arm in runs["arm"])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["seed=2"], "seed=2 is not fresh: {s} has used seeds up to 2"),
        (["optimizer.lr=0.5"], "optimizer.lr=0.5 would be another arm; a confirmation takes those of {s} as they are"),
        (["updates=9"], "updates=9 would be another arm"),
        (["tuned=head"], "{s}: the arms do not differ in head; they differ in weighting, optimizer.lr"),
        (["study=s"], "study=s is the study that chose; a confirmation is a study of its own"),
        (["twenty"], "twenty is no KEY=VALUE, such as seeds=20"),
        (["workers=many"], "workers=many must be a whole number"),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_written(tuned: Path, capsys, arguments: list[str], said: str):
    error = refusal(tuned, capsys, *arguments)
    assert error.startswith(f"error: {said.format(s=tuned / 's')}")
    assert error.count("\n") == 1
    assert list(tuned.glob("s_*")) == []


def test_an_arm_that_is_composed_otherwise_today_is_refused_by_its_key(tuned: Path, tmp_path: Path, capsys):
    (tmp_path / "conf/weighting").mkdir(parents=True)
    (tmp_path / "conf/weighting/own.yaml").write_text(OWN.format(gamma=0.25))
    assert main([str(tuned / "s"), "--config-dir", str(tmp_path / "conf")]) == 2
    error = capsys.readouterr().err
    assert "cannot be composed as it was: weighting.gamma was 0.5 and is 0.25 now" in error
    assert main([str(tuned / "s")]) == 2  # without the folder of one's own
    assert "weighting=own is not a choice" in capsys.readouterr().err
