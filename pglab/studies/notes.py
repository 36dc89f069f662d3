"""Notes on choices that do not go well together."""

from collections.abc import Sequence

from pglab.results.shown import listed
from pglab.settings import NO_BASELINE
from pglab.studies.asked import Composed


def lacks_baseline(arms: Sequence[Composed]) -> str | None:
    """A line on weightings that would use a baseline and have none."""
    lacking = [one for one in arms if _uses_baseline(one) and _is_none(one)]
    if not lacking:
        return None
    weightings, none = _listed("weighting", lacking), _listed("baseline", lacking)
    return f"under {weightings} {none} leaves returns alone to weigh by; baseline=value is a learned one"


def unused_baseline(arms: Sequence[Composed]) -> str | None:
    """A line on baselines that are chosen and not used."""
    unused = [one for one in arms if not _uses_baseline(one) and not _is_none(one)]
    if not unused:
        return None
    weightings, chosen = _listed("weighting", unused), _listed("baseline", unused)
    return f"under {weightings} no baseline is used, and nothing changes with {chosen}"


def _is_none(one: Composed) -> bool:
    return one.settings["baseline"]["_target_"] == NO_BASELINE


def _uses_baseline(one: Composed) -> bool:
    return "baseline" in one.settings["weighting"]


def _listed(group: str, arms: Sequence[Composed]) -> str:
    """The different choices of a group."""
    return listed([f"{group}={one.choices.get(group, '?')}" for one in arms])
