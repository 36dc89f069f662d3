"""What own code loads while it runs is said to be outside the check, by file and line; nothing is executed."""

from pathlib import Path

import pytest

from pglab.studies.outside import outside


@pytest.fixture
def said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """What is said of a module with one line in it."""
    monkeypatch.syspath_prepend(tmp_path)

    def say(*lines: str) -> str | None:
        (tmp_path / "own_part.py").write_text("raise SystemExit\n" + "\n".join(lines) + "\n")
        return outside(["own_part.Own"])

    return say


@pytest.mark.parametrize(
    ("line", "call"),
    [
        ("importlib.import_module(name)", "importlib.import_module"),
        ("import_module('x')", "import_module"),
        ("__import__(name)", "__import__"),
        ("exec(text)", "exec"),
        ("eval(text)", "eval"),
        ("util.spec_from_file_location('a', path)", "util.spec_from_file_location"),
        ("runpy.run_path(path)", "runpy.run_path"),
        ("open('table.txt')", "open"),
        ("open('table.txt', 'rb')", "open"),
        ("open('table.txt', 'r+')", "open"),
        ("Path('a').open()", "Path('a').open"),
        ("Path('a').read_text()", "Path('a').read_text"),
        ("np.load('a.npy')", "np.load"),
        ("torch.load('a.pt')", "torch.load"),
        ("pd.read_csv('a.csv')", "pd.read_csv"),
    ],
)
def test_a_call_that_loads_is_named_with_its_file_and_line(said, line: str, call: str):
    told = said("", f"x = {line}")
    assert told is not None
    assert f"own_part.py, line 3: {call}" in told
    assert "outside the check" in told


@pytest.mark.parametrize(
    "line",
    [
        "model.eval()",
        "open('log', 'a')",
        "Path('log').open('w')",
        "open('log', mode='x')",
        "self.load(x)",
        "re.compile('a')",
    ],
)
def test_what_loads_nothing_is_passed_over(said, line: str):
    assert said(line) is None


def test_files_that_are_imported_are_read_too_and_the_first_places_named(said, tmp_path: Path):
    (tmp_path / "helper_part.py").write_text("import json\n\nTABLE = json.load(open('table.json'))\n")
    told = said("import helper_part", *["exec(x)"] * 4)
    assert told is not None
    assert "own_part.py, line 3: exec; own_part.py, line 4: exec; own_part.py, line 5: exec and 3 more" in told
    assert "helper_part.py" in str(outside(["helper_part.x"]))


def test_the_command_says_it_once_when_there_is_something_to_train(
    command_line, tmp_path: Path, tiny, own_weightings: list[str]
):
    own = tmp_path / "own_weightings.py"
    own.write_text("TABLE = open('table.txt').read()\n" + own.read_text())
    (tmp_path / "table.txt").write_text("7")
    asked = [*own_weightings, "-m", "weighting=counts,rtg", "seed=0,1", "study=s", *tiny]
    first, again = command_line(asked, tmp_path), command_line(asked, tmp_path)
    assert (first.returncode, again.returncode) == (0, 0)
    assert first.stdout.count("outside the check of changed code (own_weightings.py, line 1: open)") == 1
    assert "outside the check" not in again.stdout
