"""Scores that mean the same on every problem: 0 is random play, 1 the best known."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from pglab.results.arm_names import full_name
from pglab.results.by_problem import problems
from pglab.results.digits import plain
from pglab.store.folder import studies_in
from pglab.store.records import Reference

NORMALISED = "normalised return"  # the unit
ALIKE = 0.01  # of its range, by which references of one problem may differ
COLUMNS = ["study", "arm", "random", "random_source", "best", "best_source"]


def load_references(path: str | Path) -> pd.DataFrame:
    """The returns of random play and of the best known play, as stored with the arms of studies that span problems.

    Columns: `study arm`, `random` and `best` (undiscounted, of an episode), and in words where each comes from,
    `random_source` and `best_source`. Arms without them are in no row: nobody knows a best return on their problem, or
    no other problem was in the study when they were last asked for, or their record is damaged. `normalized` takes
    those of any arm of a problem.

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
    """The frame of `scores` with (score - random) / (best - random) as score, without problems that have no reference.

    A problem has the reference of any of its arms, and the others go by it, too.

    Args:
        scores: returns.
        references: the frame of `load_references`.

    Raises:
        ValueError: the scores are no returns, such as steps to a threshold; arms on one problem have unlike references,
            or ones whose best return is not above that of random play.
    """
    unlike = set(scores["unit"]) - {"return", NORMALISED}
    if unlike:
        raise ValueError(f"returns are normalised; these scores are {', '.join(sorted(map(str, unlike)))}")
    found = _scales(scores, references)
    for problem, scale in found.items():
        if isinstance(scale, str):
            raise ValueError(f"scores on {problem} cannot be normalised: {scale}")
    of_arm = [found.get(problem) for problem in _problem_of_each(scores)]
    random, best = (np.array([getattr(one, end, np.nan) for one in of_arm], dtype=float) for end in ("random", "best"))
    measure = scores["measure"] + ", normalised (random play 0, best known 1)"
    normal = scores.assign(score=(scores["score"] - random) / (best - random), measure=measure, unit=NORMALISED)
    return normal[~np.isnan(best)]


def known_returns(scores: pd.DataFrame, references: pd.DataFrame) -> bool:
    """True where scores are returns that `normalized` takes, and those of at least two problems have a reference."""
    found = _scales(scores, references).values()
    sound = not any(isinstance(scale, str) for scale in found)
    return set(scores["unit"]) == {"return"} and sound and len(found) > 1


def reference_lines(scores: pd.DataFrame, references: pd.DataFrame) -> list[str]:
    """A sentence for each problem: what is 0 and what is 1 there, and where both come from, or why nobody knows."""
    found, lines = _scales(scores, references), []
    for problem in dict.fromkeys(problems(scores).values()):
        scale = found.get(problem)
        if scale is None:
            lines.append(f"{problem}: not known, so its scores enter no verdict over problems")
        elif isinstance(scale, str):
            lines.append(f"{problem}: not normalised, and no verdict over problems, for {scale}")
        else:
            ends = f"0 is {plain(scale.random)} ({scale.random_source}), 1 is {plain(scale.best)} ({scale.best_source})"
            lines.append(f"{problem}: {ends}")
    return lines


def _scales(scores: pd.DataFrame, references: pd.DataFrame) -> dict[str, Reference | str]:
    """The reference of each problem on which some arm has one, or why scores cannot be normalised by it.

    References of arms on one problem may differ by `ALIKE` of their range, as random play does on unlike machines:
    the first one goes for all.
    """
    known = {(row["study"], row["arm"]): row for row in references.dropna(subset=["random", "best"]).to_dict("records")}
    of_problem: dict[str, dict[str, Reference]] = {}
    for arm, problem in problems(scores).items():
        if row := known.get(arm):
            scale = Reference(*(row[name] for name in ("random", "random_source", "best", "best_source")))
            of_problem.setdefault(problem, {})[arm[1]] = scale
    return {problem: _one_scale(scales) for problem, scales in of_problem.items()}


def _one_scale(scales: Mapping[str, Reference]) -> Reference | str:
    """The reference that all arms of a problem go by, or why there is none."""
    (name, first), *others = scales.items()
    if not first.best > first.random:
        return f"the best known return, {plain(first.best)}, is not above that of random play, {plain(first.random)}"
    for other, scale in others:
        apart = max(abs(scale.random - first.random), abs(scale.best - first.best))
        if apart > ALIKE * (first.best - first.random):
            ends = (f"{arm} from {plain(s.random)} to {plain(s.best)}" for arm, s in ((name, first), (other, scale)))
            return f"its arms have unlike references: {' and '.join(ends)}"
    return first


def _problem_of_each(scores: pd.DataFrame) -> list[str]:
    """The problem of each row."""
    of_arm = problems(scores)
    return [of_arm[str(study), str(arm)] for study, arm in zip(scores["study"], scores["arm"], strict=True)]


def spanned(scores: pd.DataFrame) -> Sequence[str]:
    """The problems of a frame, in order; none where there is only one."""
    names = list(dict.fromkeys(problems(scores).values()))
    return names if len(names) > 1 else []
