"""The last words of a command, as they stand on a terminal."""

from io import StringIO

from rich.console import Console

from pglab.results.arm_names import names_in
from pglab.results.closing import closing
from pglab.studies.ending import results_table
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
