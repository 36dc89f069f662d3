"""What one is used to from other programs: a command by its name, its version, the tab key, a reference, a browser."""

import os
import pty
import select
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

import pytest

from pglab.report.command import main as report
from tests.conftest import ROOT
from tests.report.made_study import write_arm
from tests.waiting import HANG

SCRIPTS = Path(sys.executable).parent


@pytest.fixture
def environment() -> dict[str, str]:
    """Variables with which `pglab` is found, and is that of this folder."""
    return {**os.environ, "PATH": f"{SCRIPTS}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT), "TERM": "dumb"}


def test_the_command_has_a_name_and_a_version(environment: dict[str, str]):
    ended = subprocess.run(["pglab", "--version"], env=environment, capture_output=True, text=True, check=True)
    assert ended.stdout == f"pglab {version('pglab')}\n"


def pressed(keys: str, wanted: str, environment: dict[str, str]) -> str:
    """What an interactive bash shows once keys are typed, until it shows what is wanted."""
    child, terminal = pty.fork()
    if not child:
        os.execvpe("bash", ["bash", "--norc", "--noprofile", "-i"], environment)
    os.write(terminal, keys.encode())
    seen, until = "", time.monotonic() + HANG
    while wanted not in seen and time.monotonic() < until:
        if select.select([terminal], [], [], 1)[0]:
            seen += os.read(terminal, 4096).decode(errors="replace")
    os.close(terminal)
    os.waitpid(child, 0)
    return seen


@pytest.mark.parametrize(
    ("typed", "completed"),
    [
        ("-m weighting=ga", "weighting=gae"),
        pytest.param("env=fr", "env=frozenlake", marks=pytest.mark.slow),
        pytest.param("optimizer.l", "optimizer.lr=", marks=pytest.mark.slow),
    ],
)
def test_the_tab_key_completes_groups_choices_and_keys(
    typed: str, completed: str, environment: dict[str, str], tmp_path: Path
):
    setup = f'cd {tmp_path}; eval "$(pglab -sc install=bash)"\n'
    assert completed in pressed(f"{setup}pglab {typed}\t", completed, environment)


@pytest.mark.slow
def test_the_reference_is_made_of_the_docstrings(tmp_path: Path):
    subprocess.run(
        [sys.executable, "-m", "pdoc", "-o", str(tmp_path), "pglab"], cwd=ROOT, check=True, capture_output=True
    )
    page = (tmp_path / "pglab" / "results.html").read_text()
    assert "read_runs" in page
    assert (tmp_path / "pglab" / "algorithms" / "weightings.html").exists()


def test_a_report_opens_in_the_browser(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" > {tmp_path}/opened\n')
    browser.chmod(0o755)
    program = "from pglab.report.command import main; import sys; sys.exit(main(sys.argv[1:]))"
    write_arm(tmp_path / "study", 0, [1.0, 2.0], weighting="rtg")
    study = tmp_path / "study"
    monkeypatch.setenv("BROWSER", str(browser))
    subprocess.run([sys.executable, "-c", program, str(study), "--open"], cwd=ROOT, check=True, capture_output=True)
    assert (tmp_path / "opened").read_text().strip() == (study / "report" / "index.html").as_uri()
    assert report([str(study)]) == 0
