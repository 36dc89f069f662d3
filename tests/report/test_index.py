"""The page about all studies of a folder."""

import os
from pathlib import Path

import pytest

from pglab.report.command import main
from pglab.report.index import aged, index_page
from tests.report.made_study import write_arm


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """Three studies: one with a verdict, one of a single arm, and one with a damaged file."""
    for place, (arm, score) in enumerate((("total", 100.0), ("rtg", 200.0))):
        write_arm(tmp_path / "weighting", place, [score + seed for seed in range(8)], weighting=arm)
    write_arm(tmp_path / "alone", 0, [1.0, 2.0], weighting="rtg")
    write_arm(tmp_path / "broken", 0, [1.0], weighting="rtg").joinpath("updates.parquet").write_text("no rows")
    for hours, study in enumerate(("alone", "weighting", "broken"), 1):
        for file in (tmp_path / study).glob("*/arm.json"):
            os.utime(file, (1e9 - 3600 * hours, 1e9 - 3600 * hours))
    return tmp_path


def test_every_study_is_there_with_question_verdict_and_age_the_youngest_first(results: Path):
    page = index_page(results, results / "index.html", now=1e9)
    assert page.index("<h2>alone") < page.index("<h2>weighting") < page.index("<h2>broken")
    assert "total or rtg" in page
    assert "rtg beats total by " in page
    assert "one arm, nothing to compare" in page
    assert "updates.parquet" in page  # what is damaged is named
    assert [f"{hours} hour" in page for hours in (1, 2, 3)] == [True] * 3


def test_the_command_writes_the_page_and_links_reports_that_are_there(
    results: Path, capsys: pytest.CaptureFixture[str]
):
    assert main([str(results / "weighting")]) == 0
    assert main([str(results)]) == 0
    assert "(3 studies)" in capsys.readouterr().out
    page = (results / "index.html").read_text()
    assert '<a href="weighting/report/index.html">weighting</a>' in page
    assert page.count("<a ") == 1
    assert "http" not in page
    assert main([str(results), "--output", str(results / "elsewhere" / "all.html")]) == 0
    assert 'href="../weighting/report/index.html"' in (results / "elsewhere" / "all.html").read_text()


def test_options_of_one_study_are_refused_for_a_folder_of_several(results: Path, capsys: pytest.CaptureFixture[str]):
    for options in (["--score", "area"], ["--watch"]):
        assert main([str(results), *options]) == 2
        assert "holds several studies" in capsys.readouterr().err
    assert not (results / "index.html").exists()


@pytest.mark.parametrize(
    ("seconds", "said"), [(5, "just now"), (60, "1 minute"), (7200, "2 hours"), (86400 * 3 + 5, "3 days")]
)
def test_an_age_is_said_in_its_largest_unit(seconds: float, said: str):
    assert aged(seconds) == said
