"""How a study came about, as its files tell it: states, failures, commands, settings, machines."""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pglab.errors import InputError
from pglab.results.digits import counted
from pglab.results.incomplete import missing
from pglab.results.load import find_arms, in_order
from pglab.results.stored import read_arm

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
    """What `arm.json` of every arm says, together.

    Raises:
        FileNotFoundError: there is no study.
        InputError: there are several, or `folder` is one arm of one.
        DamagedError: a file is not what was written.
    """
    folder = folder.resolve()
    found = find_arms(folder)
    studies = sorted({file.parent.parent for file in found})
    if studies != [folder]:
        raise InputError(f"a report is of one study, and {folder} is none; {studies[0]} is one")
    read = (read_arm(file, "updates.parquet")[0] for file in found)
    arms = sorted(read, key=lambda about: in_order(about.get("place"), about["arm"]))
    runs = {about["arm"]: {int(seed): run for seed, run in about["runs"].items()} for about in arms}
    states = Counter(run["status"] for of_arm in runs.values() for run in of_arm.values())
    settings = {about["arm"]: _settings(about) for about in arms}
    keys = dict.fromkeys(key for of_arm in settings.values() for key in of_arm)
    shared = {key for key in keys if len({of_arm.get(key) for of_arm in settings.values()}) == 1}
    versions = [about["versions"] for about in arms]
    return Origin(
        study=folder.name,
        folder=folder,
        states={state: states[state] for state in STATES},
        lacks=tuple(missing(runs)),
        faults=tuple(
            _fault(arm, seed, run)
            for arm, of_arm in runs.items()
            for seed, run in of_arm.items()
            if run["status"] in ("diverged", "failed")
        ),
        commands=tuple(dict.fromkeys(command for about in arms for command in about.get("commands", []) if command)),
        differing={
            arm: {key: of_arm.get(key, "–") for key in keys if key not in shared} for arm, of_arm in settings.items()
        },
        shared={key: next(iter(settings.values()))[key] for key in keys if key in shared},
        software=_together(versions, lambda name: name not in MACHINE),
        hardware=_together(versions, lambda name: name in MACHINE),
        env_steps=sum(int(run.get("env_steps", 0)) for of_arm in runs.values() for run in of_arm.values()),
    )


def _fault(arm: str, seed: int, run: Mapping[str, Any]) -> Fault:
    traceback = str(run.get("error") or "").strip()
    last = traceback.rpartition("\n")[2].strip()
    return Fault(arm, seed, run["status"], int(run["updates"]), int(run["asked"]), last, traceback)


def _settings(about: Mapping[str, Any]) -> dict[str, str]:
    """Choices of groups, then every setting that makes the arm, as text; a `_target_` says its choice again."""
    choices = {group: choice for group, choice in about["choices"].items() if group in about["identity"]}
    said_again = {f"{group}._target_" for group in choices} | {f"{group}._partial_" for group in choices}
    return choices | {key: value for key, value in _flat(about["identity"]) if key not in said_again}


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
