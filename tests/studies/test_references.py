"""A study that spans problems keeps what its scores are normalised by; others need none."""

from pathlib import Path

import pytest

import pglab
from pglab.results import across_problems, load, load_evaluation, load_references, scores

SMALL = ("batch=few_episodes", "updates=1", "workers=1", "logger.mode=disabled", "evaluation.episodes=2", "seeds=2")


def train(folder: Path, *overrides: str) -> None:
    pglab.run([*SMALL, "study=s", f"results_dir={folder}", *overrides])


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::pglab.results.IncompleteStudy")
def test_arms_of_a_study_get_their_references_when_a_second_problem_joins(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    train(tmp_path, "env=two_state_loop", "weighting=total,rtg")
    assert "other problems" not in capsys.readouterr().out
    assert load_references(tmp_path / "s").empty
    train(tmp_path, "env=bandit,two_state_loop", "weighting=total,rtg")
    said = capsys.readouterr().out
    found = load_references(tmp_path / "s")
    of_problem = {arm.split(",")[1]: best for arm, best in zip(found["arm"], found["best"], strict=True)}
    assert (len(found), of_problem) == (4, {"env=bandit": 1.0, "env=two_state_loop": 20.0})
    assert "normalised return on two_state_loop: 0 is 10 (exact), 1 is 20 (exact optimum)" in said
    (verdict,) = across_problems(scores(load(tmp_path / "s"), load_evaluation(tmp_path / "s")), found)["verdict"]
    assert verdict.partition(";")[0] in said
    train(tmp_path, "env=bandit", "weighting=total,rtg")
    assert "other problems, too: its report has the verdict over all of them" in capsys.readouterr().out


def test_references_go_by_the_names_that_arms_have_in_frames_also_where_folders_have_not_room_for_them(tmp_path: Path):
    long = ("optimizer.lr=0.01", "estimator.entropy_bonus=0.001", "evaluation.episodes=1", "init=zeros", "gamma=0.99")
    train(tmp_path, "env=bandit,two_state_loop", "weighting=total", *long, "estimator.clip_norm=10")
    assert any(len(folder.name) > 100 for folder in (tmp_path / "s").iterdir())
    assert set(load_references(tmp_path / "s")["arm"]) == set(load(tmp_path / "s")["arm"])
