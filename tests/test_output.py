"""A terminal that is gone, a full disk or few letters cost what they would have shown, and nothing else."""

import io
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from pglab.results import load
from pglab.studies.console import Console
from tests.conftest import ROOT
from tests.waiting import HANG

FULL = Path("/dev/full")


def started(folder: Path, *arguments: str, **streams) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "pglab", *arguments]
    variables = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": ""}  # as for one who types it
    return subprocess.Popen(command, cwd=folder, env=variables, text=True, **streams)


def test_a_terminal_that_is_gone_stops_no_training(tmp_path: Path, tiny):
    ours, theirs = pty.openpty()
    process = started(tmp_path, *tiny, "updates=50", "study=s", stdout=theirs, stderr=theirs)
    os.close(theirs)
    assert b"Training" in os.read(ours, 1000)
    os.close(ours)
    assert process.wait(HANG) == 0
    assert set(load(tmp_path / "results/s")["status"]) == {"finished"}


def test_a_full_disk_for_the_log_stops_no_training_and_is_told(tmp_path: Path, tiny):
    with FULL.open("w") as full:
        process = started(tmp_path, *tiny, "study=s", stdout=full, stderr=subprocess.PIPE)
    assert process.communicate(timeout=HANG)[1] == (
        "note: nothing more is shown, as the output failed (No space left on device); the work goes on\n"
    )
    assert process.returncode == 0
    assert set(load(tmp_path / "results/s")["status"]) == {"finished"}


def test_a_full_disk_for_an_answer_is_one_line(tmp_path: Path):
    with FULL.open("w") as full:
        process = started(tmp_path, "--version", stdout=full, stderr=subprocess.PIPE)
    assert process.communicate(timeout=HANG)[1] == "error: the output failed: No space left on device\n"
    assert process.returncode == 2


def test_a_closed_output_is_no_error(tmp_path: Path, tiny):
    process = started(
        tmp_path, *tiny, "study=s", stderr=subprocess.PIPE, preexec_fn=lambda: os.close(1)
    )  # as by `>&-` of a shell
    assert process.communicate(timeout=HANG)[1] == ""
    assert process.returncode == 0
    assert set(load(tmp_path / "results/s")["status"]) == {"finished"}


def test_letters_that_the_output_has_not_are_shown_by_ones_like_them(monkeypatch: pytest.MonkeyPatch):
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding="ascii"))
    Console().say("mean return now: −1.5 – 2 … ψ")
    assert written.getvalue() == b"mean return now: -1.5 - 2 ... ?\n"
