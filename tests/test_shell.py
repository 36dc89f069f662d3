"""Every command ends in one way: bad options are one line, and a reader who leaves is no error."""

import os
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import pytest

from tests.conftest import ROOT


@pytest.mark.parametrize(
    ("module", "arguments", "said"),
    [
        ("pglab.report.command", ["s", "--difference", "abc"], "--difference abc is no number"),
        ("pglab.report.command", ["s", "--threshold", "abc"], "--threshold abc is no number"),
        ("pglab.report.command", ["s", "--score", "foo"], "--score foo is not one of"),
        ("pglab.report.command", ["s", "--score", "steps_to"], "--threshold RETURN belong together"),
        ("pglab.report.command", ["s", "--threshold", "5"], "--threshold RETURN belong together"),
        ("pglab.report.command", ["s", "--watch", "0"], "--watch 0 is no whole number of seconds"),
        ("pglab.report.command", ["s", "--output"], "--output needs a value"),
        ("pglab.report.command", ["s", "--foo"], "--foo is nothing that this command knows"),
        ("pglab.report.command", [], "STUDY is missing"),
        ("pglab.study", [], "PATH is missing"),
        ("pglab.study", ["s", "weighting=rtg"], "weighting=rtg is nothing that this command knows"),
        ("pglab.play.command", ["s", "--episodes", "two"], "--episodes two is no whole number"),
        ("pglab.tracking.command", ["s", "--timeout", "soon"], "--timeout soon is no number of seconds"),
        ("analysis.learning_curves", [], "STUDY is missing"),
        ("analysis.learning_curves", ["nowhere"], "holds no study"),
        ("analysis.surrogate", ["nowhere"], "holds no study"),
        ("analysis.paper.command", ["--only", "nonsense"], "there is no such figure"),
        ("analysis.paper.command", ["--on-mismatch", "x"], "--on-mismatch x is not one of"),
    ],
)
def test_a_mistake_in_the_options_is_one_line_and_status_2(
    module: str, arguments: list[str], said: str, tmp_path: Path, capsys, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    assert import_module(module).main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: ")
    assert said in err
    assert err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("module", ["analysis.learning_curves", "analysis.surrogate", "pglab.report.command"])
def test_help_is_help(module: str, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as ended:
        import_module(module).main(["--help"])
    assert ended.value.code == 0
    assert "STUDY" in capsys.readouterr().out


def test_a_figure_is_refused_by_its_ending(study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert import_module("analysis.learning_curves").main([str(study), str(tmp_path / "curves.txt")]) == 2
    assert "not as .txt" in capsys.readouterr().err


def test_a_reader_who_leaves_gets_no_error(tmp_path: Path):
    command = [sys.executable, "-m", "pglab", "--cfg", "job"]
    read_end, write_end = os.pipe()
    os.close(read_end)
    variables = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=tmp_path, env=variables, stdout=write_end, stderr=subprocess.PIPE, text=True)
    os.close(write_end)
    assert (done.returncode, done.stderr) == (141, "")


def test_a_working_directory_that_is_gone_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert import_module("pglab.study").main(["s"]) == 2
    assert capsys.readouterr().err == "error: the working directory is gone; go to a folder that is there\n"


def test_a_plan_takes_the_options_of_the_command_that_it_is_of(
    copied_study: Path, tiny, capsys: pytest.CaptureFixture[str]
):
    line = [str(copied_study), "--plan", "updates=2", "-m", "weighting=rtg,total", *tiny]
    main: Callable[[list[str]], int] = import_module("pglab.study").main
    assert main(line) == 0
    assert "0 runs" in capsys.readouterr().out
