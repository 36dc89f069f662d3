"""A report on several problems: one verdict over them first, then each problem with figures of its own."""

import json
from pathlib import Path

import pytest

from pglab.report.command import main
from pglab.report.content import Question, content
from pglab.report.figures import figures
from tests.report.made_study import write_arm
from tests.report.test_report import Text

RANGES = {"cartpole": (20.0, 500.0), "acrobot": (-500.0, -100.0)}
LEVELS = {("cartpole", "total"): 100, ("cartpole", "rtg"): 200, ("acrobot", "total"): -300, ("acrobot", "rtg"): -260}


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("problems") / "both"
    for place, ((env, weighting), level) in enumerate(LEVELS.items()):
        scores = [level + 7.0 * seed * (1 + place % 2) for seed in range(6)]
        arm = write_arm(folder, place, scores, env=env, weighting=weighting)
        about = json.loads((arm / "arm.json").read_text())
        random, best = RANGES[env]
        about["reference"] = {"random": random, "random_source": "r", "best": best, "best_source": "b"}
        (arm / "arm.json").write_text(json.dumps(about))
    return folder


@pytest.fixture(scope="module")
def page(study: Path) -> str:
    assert main([str(study)]) == 0
    return Text((study / "report" / "index.html").read_text()).text


def test_the_verdict_over_all_problems_comes_first_and_says_what_it_rests_on(page: str):
    places = [page.index(said) for said in ("over 2 problems: rtg beats total", "on cartpole: rtg", "on acrobot: rtg")]
    assert min(places) == places[0]
    assert "Normalised return on acrobot: 0 is −500 (r), 1 is −100 (b)" in page
    assert "for each seed the mean over the problems" in page
    assert "cartpole from" not in page


def test_each_problem_has_its_own_figures(study: Path):
    drawn = list(figures(content(study, Question())))
    assert drawn[0].name == "over_problems"
    titles = [one.title for one in drawn]
    for title in ("Learning curves", "Differences to the control", "Every run's score", "Performance profile"):
        assert {f"{title}: cartpole", f"{title}: acrobot"} <= set(titles)
    assert len({one.name for one in drawn}) == len(drawn)


def test_without_references_there_are_verdicts_on_each_problem_alone(study: Path, tmp_path: Path):
    for arm in study.glob("env=*"):
        about = json.loads((arm / "arm.json").read_text())
        del about["reference"]
        (tmp_path / "s" / arm.name).mkdir(parents=True)
        for file in ("updates.parquet", "evaluation.parquet"):
            (tmp_path / "s" / arm.name / file).write_bytes((arm / file).read_bytes())
        (tmp_path / "s" / arm.name / "arm.json").write_text(json.dumps(about))
    found = content(tmp_path / "s", Question())
    assert sorted(verdict.sentence.split(":")[0] for verdict in found.verdicts) == ["on acrobot", "on cartpole"]
    assert found.over is not None
    assert found.over.references[0] == "cartpole: not known, so its scores enter no verdict over problems"
    assert main([str(tmp_path / "s"), "--control", "env=cartpole,weighting=rtg"]) == 0
    assert main([str(tmp_path / "s"), "--score", "steps_to", "--threshold", "-200"]) == 0
