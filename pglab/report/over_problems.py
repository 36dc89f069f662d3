"""The part of a report that is about several problems together."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from pglab.results.across import across_problems, describe_across, labels_over_problems
from pglab.results.comparisons import compare
from pglab.results.normalised import known_returns, load_references, normalized, reference_lines, spanned
from pglab.results.pairs import Test


@dataclass(frozen=True)
class OverProblems:
    """The answer over several problems.

    Attributes:
        references: on each problem a sentence, what its scores are normalised by.
        comparisons: of `across_problems`; empty where too few best returns are known.
        arms: of `describe_across`; empty likewise.
        differences: of `compare` on normalised scores, for each problem by itself.
    """

    references: list[str]
    comparisons: pd.DataFrame
    arms: pd.DataFrame
    differences: pd.DataFrame


def over_problems(study: Path, runs: pd.DataFrame, control: str | None, test: Test) -> OverProblems | None:
    """The answer over the problems of a study; None where it is on one.

    Args:
        runs: the frame of `scores`.
        control: see `pglab.results.compare`.

    Raises:
        ValueError: as `compare`.
    """
    if not spanned(runs):
        return None
    stored = load_references(study)
    lines = reference_lines(runs, stored)
    if not known_returns(runs, stored):
        return OverProblems(lines, pd.DataFrame(), pd.DataFrame(), pd.DataFrame())
    comparisons = across_problems(runs, stored, control, test)
    known = normalized(runs, stored)
    differences = compare(known, control, test)
    pairs = [
        ((row["study"], row["arm"]), (row["control_study"], row["control"])) for row in differences.to_dict("records")
    ]
    labels = labels_over_problems(known, pairs)
    differences = differences.assign(label=[one.arm for one in labels], control_label=[one.control for one in labels])
    return OverProblems(lines, comparisons, describe_across(runs, stored), differences)
