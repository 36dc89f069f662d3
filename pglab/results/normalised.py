"""Scores that mean the same on every problem: 0 is random play, 1 the best known."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from pglab.results.arm_names import full_name
from pglab.results.by_problem import problems
from pglab.results.digits import plain
from pglab.store.folder import studies_in

NORMALISED = "normalised return"  # the unit
COLUMNS = ["study", "arm", "random", "random_source", "best", "best_source"]


def load_references(path: str | Path) -> pd.DataFrame:
    """The returns of random play and of the best known play, as stored with the arms of studies that span problems.

    Columns: `study arm`, `random` and `best` (undiscounted, of an episode), and in words where each comes from,
    `random_source` and `best_source`. Arms without them are in no row: nobody knows a best return on their problem, or
    no other problem was in the study when they were last asked for. Neither are arms whose record is damaged.

    Args:
        path: the folder of a study, or one that holds several studies.

    Raises:
        FileNotFoundError: there is no study at `path`.
    """
    records = [(study.name, arm.record_if_whole()) for study in studies_in(Path(path)) for arm in study.arms]
    known = [(study, record) for study, record in records if record and record.reference]
    rows = [{"study": study, "arm": full_name(record), **vars(record.reference)} for study, record in known]
    return pd.DataFrame(rows, columns=COLUMNS)


def normalized(scores: pd.DataFrame, references: pd.DataFrame) -> pd.DataFrame:
    """The frame of `scores` with (score - random) / (best - random) as score, without arms that have no reference.

    Args:
        scores: returns.
        references: the frame of `load_references`.

    Raises:
        ValueError: the scores are no returns, such as steps to a threshold.
    """
    unlike = set(scores["unit"]) - {"return", NORMALISED}
    if unlike:
        raise ValueError(f"returns are normalised; these scores are {', '.join(sorted(map(str, unlike)))}")
    found = scores[["study", "arm"]].merge(references, "left", ["study", "arm"]).set_index(scores.index)
    score = (scores["score"] - found["random"]) / (found["best"] - found["random"])
    measure = scores["measure"] + ", normalised (random play 0, best known 1)"
    return scores.assign(score=score, measure=measure, unit=NORMALISED)[found["best"].notna()]


def known_returns(scores: pd.DataFrame, references: pd.DataFrame) -> bool:
    """True where scores are returns, and those of at least two problems can be normalised."""
    return set(scores["unit"]) == {"return"} and bool(spanned(normalized(scores, references)))


def reference_lines(scores: pd.DataFrame, references: pd.DataFrame) -> list[str]:
    """A sentence for each problem: what is 0 and what is 1 there, and where both come from, or that nobody knows."""
    known = {(row["study"], row["arm"]): row for row in references.to_dict("records")}
    lines: dict[str, str] = {}
    for arm, problem in problems(scores).items():
        if row := known.get(arm):
            random, best = plain(row["random"]), plain(row["best"])
            lines[problem] = f"{problem}: 0 is {random} ({row['random_source']}), 1 is {best} ({row['best_source']})"
        lines.setdefault(problem, f"{problem}: not known, so its scores enter no verdict over problems")
    return list(lines.values())


def spanned(scores: pd.DataFrame) -> Sequence[str]:
    """The problems of a frame, in order; none where there is only one."""
    names = list(dict.fromkeys(problems(scores).values()))
    return names if len(names) > 1 else []
