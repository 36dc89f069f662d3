"""`until=decided`: rounds of seeds that go on like any study, and end with a verdict."""

from pathlib import Path

import pytest

import pglab
from pglab.cli import compose_runs
from pglab.errors import InputError
from pglab.report.command import main as report
from pglab.report.content import Question, content
from pglab.results import load, load_evaluation, scores
from pglab.results.sequential import decide
from pglab.studies.until import check_until

# The weightings start alike and part soon; the sum of rewards tells nobody which action to take.
GRID = (
    "weighting=total,rtg", "env=corridor", "env.horizon=50", "batch=few_episodes", "network=tabular", "updates=6",
    "evaluation.episodes=10", "logger.mode=disabled", "workers=1", "study=s", "until=decided",
)  # fmt: skip


def seeds_of(study: Path) -> set[int]:
    return set(load(study)["seed"])


@pytest.fixture(scope="module")
def decided(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study that ended undecided after a round, and went on until no difference of 30 was left to see."""
    folder = tmp_path_factory.mktemp("until")
    for most in (6, 100):
        pglab.run([*GRID, "until.difference=30", f"until.max_seeds={most}", f"results_dir={folder}"])
    return folder / "s"


def test_rounds_end_with_the_verdict_of_the_seeds_that_are_there(decided: Path, capsys: pytest.CaptureFixture[str]):
    grid = [*GRID, "until.difference=30", "until.max_seeds=100", f"results_dir={decided.parent}"]
    before = {file: file.stat().st_mtime_ns for file in decided.glob("*/*.parquet")}
    pglab.run(grid)  # again: nothing is trained
    said = capsys.readouterr().out
    found = decide(scores(load(decided), load_evaluation(decided)), 30).iloc[0]
    assert found["outcome"] in ("seen", "excluded")
    assert seeds_of(decided) == set(range(found["seeds"]))
    assert found["verdict"] in said
    assert "group-sequential" in said
    assert "Training" not in said
    assert "Next: more seeds" not in said
    assert before == {file: file.stat().st_mtime_ns for file in decided.glob("*/*.parquet")}


def test_the_report_answers_with_the_same_verdict(decided: Path, tmp_path: Path):
    assert report([str(decided), "--output", str(tmp_path)]) == 0
    page = (tmp_path / "index.html").read_text()
    assert decide(scores(load(decided), load_evaluation(decided)), 30)["verdict"][0].partition(":")[0] in page
    assert "Seeds were added until this was decided" in page


def test_the_report_looks_at_the_arms_and_seeds_of_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    plain = [text for text in GRID if text not in ("until=decided", "weighting=total,rtg")]
    pglab.run([*plain, "weighting=total,rtg,gae", "seeds=2", f"results_dir={tmp_path}"])
    capsys.readouterr()
    pglab.run([*GRID, "until.difference=0.01", "until.max_seeds=6", "seed=100", f"results_dir={tmp_path}"])
    (said,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("not decided after 6 ")]
    told = content(tmp_path / "s", Question())
    assert told.verdicts[0].sentence == said
    assert [("gae" in verdict.sentence) for verdict in told.verdicts] == [False, True]


def test_what_is_not_decided_in_the_end_says_how_to_go_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    pglab.run([*GRID, "until.difference=0.01", "until.max_seeds=7", "seed=3", f"results_dir={tmp_path}"])
    said = capsys.readouterr().out
    assert seeds_of(tmp_path / "s") == set(range(3, 9))
    assert "not decided after 6 paired seeds" in said
    assert "Not decided by until.max_seeds=7: the same command with more goes on from here" in said


@pytest.mark.parametrize(
    ("overrides", "complaint"),
    [
        (["weighting=total,rtg"], "until=decided needs until.difference=D"),
        (["weighting=total,rtg", "until.difference=-1"], "until.difference=-1 must be above 0"),
        (["weighting=total,rtg", "until.difference=1", "until.max_seeds=5"], "until.max_seeds=5 must be"),
        (["weighting=total,rtg", "until.difference=1", "seeds=10"], "finds the number of seeds itself"),
        (["weighting=total,rtg", "until.difference=1", "seed=0,1"], "finds the number of seeds itself"),
        (["until.difference=1"], "compares arms, and this is one"),
    ],
)
def test_what_cannot_be_decided_is_refused(overrides: list[str], complaint: str):
    with pytest.raises(InputError, match=complaint):
        check_until(compose_runs(["until=decided", *overrides]))


def test_a_difference_without_its_rule_is_refused_with_what_it_belongs_to():
    with pytest.raises(InputError, match=r"until\.difference: it belongs to until=decided"):
        compose_runs(["until.difference=20"])


@pytest.mark.slow
def test_a_plan_says_the_rounds_and_trains_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    pglab.run([*GRID, "until.difference=30", "until.max_seeds=12", "plan=true", f"results_dir={tmp_path}"])
    assert "seeds of an arm then: 8, 10" in capsys.readouterr().out
    assert not list(tmp_path.iterdir())
