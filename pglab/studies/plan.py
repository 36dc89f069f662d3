"""From the runs that were asked for to the work that is left: checked, and cut into shards."""

import os
import re
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import Any, get_args

from pglab.errors import InputError
from pglab.studies.progress import OnMismatch, Progress, progress_of
from pglab.studies.run import ONE_STUDY, ArmConfig, Composed, Run, canonical, difference, runs_of, study_name
from pglab.studies.store import Store

LARGEST_SEED = 2**63 - 1  # what a column of whole numbers holds


@dataclass(frozen=True)
class Shard:
    """Runs that one worker trains as one bundle: arms by their number in the plan, and seeds."""

    arms: tuple[tuple[int, list[int]], ...]

    @property
    def runs(self) -> int:
        return sum(len(seeds) for _, seeds in self.arms)

    def halves(self) -> "list[Shard]":
        """The same runs in two shards: half of the arms each, or every other seed of a single arm."""
        if len(self.arms) > 1:
            middle = len(self.arms) // 2
            return [Shard(self.arms[:middle]), Shard(self.arms[middle:])]
        number, seeds = next(iter(self.arms))
        return [Shard(((number, seeds[first::2]),)) for first in (0, 1)]


@dataclass(frozen=True)
class Plan:
    """Everything that one command does, decided before any of it is done.

    Attributes:
        store: the study's files.
        arms: what was asked for; `seeds` and `progress` have an entry for each.
        seeds: asked for.
        progress: how far they are.
        shards: what is left, as bundles for the workers.
        workers: how many there will be.
        command: that asked for all this, as one would give it again.
        begun: when.
    """

    store: Store
    arms: tuple[ArmConfig, ...]
    seeds: tuple[tuple[int, ...], ...]
    progress: tuple[Progress, ...]
    shards: tuple[Shard, ...]
    workers: int
    command: str = ""
    begun: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="milliseconds"))

    @property
    def missing(self) -> int:
        return sum(shard.runs for shard in self.shards)

    @property
    def settings(self) -> Mapping[str, Any]:
        """Where and how to train, which all arms share."""
        return self.arms[0].settings

    def updates_left(self, number: int) -> int:
        """Of all asked runs of an arm together."""
        progress, updates = self.progress[number], self.arms[number].settings["updates"]
        return sum(updates - start for start in progress.starts.values())

    def only(self, numbers: Container[int]) -> "Plan":
        """The same arms, with work for some of them, as far as it is now."""
        progress = tuple(
            progress_of(self.store.arm(arm), arm, seeds) if number in numbers else Progress(tuple(seeds), {})
            for number, (arm, seeds) in enumerate(zip(self.arms, self.seeds, strict=True))
        )
        planned = _planned(self.store, self.arms, self.seeds, progress)
        return replace(planned, command=self.command, begun=self.begun)


def make_plan(composed: Sequence[Composed], command: str = "") -> Plan:
    """Raises InputError where the runs clash with each other or with what is on disk."""
    for one in composed:
        _check_values(one.settings)
    _check_one_study(composed)
    runs = [run for one in composed for run in runs_of(one)]
    if not runs:
        raise InputError("the sweep is empty: it names no value for at least one key")
    arms, seeds = _distinct_arms(runs)
    for arm, of_arm in zip(arms, seeds, strict=True):
        if len(set(of_arm)) < len(of_arm):
            twice = next(seed for seed in sorted(of_arm) if of_arm.count(seed) > 1)
            raise InputError(f"arm {arm.name}: seed {twice} is asked for twice; name each seed once")
    first = composed[0]
    store = Store(Path(first.settings["results_dir"]) / study_name(first))
    progress = [progress_of(store.arm(arm), arm, of_arm) for arm, of_arm in zip(arms, seeds, strict=True)]
    planned = _planned(store, tuple(arms), tuple(tuple(of_arm) for of_arm in seeds), tuple(progress))
    return replace(planned, command=command)


def _planned(
    store: Store, arms: tuple[ArmConfig, ...], seeds: tuple[tuple[int, ...], ...], progress: tuple[Progress, ...]
) -> Plan:
    settings = arms[0].settings
    workers = settings["workers"] or len(os.sched_getaffinity(0))
    missing = [list(of_arm.starts) for of_arm in progress]
    shards = _shards(arms, missing, workers if settings["fuse"] else None)
    return Plan(store, arms, seeds, progress, tuple(shards), min(workers, len(shards)))


def check_numbers(settings: Mapping[str, Any]) -> None:
    """Raises InputError where a number that decides what is computed is out of range."""
    for key, smallest in (("updates", 1), ("lanes", 1), ("seed", 0), ("workers", 1), ("seeds", 1)):
        value = settings.get(key, smallest)
        optional = key in ("workers", "seeds") and value is None
        if not optional and not (type(value) is int and value >= smallest):
            raise InputError(f"{key}={value} must be a whole number of at least {smallest}")
    if settings["lanes"] % 32:
        # Blocks fill whole vector registers, so that no run meets the scalar code of a remainder.
        raise InputError(f"lanes={settings['lanes']} must be a multiple of 32")
    if settings["seed"] + (settings["seeds"] or 1) > LARGEST_SEED + 1:
        raise InputError(f"seed={settings['seed']} must be at most 2^63 - 1, the last of seeds included")
    for key, gamma in (("gamma", settings["gamma"]), ("weighting.gamma", settings["weighting"].get("gamma"))):
        if isinstance(gamma, int | float) and not 0.0 <= gamma <= 1.0:
            raise InputError(f"{key}={gamma} is outside [0, 1]")
    for group, optimizer in (("", settings["optimizer"]), ("baseline.", settings["baseline"].get("optimizer", {}))):
        rate = optimizer.get("lr")
        if isinstance(rate, int | float) and rate <= 0:
            raise InputError(f"{group}optimizer.lr={rate} must be above 0")
    if settings["device"] not in ("cpu", "cuda"):
        raise InputError(f"device={settings['device']} is not one of cpu, cuda")
    if not settings["results_dir"].strip():
        raise InputError(f"results_dir={settings['results_dir']} names no folder; results is one")


def _check_values(settings: Mapping[str, Any]) -> None:
    """Raises InputError where a number is out of range or a word is not one of those allowed."""
    check_numbers(settings)
    if settings["evaluation"]["episodes"] < 0:
        raise InputError(f"evaluation.episodes={settings['evaluation']['episodes']} must be at least 0")
    if settings["render_every"] < 0:
        raise InputError(f"render_every={settings['render_every']} must be at least 0 updates (0: no films)")
    if settings["on_mismatch"] not in get_args(OnMismatch):
        raise InputError(f"on_mismatch={settings['on_mismatch']} is not one of {', '.join(get_args(OnMismatch))}")
    if settings["logger"]["mode"] not in ("online", "offline", "disabled"):
        raise InputError(f"logger.mode={settings['logger']['mode']} is not one of online, offline, disabled")
    study = settings["study"]
    if study is not None and not (isinstance(study, str) and re.fullmatch(r"[^/\0]+", study) and study.strip(". ")):
        raise InputError(f"study={study} must be the name of a folder, without a path; see results_dir=PATH for that")
    if settings["logger"]["timeout"] < 0:
        raise InputError(f"logger.timeout={settings['logger']['timeout']} must be at least 0 seconds")


def _check_one_study(composed: Sequence[Composed]) -> None:
    """Raises InputError where runs of one command differ in where or how they are to be trained."""
    for key in ONE_STUDY:
        for one in composed:
            differing = difference(composed[0].settings[key], one.settings[key], key)
            if differing:
                key, first, other = differing
                raise InputError(f"{key}={first} and {key}={other}: one command fills one study, in one way")


def _distinct_arms(runs: list[Run]) -> tuple[list[ArmConfig], list[list[int]]]:
    """The arms, and the seeds of each."""
    seeds: dict[str, list[int]] = {}
    arms: dict[str, ArmConfig] = {}
    same: dict[str, str] = {}
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
            raise InputError(
                f"{key}={first} and {key}={second} would both be written to arm {run.arm.name}: "
                "ask for one of them in each command, with a study=NAME of its own"
            )
        other = same.setdefault(canonical(run.arm.identity), run.arm.name)
        if other != run.arm.name:
            raise InputError(f"arms {other} and {run.arm.name} are the same configuration; ask for one of them")
    return list(arms.values()), list(seeds.values())


def _shards(arms: Sequence[ArmConfig], missing: list[list[int]], parts: int | None) -> list[Shard]:
    """Each bundle cut into `parts` shards of nearly equal size; None: a shard for every run."""
    bundles: dict[str, list[tuple[int, int]]] = {}
    for number, (arm, seeds) in enumerate(zip(arms, missing, strict=True)):
        bundles.setdefault(arm.shapes, []).extend((number, seed) for seed in seeds)
    shards = []
    for rows in bundles.values():
        cuts = min(parts or len(rows), len(rows))
        for cut in range(cuts):
            part = rows[cut * len(rows) // cuts : (cut + 1) * len(rows) // cuts]
            by_arm = groupby(part, key=lambda row: row[0])
            shards.append(Shard(tuple((number, [seed for _, seed in group]) for number, group in by_arm)))
    return shards
