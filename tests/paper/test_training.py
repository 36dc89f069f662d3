"""Studies train side by side, and one that fails is told of and leaves the others alone."""

import sys

import pytest

from analysis.paper import training
from analysis.paper.figure import Study

STANDS_IN = """
import signal
import sys
import time
from pathlib import Path
asked = sys.argv[1:]
with open("commands", "a") as commands:
    commands.write(" ".join(asked) + "\\n")
print(" 50 %  7 s left  mean return now")
if "waits=yes" in asked:
    signal.signal(signal.SIGTERM, lambda *_: (Path("stored").touch(), sys.exit(130)))
    Path("waits").touch()
    time.sleep(100)
if "fails=yes" in asked:
    print("error: fails=yes is no key")
    sys.exit(2)
"""


@pytest.fixture
def commands(tmp_path, monkeypatch):
    """What was asked of the command that trains, by a stand-in of it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "stands_in.py").write_text(STANDS_IN)
    monkeypatch.setattr(training, "TRAIN", [sys.executable, "stands_in.py"])
    monkeypatch.setattr(training, "LOOK", 0.01)
    return lambda: (tmp_path / "commands").read_text().splitlines()


def test_a_studys_commands_run_in_turn_and_all_of_them_name_seeds_and_folder(commands):
    said = []
    study = Study("one", [["a=1"], ["a=2"]], seeds=7, quick=2)
    assert training.train([study], False, ["more=1"], said.append) == {}
    ours = "seeds=7 study=one results_dir=results/paper workers=1 logger.mode=disabled more=1"
    assert commands() == [f"a=1 {ours}", f"a=2 {ours}"]
    assert said[0] == "one: begun"
    assert said[-1].startswith("one: complete")


def test_a_study_that_fails_says_why_and_the_others_are_trained(commands):
    wrong = Study("wrong", [["fails=yes"], ["never=begun"]], seeds=2, quick=1, effort=100)
    right = Study("right", [["a=1"]], seeds=2, quick=1)
    failed = training.train([right, wrong], True, [], lambda line: None)
    assert failed == {"wrong": "error: fails=yes is no key (see results/paper/wrong_quick.log)"}
    assert {line.split()[0] for line in commands()} == {"fails=yes", "a=1"}


def test_an_interruption_reaches_what_trains_and_waits_until_it_has_stored(commands, monkeypatch, tmp_path):
    monkeypatch.setattr(training, "TELL", 0.0)

    def interrupted(_):
        if (tmp_path / "waits").exists():
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        training.train([Study("one", [["waits=yes"], ["never=begun"]], 2, 1)], False, [], interrupted)
    assert (tmp_path / "stored").exists()
    assert len(commands()) == 1


def test_what_takes_longest_begins_first(commands, monkeypatch):
    monkeypatch.setattr(training.os, "sched_getaffinity", lambda _: {0})
    studies = [Study(f"s{effort}", [[f"a={effort}"]], 2, 1, effort) for effort in (1, 3, 2)]
    training.train(studies, False, [], lambda line: None)
    assert [line.split()[0] for line in commands()] == ["a=3", "a=2", "a=1"]
