"""How far the arms of a study are, from their files alone."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pglab.results.load import find_arms
from pglab.results.stored import steadily
from pglab.sealed import DamagedError
from pglab.studies.provenance import changed
from pglab.unfinished import holder, last_checkpoint, reached, tells_update


@dataclass(frozen=True)
class ArmOverview:
    """One arm: each of its seeds is in exactly one of `finished` to `failed`.

    Attributes:
        folder: of the arm.
        size: bytes of all its files.
        asked: updates that its runs were asked for, all different numbers.
        finished: seeds.
        diverged: seeds.
        running: seeds of runs that somebody trains now.
        unfinished: seeds that can go on, or have rows, and that nobody trains now.
        missing: seeds that were begun and of which there is nothing.
        failed: of each seed the last line of its error.
        goes_on: of seeds in the checkpoint the update that they can go on from.
        holder: who trains the arm now.
        made_by: seeds by who computed them, where that is not the same for all, and how that
            differs from the one before.
        trouble: what is damaged.
    """

    folder: Path
    size: int
    asked: tuple[int, ...] = ()
    finished: tuple[int, ...] = ()
    diverged: tuple[int, ...] = ()
    running: tuple[int, ...] = ()
    unfinished: tuple[int, ...] = ()
    missing: tuple[int, ...] = ()
    failed: tuple[tuple[int, str], ...] = ()
    goes_on: tuple[tuple[int, int], ...] = ()
    holder: str | None = None
    made_by: tuple[tuple[tuple[int, ...], tuple[str, ...]], ...] = ()
    trouble: str | None = None

    @property
    def seeds(self) -> tuple[int, ...]:
        """All of them, ascending."""
        failed = tuple(seed for seed, _ in self.failed)
        return tuple(sorted((*self.finished, *self.diverged, *self.running, *self.unfinished, *self.missing, *failed)))


def overview(path: Path) -> dict[Path, list[ArmOverview]]:
    """The arms of each study in a folder, by the study's own folder.

    Raises:
        FileNotFoundError: there is no study.
    """
    studies: dict[Path, list[ArmOverview]] = {}
    for where in sorted(find_arms(path.resolve())):
        studies.setdefault(where.parent.parent, []).append(_arm(where))
    return studies


def _arm(where: Path) -> ArmOverview:
    try:
        return steadily(where, lambda about: _of(where.parent, about))
    except DamagedError as error:
        return ArmOverview(where.parent, _size(where.parent), trouble=str(error))


def _of(folder: Path, about: dict[str, Any]) -> ArmOverview:
    runs = {int(seed): run for seed, run in about["runs"].items()}
    held = holder(folder)
    looked = held or any(run["status"] != "finished" for run in runs.values())
    arrays, trouble = last_checkpoint(folder, tells_update) if looked else ({}, None)
    goes_on = reached(arrays)
    seeds: dict[str, list[int]] = {}
    for seed, run in sorted(runs.items()):
        seeds.setdefault(_state(run, held is not None, goes_on.get(seed)), []).append(seed)
    return ArmOverview(
        folder,
        _size(folder),
        tuple(sorted({run["asked"] for run in runs.values()})),
        *(tuple(seeds.get(state, ())) for state in ("finished", "diverged", "running", "unfinished", "missing")),
        failed=tuple((seed, _last_line(runs[seed].get("error"))) for seed in seeds.get("failed", ())),
        goes_on=tuple(sorted(goes_on.items())),
        holder=held,
        made_by=tuple(_made_by(about.get("provenance", []), runs)),
        trouble=trouble,
    )


def _state(run: dict[str, Any], held: bool, goes_on: int | None) -> str:
    if run["status"] == "finished" and held and (goes_on or 0) > run["updates"]:
        return "running"  # more updates were asked for
    if run["status"] in ("finished", "diverged", "failed"):
        return run["status"]
    if run["status"] == "running" and held:
        return "running"
    return "unfinished" if goes_on is not None or run["updates"] else "missing"


def _made_by(
    provenances: list[dict[str, str]], runs: dict[int, dict[str, Any]]
) -> Iterable[tuple[tuple[int, ...], tuple[str, ...]]]:
    """Of an arm that was computed in several ways, which seeds in which, and the differences to the one before."""
    seeds: dict[tuple[int, ...], list[int]] = {}
    for seed, run in sorted(runs.items()):
        if "provenance" in run:
            seeds.setdefault(tuple(run["provenance"]), []).append(seed)
    if len(seeds) < 2 or not all(0 <= number < len(provenances) for numbers in seeds for number in numbers):
        return
    before = None
    for numbers in sorted(seeds):
        differences = () if before is None else tuple(changed(provenances[before], provenances[numbers[-1]]))
        yield tuple(seeds[numbers]), differences
        before = numbers[-1]


def _last_line(error: str | None) -> str:
    return (error or "").strip().rpartition("\n")[2].strip() or "no error was recorded"


def _size(folder: Path) -> int:
    inside = [Path(where, name) for where, _, names in os.walk(folder) for name in names]
    return sum(path.lstat().st_size for path in inside)
