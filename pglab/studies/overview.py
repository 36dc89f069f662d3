"""The progress of a study's arms, from their files alone."""

import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

from pglab.errors import DamagedError
from pglab.store.checkpoints import last_checkpoint
from pglab.store.encoding import reached, tells_update
from pglab.store.folder import StudyFolder, studies_in
from pglab.store.lock import holder
from pglab.store.reader import ArmFolder
from pglab.store.records import ArmRecord, RunRecord
from pglab.studies.provenance import changed


@dataclass(frozen=True)
class ArmOverview:
    """One arm: each of its seeds is in exactly one of `finished` to `failed`.

    Attributes:
        folder: of the arm.
        size: bytes of all its files.
        record: of the arm; None where it is damaged.
        asked: updates that its runs were asked for, all different numbers.
        finished: seeds.
        diverged: seeds.
        running: seeds of runs that somebody trains now.
        unfinished: seeds that can go on, or have rows, and that nobody trains now.
        missing: seeds that were begun and of which there is nothing.
        failed: of each seed the last line of its error.
        goes_on: of seeds in the checkpoint the update that they can go on from.
        extended: finished seeds that have begun more updates, and whom nobody trains now.
        holder: who trains the arm now.
        made_by: seeds by who computed them, where that is not the same for all, and how that
            differs from the one before.
        trouble: what is damaged.
    """

    folder: Path
    size: int
    record: ArmRecord | None = None
    asked: tuple[int, ...] = ()
    finished: tuple[int, ...] = ()
    diverged: tuple[int, ...] = ()
    running: tuple[int, ...] = ()
    unfinished: tuple[int, ...] = ()
    missing: tuple[int, ...] = ()
    failed: tuple[tuple[int, str], ...] = ()
    goes_on: tuple[tuple[int, int], ...] = ()
    extended: tuple[int, ...] = ()
    holder: str | None = None
    made_by: tuple[tuple[tuple[int, ...], tuple[str, ...]], ...] = ()
    trouble: str | None = None

    @property
    def seeds(self) -> tuple[int, ...]:
        """All of them, ascending."""
        failed = tuple(seed for seed, _ in self.failed)
        return tuple(sorted((*self.finished, *self.diverged, *self.running, *self.unfinished, *self.missing, *failed)))


def overview(path: Path) -> list[tuple[StudyFolder, list[ArmOverview]]]:
    """Every study in a folder, with its arms as they were first asked for.

    Raises:
        FileNotFoundError: there is no study.
    """
    return [(study, sorted(map(_arm, study.arms), key=_order)) for study in studies_in(path)]


def _order(arm: ArmOverview) -> tuple[str, int, str]:
    """The place of an arm: as arms were asked for, damaged ones first."""
    return arm.record.order if arm.record else ("", 0, arm.folder.name)


def _arm(arm: ArmFolder) -> ArmOverview:
    try:
        seen = arm.steadily(lambda record: _of(arm.path, record))
    except DamagedError as error:
        return ArmOverview(arm.path, _size(arm.path), trouble=str(error))
    try:
        arm.steadily(arm.check_results)
    except DamagedError as error:
        return replace(seen, trouble=str(error))
    return seen


def _of(folder: Path, record: ArmRecord) -> ArmOverview:
    runs, held = record.runs, holder(folder)
    needed = held or any(run.status != "finished" for run in runs.values())
    arrays, trouble = last_checkpoint(folder, tells_update)
    goes_on = reached(arrays)
    seeds: dict[str, list[int]] = {}
    for seed, run in sorted(runs.items()):
        seeds.setdefault(_state(run, held is not None, goes_on.get(seed)), []).append(seed)
    return ArmOverview(
        folder,
        _size(folder),
        record,
        tuple(sorted({run.asked for run in runs.values()})),
        *(tuple(seeds.get(state, ())) for state in ("finished", "diverged", "running", "unfinished", "missing")),
        failed=tuple((seed, runs[seed].last_line or "no error was recorded") for seed in seeds.get("failed", ())),
        goes_on=tuple(sorted(goes_on.items())),
        extended=tuple(seed for seed in seeds.get("finished", ()) if goes_on.get(seed, 0) > runs[seed].updates),
        holder=held,
        made_by=tuple(_made_by(record)),
        trouble=trouble if needed else None,
    )


def _state(run: RunRecord, held: bool, goes_on: int | None) -> str:
    if run.status == "finished" and held and (goes_on or 0) > run.updates:
        return "running"  # more updates were asked for
    if run.status in ("finished", "diverged", "failed"):
        return run.status
    if run.status == "running" and held:
        return "running"
    return "unfinished" if goes_on is not None or run.updates else "missing"


def _made_by(record: ArmRecord) -> Iterable[tuple[tuple[int, ...], tuple[str, ...]]]:
    """Of an arm that was computed in several ways, which seeds in which, and the differences to the one before."""
    seeds: dict[tuple[int, ...], list[int]] = {}
    for seed, run in sorted(record.runs.items()):
        if run.provenance:
            seeds.setdefault(run.provenance, []).append(seed)
    made = record.provenance
    if len(seeds) < 2 or not all(number < len(made) for numbers in seeds for number in numbers):
        return
    ways = sorted(seeds)
    differences = [tuple(changed(made[old[-1]], made[new[-1]])) for old, new in pairwise(ways)]
    if any(differences):  # an earlier version recorded less, which alone is none
        yield from zip((tuple(seeds[way]) for way in ways), [(), *differences], strict=True)


def _size(folder: Path) -> int:
    inside = [Path(where, name) for where, _, names in os.walk(folder) for name in names]
    return sum(path.lstat().st_size for path in inside)
