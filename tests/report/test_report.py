"""A report says the answer first, what is missing, and where everything comes from."""

import base64
import json
import re
import shutil
import threading
import time
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest

from pglab.report.command import main
from pglab.report.content import Question, content
from pglab.results import compare, describe_arms, effect_across, load, load_evaluation, scores
from pglab.store.lock import claimed
from tests.report.made_study import NASTY, add_twin, change_run, write_arm, write_grid
from tests.slow import first
from tests.waiting import HANG


class Text(HTMLParser):
    """What a reader sees: text without style, and the tags that there are."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags, self.parts, self._style = [], [], False
        self.feed(page)
        self.text = re.sub(r"\s+", " ", " ".join(self.parts))

    def handle_starttag(self, tag: str, attrs: list) -> None:
        self.tags.append((tag, dict(attrs)))
        self._style = tag == "style"

    def handle_data(self, data: str) -> None:
        if not self._style:
            self.parts.append(data)


@pytest.fixture(scope="module")
def grid(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_grid(tmp_path_factory.mktemp("report") / "grid")


@pytest.fixture(scope="module")
def page(grid: Path) -> str:
    assert main([str(grid)]) == 0
    return (grid / "report" / "index.html").read_text()


def written(study: Path, capsys: pytest.CaptureFixture[str], *arguments: str) -> Text:
    assert main([str(study), *arguments]) == 0, capsys.readouterr().err
    return Text((study / "report" / "index.html").read_text())


def test_the_answer_comes_first_and_is_that_of_the_comparisons(grid: Path, page: str):
    text = Text(page).text
    runs = scores(load(grid), load_evaluation(grid), "final_evaluation")
    verdicts = compare(runs)["verdict"]
    assert len(verdicts) == 4  # rtg and baseline against total, at each learning rate
    assert all(verdict in text for verdict in verdicts)
    assert max(text.index(verdict) for verdict in verdicts) < text.index("Learning curves")
    assert "compared by mean return of the final evaluation" in text
    assert all(answer in text for answer in effect_across(runs, "weighting")["answer"])


def test_tables_have_a_row_for_every_arm_and_every_comparison_and_come_along_whole(grid: Path, page: str, tmp_path):
    runs = scores(load(grid), load_evaluation(grid))
    sources = [attrs for tag, attrs in Text(page).tags if tag == "a" and "download" in attrs]
    assert [source["download"] for source in sources] == ["comparisons.csv", "arms.csv"]
    for source, expected in zip(sources, (compare(runs), describe_arms(runs)), strict=True):
        (file := tmp_path / "table.csv").write_bytes(base64.b64decode(source["href"].partition(",")[2]))
        pd.testing.assert_series_equal(pd.read_csv(file)["arm"], expected["arm"], check_dtype=False)
        assert list(pd.read_csv(file).columns) == list(expected.columns)


def test_what_diverged_failed_and_is_missing_is_named_with_its_error(page: str):
    text = Text(page).text
    assert "24 runs: 22 finished, 1 diverged, 1 failed" in text
    assert "This study is incomplete" in text
    assert f"ValueError: {NASTY}" in text
    assert "Traceback of weighting=rtg, lr=0.1, seed 2" in text


def test_what_users_wrote_is_text_and_never_markup(page: str):
    tags = Text(page).tags
    assert "script" not in {tag for tag, _ in tags}
    assert "python -m pglab -m weighting=total,rtg 'note=<b>'" in Text(page).text
    links = [attrs[key] for _, attrs in tags for key in ("src", "href") if key in attrs]
    assert links
    assert all(link.startswith("data:") for link in links)
    assert "url(" not in page


def test_figures_are_those_that_a_grid_has_the_data_for(page: str):
    names = [attrs["id"] for tag, attrs in Text(page).tags if tag == "figure"]
    expected = {"learning_curves", "differences", "probability_of_improvement", "seed_scores", "performance_profile"}
    assert {*expected, "sensitivity_optimizer.lr", "effects", "gradient_diagnostics"} <= set(names)
    alts = [attrs["alt"] for tag, attrs in Text(page).tags if tag == "img"]
    assert len(alts) == len(names)
    assert all(alts)


def test_methods_commands_settings_and_versions_are_told(page: str):
    text = Text(page).text
    for said in (
        "95 % Student-t",
        "paired t",
        "Holm",
        "weighting",
        "optimizer.lr",
        "torch 2.13.0",
        "a processor",
        "really covers the true mean",
    ):
        assert said in text


def test_the_same_study_gives_the_same_bytes(grid: Path, page: str):
    assert main([str(grid)]) == 0
    assert (grid / "report" / "index.html").read_text() == page


@pytest.mark.slow
def test_the_score_the_control_and_the_difference_can_be_chosen(
    grid: Path, capsys: pytest.CaptureFixture[str], tmp_path
):
    copy = shutil.copytree(grid, tmp_path / "grid")
    area = written(copy, capsys, "--score", "area", "--control", "weighting=baseline", "--difference", "20").text
    assert "compared by mean return over all environment steps (area under the learning curve)" in area
    assert "too few seeds to judge rtg against baseline" in area
    assert "see a difference of 20 return between" in area
    steps = written(
        copy, capsys, "--score", "steps_to", "--threshold", "150", "--interval", "bca", "--test", "permutation"
    )
    assert "environment steps until the mean return of a batch reaches 150" in steps.text


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--control", "weighting=gae"], "no arm is 'weighting=gae'"),
        (["--control", "weighting=total", "--difference", "0"], "needs a difference"),
    ],
)
def test_a_question_that_does_not_fit_is_one_error_and_nothing_is_written(
    grid: Path, arguments: list[str], said: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
):
    copy = shutil.copytree(grid, tmp_path / "grid", ignore=shutil.ignore_patterns("report"))
    assert main([str(copy), *arguments]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert said in error
    assert not (copy / "report").exists()


@pytest.mark.parametrize("place", first(2, ["page.html", "made/page.html", "folder", "made/folder"]))
def test_the_page_can_be_written_elsewhere_and_the_study_stays_as_it_is(
    grid: Path, page: str, contents, tmp_path: Path, capsys: pytest.CaptureFixture[str], place: str
):
    (tmp_path / "folder").mkdir()
    before = contents(grid)
    assert main([str(grid), "--output", str(tmp_path / place)]) == 0
    file = tmp_path / place if place.endswith(".html") else tmp_path / place / "index.html"
    assert file.read_text() == page
    assert capsys.readouterr().out.startswith(f"{file}   (24 runs")
    assert contents(grid) == before


@pytest.mark.parametrize("obstacle", first(1, ["a file", "a link"]))
def test_a_study_that_cannot_take_the_page_is_one_error_that_names_the_flag(
    grid: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], obstacle: str
):
    copy = shutil.copytree(grid, tmp_path / "grid", ignore=shutil.ignore_patterns("report"))
    if obstacle == "a file":
        (copy / "report").touch()
    else:
        (tmp_path / "elsewhere").mkdir()
        (copy / "report").symlink_to(tmp_path / "elsewhere")
    assert main([str(copy)]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert "--output PATH" in err
    assert not (tmp_path / "elsewhere" / "index.html").exists()
    assert main([str(copy), "--output", str(tmp_path / "page.html")]) == 0


def test_no_study_several_studies_and_damaged_files_are_refused(grid: Path, capsys, copied_study: Path, tmp_path: Path):
    for path in (tmp_path / "nothing", grid / "optimizer.lr=0.1,weighting=rtg"):
        assert main([str(path)]) == 2
        assert capsys.readouterr().err.startswith("error: ")
    (arm := next(copied_study.glob("*/updates.parquet"))).write_bytes(b"PAR1 torn")
    assert main([str(copied_study)]) == 2
    assert f"error: {arm} is damaged" in capsys.readouterr().err


def test_while_a_study_trains_its_report_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    study = tmp_path / "s"
    write_arm(study, 0, [10.0, 12.0], weighting="total")
    arm = write_arm(study, 1, [20.0, 23.0], weighting="rtg")
    change_run(arm, 1, status="running")
    with claimed(arm) as mine:
        assert mine
        text = written(study, capsys).text
    assert "This study still trains" in text
    assert "Answer so far" in text
    assert "1 run without a score" in text


def test_watching_waits_for_the_study_and_writes_the_page_anew_until_it_is_complete(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    study = tmp_path / "s"
    arm = write_arm(tmp_path / "made", 0, [10.0, 12.0], weighting="total")
    about = (arm / "arm.json").read_text()
    change_run(arm, 1, status="stopped")
    page = study / "report" / "index.html"
    statuses: list[int] = []
    watching = threading.Thread(target=lambda: statuses.append(main([str(study), "--watch", "1"])))
    watching.start()
    said = ""
    while watching.is_alive() and f"Waiting for a study in {study}" not in said:
        said += capsys.readouterr().out
        time.sleep(0.05)
    arm = (tmp_path / "made").rename(study) / arm.name
    while watching.is_alive() and not page.exists():
        time.sleep(0.05)
    assert '<meta http-equiv="refresh" content="1">' in page.read_text()
    (arm / "arm.json").write_text(about)
    watching.join(timeout=HANG)
    assert statuses == [0]
    assert "refresh" not in page.read_text()
    assert "incomplete" not in page.read_text()


def test_arms_that_are_one_program_are_told_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    study = tmp_path / "twins"
    arms = [write_arm(study, n, [1.0, 2.0], weighting=w, baseline="none") for n, w in enumerate(("rtg", "total"))]
    assert "one program" not in written(study, capsys).text
    for arm in arms:
        add_twin(arm, baseline="value")
    line = (
        "baseline=none and baseline=value are one program under weighting=rtg and weighting=total: trained once, under"
    )
    assert line in written(study, capsys).text


def test_a_study_without_any_rows_has_a_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    arm = write_arm(study := tmp_path / "s", 0, [1.0], weighting="total")
    about = json.loads((arm / "arm.json").read_text())
    about["runs"] = {"0": {"status": "running", "updates": 0, "asked": 5}}
    (arm / "arm.json").write_text(json.dumps(about))
    for file in ("updates.parquet", "evaluation.parquet"):
        pd.read_parquet(arm / file).iloc[:0].to_parquet(arm / file)
    assert "No run has any rows yet" in written(study, capsys).text


def test_one_arm_one_seed_and_equal_scores_have_a_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    write_arm(tmp_path / "one", 0, [1.0], weighting="total")
    assert "There is one arm, so nothing to compare" in written(tmp_path / "one", capsys).text
    for place, weighting in enumerate(("total", "rtg")):
        write_arm(tmp_path / "equal", place, [7.0] * 3, weighting=weighting)
        write_arm(tmp_path / "single", place, [float(place)], weighting=weighting)
    assert "too few seeds to judge rtg against total" in written(tmp_path / "equal", capsys).text
    assert "too few seeds to judge rtg against total" in written(tmp_path / "single", capsys).text


def test_a_trained_study_has_the_command_that_made_it(copied_study: Path):
    found = content(copied_study, Question())
    assert [verdict.sentence for verdict in found.verdicts]
    (command,) = found.origin.commands
    assert command.startswith("python -m pglab -m weighting=total,rtg seed=0,1,2 study=small")
    assert {"processor", "cores"} <= found.origin.hardware.keys()
    assert [settings["weighting"] for settings in found.origin.differing.values()] == ["total", "rtg"]
