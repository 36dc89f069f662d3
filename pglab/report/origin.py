"""The origin of a study, as its files tell it: states, failures, commands, settings, machines."""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pglab import settings
from pglab.results.arm_names import full_name, names_of
from pglab.results.digits import counted
from pglab.results.incomplete import missing
from pglab.results.one_program import told_of
from pglab.shown import shown, shown_lines
from pglab.store.folder import one_study
from pglab.store.reader import UPDATES
from pglab.store.records import ArmRecord, RunRecord

STATES = ("finished", "diverged", "running", "stopped", "failed")
MACHINE = ("processor", "cores", "machine", "system")  # of an arm's versions


@dataclass(frozen=True)
class Fault:
    """A run that diverged or failed: its updates until then, the error's last line, and all of the error."""

    arm: str
    seed: int
    status: str
    updates: int
    asked: int
    error: str
    traceback: str


@dataclass(frozen=True)
class Until:
    """The decision for which a command went on adding seeds (`until=decided`).

    Attributes:
        difference: the smallest one that matters.
        first: the seed that it began with.
        arms: that it compared and no later command trained otherwise, by their names in full.
    """

    difference: float
    first: int
    arms: tuple[str, ...]


@dataclass(frozen=True)
class Origin:
    """A study's own account.

    Attributes:
        study: its name.
        folder: where it is.
        states: how many runs are in each state.
        lacks: a line for everything that is missing.
        faults: runs that diverged or failed.
        commands: that asked for its runs, in order.
        differing: of each arm the choices and settings that are not the same in all, as text.
        shared: the settings that are.
        software: versions, by name; several where they are not the same for all arms.
        hardware: likewise.
        env_steps: that all runs took together.
        twins: a line on arms that are one program; empty where none are.
        until: what its seeds were added for; None where they were asked for by number.
    """

    study: str
    folder: Path
    states: Mapping[str, int]
    lacks: tuple[str, ...]
    faults: tuple[Fault, ...]
    commands: tuple[str, ...]
    differing: Mapping[str, Mapping[str, str]]
    shared: Mapping[str, str]
    software: Mapping[str, str]
    hardware: Mapping[str, str]
    env_steps: int
    twins: str
    until: Until | None = None

    @property
    def running(self) -> bool:
        return bool(self.states.get("running"))

    @property
    def complete(self) -> bool:
        return not self.lacks

    @property
    def runs(self) -> str:
        """In words."""
        number = sum(self.states.values())
        said = [f"{count:,} {state}" for state, count in self.states.items() if count]
        return f"{counted(number, 'run')}: {', '.join(said)}"


def origin(folder: Path) -> Origin:
    """The records of all arms, together.

    Raises:
        FileNotFoundError: there is no study.
        DamagedError: there are several, or `folder` is one arm of one; or a file is not what was written.
    """
    study = one_study(folder, "a report is of")
    arms = sorted((arm.seen(UPDATES)[0] for arm in study.arms), key=lambda record: record.order)
    names = names_of(arms)
    runs = {names[record.arm]: record.runs for record in arms}
    states = Counter(run.status for of_arm in runs.values() for run in of_arm.values())
    described = {names[record.arm]: _settings(record) for record in arms}
    keys = dict.fromkeys(key for of_arm in described.values() for key in of_arm)
    shared = {key for key in keys if len({of_arm.get(key) for of_arm in described.values()}) == 1}
    versions = [record.versions for record in arms]
    return Origin(
        study=study.name,
        folder=study.path,
        states={state: states[state] for state in STATES},
        lacks=(*missing(runs), *study.strays),
        faults=tuple(
            _fault(arm, seed, run)
            for arm, of_arm in runs.items()
            for seed, run in of_arm.items()
            if run.status in ("diverged", "failed")
        ),
        commands=tuple(dict.fromkeys(shown(command) for record in arms for command in record.commands)),
        differing={
            arm: {key: of_arm.get(key, "–") for key in keys if key not in shared} for arm, of_arm in described.items()
        },
        shared={key: next(iter(described.values()))[key] for key in keys if key in shared},
        software=_together(versions, lambda name: name not in MACHINE),
        hardware=_together(versions, lambda name: name in MACHINE),
        env_steps=sum(run.env_steps for of_arm in runs.values() for run in of_arm.values()),
        twins=shown(told_of(arms) or ""),
        until=_until(arms),
    )


def _until(arms: Sequence[ArmRecord]) -> Until | None:
    """The decision of the command that was the last one to train its arms; of several the last arm's."""
    decided = [record for record in arms if record.given.get("until._decided_")]
    if not decided:
        return None
    given, command = decided[-1].given, decided[-1].commands[-1:]
    together = tuple(full_name(record) for record in decided if record.commands[-1:] == command)
    return Until(float(given["until.difference"]), int(given["seed"]), together)


def _fault(arm: str, seed: int, run: RunRecord) -> Fault:
    error = shown_lines((run.error or "").strip())
    return Fault(arm, seed, run.status, run.updates, run.asked, shown(run.last_line), error)


def _settings(record: ArmRecord) -> dict[str, str]:
    """Choices of groups, then every setting that makes the arm, as text; a `_target_` says its choice again."""
    choices = {group: choice for group, choice in record.choices.items() if group in record.identity}
    said = [key for key, _ in _flat(record.identity) if settings.says_its_choice(key, [(record.choices, {})])]
    return choices | {key: value for key, value in _flat(record.identity) if key not in said}


def _flat(tree: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, str]]:
    for key, value in tree.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value if isinstance(value, str) else json.dumps(value)


def _together(versions: Iterable[Mapping[str, str]], wanted: Callable[[str], bool]) -> dict[str, str]:
    """Each name's version, or all of them where arms differ."""
    found: dict[str, dict[str, None]] = {}
    for of_arm in versions:
        for name, version in of_arm.items():
            if wanted(name):
                found.setdefault(name, {})[version] = None
    return {name: ", ".join(several) for name, several in found.items()}
