"""Warnings of what a study lacks, given before anybody plots it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from types import MappingProxyType

from pglab.store.records import ENDED, RunRecord

MOST = 3  # arms named, and stretches of seeds, before the rest is only counted

Arms = Mapping[str, Mapping[int, RunRecord]]  # by arm and seed
Named = tuple[str, int, RunRecord]  # arm, seed, run


class IncompleteStudy(UserWarning):
    """A study lacks runs or rows; what it has was loaded, every row of it."""


def incomplete(studies: Mapping[str, Arms], strays: Mapping[str, Sequence[str]] = MappingProxyType({})) -> str | None:
    """One message about everything that is missing in some studies; None where nothing is.

    Args:
        studies: by name the arms of each.
        strays: by name a sentence for each folder of the study that looks like an arm and does not count.
    """
    said = {study: [*missing(arms), *strays.get(study, ())] for study, arms in studies.items()}
    lines = [f"study {study} is incomplete:\n  " + "\n  ".join(lacks) for study, lacks in said.items() if lacks]
    if not lines:
        return None
    kept = "Every row that there is was loaded. A command that asks for what is missing trains only that."
    return "\n".join([*lines, kept])


def missing(arms: Arms) -> list[str]:
    """A line for each way in which a study's arms are not on a par, or their runs not at an end.

    - Seeds that some arms have and others lack.
    - Runs of any status but finished and diverged, with how far they came and how many have no rows.
    - Finished runs with fewer updates than they, or any run of the study, were asked for.
    - Diverged runs with fewer, counted apart: means over seeds go on without them.

    Args:
        arms: by name the runs of each, by seed.
    """
    runs = [(arm, seed, run) for arm, of_arm in arms.items() for seed, run in of_arm.items()]
    longest = max((run.asked for _, _, run in runs), default=0)
    lines = missing_seeds(arms)
    for status in sorted({run.status for _, _, run in runs}):
        these = [one for one in runs if one[2].status == status]
        if status in ENDED:
            these = [one for one in these if one[2].updates < longest]
        if these:
            lines.append(f"{status}: {_how_many(these, longest)}: {_where(these)}")
    return lines


def missing_seeds(arms: Arms) -> list[str]:
    """A line for each set of seeds that some arms have and others lack."""
    every = {seed for of_arm in arms.values() for seed in of_arm}
    lacking: dict[tuple[int, ...], list[str]] = {}
    for arm, of_arm in arms.items():
        if lacks := tuple(sorted(every.difference(of_arm))):
            lacking.setdefault(lacks, []).append(arm)
    return [f"no {named_seeds(seeds)}, which other arms have: {_some(names)}" for seeds, names in lacking.items()]


def failures(failed: Iterable[tuple[int, str]]) -> Iterator[str]:
    """A text for each error by which runs of an arm failed: which seeds, and the error's last line.

    Args:
        failed: seeds, ascending, each with that line.
    """
    by_error: dict[str, list[int]] = {}
    for seed, error in failed:
        by_error.setdefault(error, []).append(seed)
    for error, seeds in by_error.items():
        yield f"{named_seeds(seeds)} failed: {error}"


def _how_many(runs: Sequence[Named], longest: int) -> str:
    updates = sorted(run.updates for _, _, run in runs)
    without = f" ({updates.count(0)} without any rows)" if 0 in updates else ""
    few = f"{updates[0]} to {updates[-1]}" if updates[0] < updates[-1] else f"{updates[0]}"
    return f"{len(runs)} run{'s' * (len(runs) > 1)}{without} with {few} of {longest} updates"


def _where(runs: Sequence[Named]) -> str:
    by_arm = groupby(runs, key=lambda one: one[0])
    return _some([f"{arm} ({named_seeds(sorted(seed for _, seed, _ in of_arm))})" for arm, of_arm in by_arm])


def _some(arms: list[str]) -> str:
    more = len(arms) - MOST
    return "; ".join(arms[:MOST]) + (f" and {more} more arm{'s' * (more > 1)}" if more > 0 else "")


def named_seeds(seeds: Sequence[int]) -> str:
    """In words, of ascending seeds: `seed 3`, `seeds 0, 4-19`, `seeds 1, 3, 5, … (50 in all)`."""
    stretches = [[seed for _, seed in group] for _, group in groupby(enumerate(seeds), key=lambda one: one[1] - one[0])]
    named = [f"{s[0]}" if len(s) == 1 else f"{s[0]}-{s[-1]}" for s in stretches]
    rest = f", … ({len(seeds)} in all)" if len(named) > MOST else ""
    return f"seed{'s' * (len(seeds) > 1)} {', '.join(named[:MOST])}{rest}"
