"""Notes on choices that do not go well together."""

from collections.abc import Mapping, Sequence

from pglab.settings import NO_BASELINE
from pglab.shown import listed
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


def backends(by_torch: Mapping[str, str]) -> str | None:
    """A line on what compiled code computes under `backend=native`, and what torch does, and why.

    Args:
        by_torch: of each arm that asks for compiled code why torch computes it; empty where that does not.
    """
    if not by_torch:
        return None
    reasons: dict[str, list[str]] = {}
    for arm, why in by_torch.items():
        reasons.setdefault(why, []).append(arm)
    said = []
    for why, arms in sorted(reasons.items()):
        which = "all arms" if len(arms) == len(by_torch) else f"{len(arms)} of {len(by_torch)} arms"
        named = f" ({', '.join(arms[:2])}{', …' if len(arms) > 2 else ''})" if len(reasons) > 1 else ""
        said.append(f"torch plays {which}{named}: {why}" if why else f"compiled code plays {which}{named}")
    return f"backend=native: {'; '.join(said)}"


def _is_none(one: Composed) -> bool:
    return one.settings["baseline"]["_target_"] == NO_BASELINE


def _uses_baseline(one: Composed) -> bool:
    return "baseline" in one.settings["weighting"]


def _listed(group: str, arms: Sequence[Composed]) -> str:
    """The different choices of a group."""
    return listed([f"{group}={one.choices.get(group, '?')}" for one in arms])
