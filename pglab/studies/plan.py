"""From the runs that were asked for to the work that is left: checked, and cut into shards."""

import os
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from itertools import groupby, islice
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pglab.errors import InputError
from pglab.results.arm_names import full_name, names_of, shared_settings
from pglab.settings import difference
from pglab.store.reader import ABOUT
from pglab.store.records import ArmRecord
from pglab.store.writer import ArmWriter
from pglab.studies.asked import ArmConfig, Composed, Run, earlier_names, runs_of, study_name
from pglab.studies.checks import check_one_study, check_values, dials_in
from pglab.studies.provenance import versions
from pglab.studies.standing import Standing, standing_of
from pglab.studies.twins import one_of_each

BY_HAND = 4  # workers for which shards are sized where nobody knows how many will come
ROUNDS = 3  # of shards for each worker of a cluster
MOST_RUNS = 500  # in a shard of a processor: more take more memory and no less time each
Cut = Callable[[int], list[int]]  # the sizes of the shards of so many rows


@dataclass(frozen=True)
class Shard:
    """Runs that one worker trains as one bundle: arms by their number in the plan, and seeds."""

    arms: tuple[tuple[int, list[int]], ...]

    @property
    def runs(self) -> int:
        return sum(len(seeds) for _, seeds in self.arms)

    @property
    def each(self) -> list[tuple[int, int]]:
        """Arm and seed of each run."""
        return [(number, seed) for number, seeds in self.arms for seed in seeds]

    def halves(self) -> "list[Shard]":
        """The same runs in two shards: half of the arms each, or every other seed of a single arm."""
        if len(self.arms) > 1:
            middle = len(self.arms) // 2
            return [Shard(self.arms[:middle]), Shard(self.arms[middle:])]
        number, seeds = next(iter(self.arms))
        return [Shard(((number, seeds[first::2]),)) for first in (0, 1)]


@dataclass(frozen=True)
class PlannedArm:
    """An arm that a command asks for.

    Attributes:
        arm: its configuration.
        seeds: asked for.
        standing: how far they are.
        files: where they are stored.
        twins: others that were asked for, which are the same program and are not trained.
    """

    arm: ArmConfig
    seeds: tuple[int, ...]
    standing: Standing
    files: ArmWriter
    twins: tuple[ArmConfig, ...] = ()

    @property
    def name(self) -> str:
        """The name of its folder."""
        return self.arm.name

    @property
    def full_name(self) -> str:
        """The arm's name in frames of results."""
        return full_name(self.files.described)

    @property
    def settings(self) -> Mapping[str, Any]:
        return self.arm.settings

    @property
    def updates_left(self) -> int:
        """Of all asked runs of the arm together."""
        return sum(self.settings["updates"] - start for start in self.standing.starts.values())


@dataclass(frozen=True)
class Plan:
    """Everything that one command does, decided before any of it is done.

    Attributes:
        folder: of the study.
        asked: the arms that it asks for.
        arms: those of them that are trained, one of each program; a shard names them by their places here.
        shards: what is left, as bundles for the workers.
        workers: how many there will be.
        command: that asked for all this, as one would give it again.
        begun: when.
    """

    folder: Path
    asked: tuple[ArmConfig, ...]
    arms: tuple[PlannedArm, ...]
    shards: tuple[Shard, ...]
    workers: int
    command: str = ""
    begun: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="milliseconds"))

    @property
    def missing(self) -> int:
        """Runs that are left to train."""
        return sum(shard.runs for shard in self.shards)

    @cached_property
    def names(self) -> Sequence[str]:
        """The name of each arm for people."""
        return [*names_of(arm.files.described for arm in self.arms).values()]

    @property
    def alike(self) -> str:
        """The settings that all arms were given, which their names leave out, in words; empty where there are none."""
        shared = shared_settings(arm.full_name for arm in self.arms)
        return f"; all arms: {shared}" if shared else ""

    @property
    def settings(self) -> Mapping[str, Any]:
        """The settings of where and how to train, which all arms share."""
        return self.arms[0].settings

    def only(self, numbers: Container[int]) -> "Plan":
        """The same arms, with work for some of them, as far as it is now."""
        arms = [
            replace(
                one, standing=standing_of(one.files, one.arm, one.seeds) if n in numbers else Standing(one.seeds, {})
            )
            for n, one in enumerate(self.arms)
        ]
        return replace(self, arms=tuple(arms), **_work(arms))


def make_plan(
    composed: Sequence[Composed], command: str = "", programs: Mapping[str, str] = MappingProxyType({})
) -> Plan:
    """The work of one command.

    Args:
        composed: the runs that it asks for.
        command: as one would give it again.
        programs: of each arm, by name, see `pglab.studies.messages.Checked`; without them fewer twins are found.

    Raises:
        InputError: the runs clash with each other or with what is on disk.
    """
    for one in composed:
        check_values(one.settings)
    check_one_study(composed)
    asked = _distinct_arms([run for one in composed for run in runs_of(one)])
    for arm, of_arm in asked:
        if len(set(of_arm)) < len(of_arm):
            twice = next(seed for seed in sorted(of_arm) if of_arm.count(seed) > 1)
            name = names_of(_described(one) for one, _ in asked)[arm.name]
            raise InputError(f"arm {name}: seed {twice} is asked for twice; name each seed once")
    folder = _folder(composed, [arm for arm, _ in asked])
    planned = []
    for one in one_of_each(asked, folder, programs):
        files = writer_of(folder, one.arm)
        planned.append(PlannedArm(one.arm, one.seeds, standing_of(files, one.arm, one.seeds), files, one.twins))
    return Plan(folder, tuple(arm for arm, _ in asked), tuple(planned), command=command, **_work(planned))


def _folder(composed: Sequence[Composed], arms: Sequence[ArmConfig]) -> Path:
    """The study's folder; one named as in earlier versions, where that holds one of the arms."""
    results = Path(composed[0].settings["results_dir"])
    folder = results / study_name(composed)
    for earlier in (results / name for name in earlier_names(composed)):
        if not folder.exists() and any((earlier / arm.name / ABOUT).exists() for arm in arms):
            return earlier
    return folder


def writer_of(study: Path, arm: ArmConfig) -> ArmWriter:
    """The place where an arm of a study is stored."""
    settings = {**arm.settings, **arm.stored.identity} if arm.stored else arm.settings
    return ArmWriter(study, replace(_described(arm), versions=versions()), settings)


def _described(arm: ArmConfig) -> ArmRecord:
    composed = arm.composed
    return arm.stored or ArmRecord(
        arm.name, dict(composed.choices), dict(composed.given), arm.identity, composed.overrides
    )


def _work(arms: Sequence[PlannedArm]) -> dict[str, Any]:
    """The shards that are left of some arms, and how many workers these need."""
    settings = arms[0].settings
    asked = settings["cluster"]["workers"]
    workers = len(os.sched_getaffinity(0)) if asked is None else asked
    rows = sum(len(one.standing.starts) for one in arms)
    cut = _falling(workers or BY_HAND) if dials_in(settings) else _equal(workers, rows)
    shards = _shards(arms, _in_pieces(cut) if settings["device"] == "cpu" else cut, settings["fuse"])
    if dials_in(settings):
        shards.sort(key=lambda shard: -_updates_left(arms, shard))
    return {"shards": tuple(shards), "workers": min(workers, len(shards))}


def _updates_left(arms: Sequence[PlannedArm], shard: Shard) -> int:
    """Updates that all runs of a shard have to make together."""
    of_arms = [(arms[number].settings["updates"], arms[number].standing.starts, seeds) for number, seeds in shard.arms]
    return sum(updates - starts[seed] for updates, starts, seeds in of_arms for seed in seeds)


def _equal(workers: int, together: int) -> Cut:
    """As many shards as workers, of nearly equal size: those of one machine are equally fast.

    Of a bundle that is not all of the rows together fewer, down to half a worker's share of them: few rows are as slow
    as some more, and what is left keeps workers busy while other bundles take longer.
    """
    return lambda rows: _evenly(rows, rows and min(workers, rows, -(-2 * workers * rows // together)))


def _in_pieces(cut: Cut) -> Cut:
    """The same shards, but those of more than `MOST_RUNS` runs in several."""
    return lambda rows: [piece for size in cut(rows) for piece in _evenly(size, -(-size // MOST_RUNS))]


def _evenly(rows: int, parts: int) -> list[int]:
    """So many parts of rows, of nearly equal size."""
    return [(n + 1) * rows // parts - n * rows // parts for n in range(parts)]


def _falling(workers: int) -> Cut:
    """Several shards for each worker, large ones first, so that all workers end together.

    Each round deals out half of what is left in equal shards, one for each worker, and the last round all of it
    (factoring; Hummel, Schonberg and Flynn 1992). Few rows are as slow as some more, so rounds are few.
    """

    def cut(rows: int) -> list[int]:
        sizes: list[int] = []
        for turn in range(ROUNDS, 0, -1):
            left = rows - sum(sizes)
            size = max(1, -(-left // (workers * (2 if turn > 1 else 1))))
            dealt = [min(size, left - n * size) for n in range(workers) if left > n * size]
            sizes += dealt
        return sizes

    return cut


def _distinct_arms(runs: list[Run]) -> list[tuple[ArmConfig, list[int]]]:
    """The arms, and the seeds of each."""
    seeds: dict[str, list[int]] = {}
    arms: dict[str, ArmConfig] = {}
    compared: set[int] = set()
    for run in runs:
        seeds.setdefault(run.arm.name, []).append(run.seed)
        if id(run.arm) in compared:  # the seeds of one job share its arm
            continue
        compared.add(id(run.arm))
        known = arms.setdefault(run.arm.name, run.arm)
        differing = difference(known.settings["updates"], run.arm.settings["updates"], "updates")
        differing = differing or difference(known.identity, run.arm.identity)
        if differing:
            key, first, second = differing
            name = names_of(_described(one.arm) for one in runs)[run.arm.name]
            raise InputError(
                f"{key}={first} and {key}={second} would both be written to arm {name}: "
                "ask for one of them in each command, with a study=NAME of its own"
            )
    return [(arm, seeds[name]) for name, arm in arms.items()]


def _shards(arms: Sequence[PlannedArm], cut: Cut, fuse: bool) -> list[Shard]:
    """Each bundle cut into shards; without `fuse` a shard for every run."""
    bundles: dict[str, list[tuple[int, int]]] = {}
    for number, one in enumerate(arms):
        bundles.setdefault(one.arm.shapes, []).extend((number, seed) for seed in one.standing.starts)
    shards = []
    for rows in bundles.values():
        left = iter(rows)
        for size in cut(len(rows)) if fuse else [1] * len(rows):
            by_arm = groupby(islice(left, size), key=lambda row: row[0])
            shards.append(Shard(tuple((number, [seed for _, seed in group]) for number, group in by_arm)))
    return shards
