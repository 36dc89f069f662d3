"""The last words of a command, as they stand on a terminal."""

from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

import pglab
from pglab.report.command import main as report
from pglab.results.arm_names import names_in
from pglab.results.closing import closing
from pglab.store.folder import arms_in
from pglab.studies.ending import results_table, verdict_elsewhere
from tests.results.edited import rtg
from tests.results.made import evaluation_of, updates_of


def lines(returns: dict[str, list[float]], width: int = 120) -> list[str]:
    """The table of arms whose seeds had these mean returns in the final evaluation."""
    runs = {(arm, seed): value for arm, values in returns.items() for seed, value in enumerate(values)}
    updates = updates_of({run: ("finished", [value]) for run, value in runs.items()})
    evaluation = evaluation_of({run: [value] for run, value in runs.items()})
    terminal = Console(file=StringIO(), width=width)
    terminal.print(results_table("made", closing(updates, evaluation), names_in(updates)))
    return [line.rstrip() for line in terminal.file.getvalue().splitlines()]


def test_small_scores_have_the_digits_that_their_interval_leaves():
    table = lines({"total": [0.01, 0.02, 0.06], "rtg": [0.71, 0.7, 0.73], "gae": [0.5, 0.5, 0.5]})
    said = [" ".join(line.split()) for line in table[4:7]]
    assert said == [
        "total 3 0.030 −0.036 to 0.096 30 0",
        "rtg 3 0.713 0.675 to 0.751 30 0",
        "gae 3 0.5 0.5 to 0.5 30 0",
    ]


def trained(study: Path, *overrides: str) -> None:
    pglab.run(["seed=0,1,2", "study=small", f"results_dir={study.parent}", *overrides])


@pytest.mark.filterwarnings("ignore::pglab.results.IncompleteStudy")
def test_a_study_that_was_moved_into_another_counts_nowhere_and_is_told_of(copied_study: Path, tiny, capsys):
    old = copied_study / "old"
    old.mkdir()
    rtg(copied_study).rename(old / rtg(copied_study).name)
    trained(copied_study, "weighting=total,rtg", *tiny)
    rows = pglab.results.load(copied_study)
    assert (set(rows["study"]), rows.groupby(["arm", "seed"]).ngroups) == ({"small"}, 6)
    capsys.readouterr()
    assert report([str(copied_study)]) == 0
    assert "the study is incomplete" in capsys.readouterr().out
    page = (copied_study / "report/index.html").read_text()
    assert "old: a study inside of this one does not count; move it elsewhere" in page


def test_a_damaged_arm_takes_nothing_from_what_others_are_told(copied_study: Path, tiny, capsys):
    (rtg(copied_study) / "arm.json").write_text("{")
    trained(copied_study, "weighting=total", *tiny)
    assert "final return" in capsys.readouterr().out
    (whole,) = (record for arm in arms_in(copied_study) if (record := arm.record_if_whole()))
    (said,) = verdict_elsewhere(copied_study.parent, whole.commands[0])
    assert "Study small: 1 arm by this command" in said
