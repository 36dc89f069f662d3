"""An arm's `arm.json` as typed records, checked when it is read."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal, get_args

from pglab.errors import DamagedError
from pglab.store.sealed import seal_text, unseal_text

FORMAT = 2
LARGEST_SEED = 2**63 - 1  # what a column of whole numbers holds
READABLE = (1, 2)  # 1 has no checksums, and is not written to
Status = Literal["finished", "diverged", "running", "stopped", "failed"]
ENDED: tuple[Status, ...] = ("finished", "diverged")
Checksums = Mapping[str, tuple[str | None, ...]]


@dataclass(frozen=True)
class RunRecord:
    """The progress of one run.

    Attributes:
        status: finished and diverged runs have come to their end.
        updates: that it has rows of, in the stored file.
        asked: updates that it was asked for.
        env_steps: of all its updates.
        provenance: who computed it, as places in the arm's `provenance`.
        error: the traceback of a failed run.
    """

    status: Status
    updates: int
    asked: int
    env_steps: int = 0
    provenance: tuple[int, ...] = ()
    error: str | None = None

    @property
    def ended(self) -> bool:
        """It has come to its end: nothing is left to train unless more updates are asked for."""
        return self.status in ENDED

    @property
    def last_line(self) -> str:
        """The error itself, without the way to it."""
        return (self.error or "").strip().rpartition("\n")[2].strip()


@dataclass(frozen=True)
class Reference:
    """The returns of an episode that a normalised score takes for 0 and 1, and where each comes from.

    Attributes:
        random: of uniformly random actions.
        best: the best known.
    """

    random: float
    random_source: str
    best: float
    best_source: str


@dataclass(frozen=True)
class TwinRecord:
    """An arm that was asked for and not trained, because another one is the same program.

    Attributes:
        asked: the settings that make its name, as `key=value`.
        choices: the option of each config group in which it differs from that one.
        given: likewise settings under dotted keys; None for one that it lacks.
    """

    asked: tuple[str, ...]
    choices: Mapping[str, str]
    given: Mapping[str, Any]


@dataclass(frozen=True)
class ArmRecord:
    """The record of an arm: all that is known of it besides its rows.

    Attributes:
        arm: its name.
        choices: the option of each config group.
        given: settings before interpolation, flat under dotted keys.
        identity: resolved settings that decide the numbers of an update.
        overrides: that it was asked for with.
        versions: of libraries, and the machine, that wrote this.
        place: when the command that first asked for it began, and its number there; arms are sorted by it.
        commands: that asked for its runs.
        provenance: of each way in which runs were computed, what computed them by name.
        steps_per_second: of the command that trained it last.
        files: of each file with results the checksums that it may have (None: it may be missing); None where
            an earlier version left none.
        runs: by seed.
        reference: of its problem; None where none is known, or no other problem is in the study.
        twins: other arms that were asked for, whose program this is.
        format: of the file that this was read from.
    """

    arm: str
    choices: Mapping[str, str]
    given: Mapping[str, Any]
    identity: Mapping[str, Any]
    overrides: tuple[str, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    place: tuple[str, int] = ("", 0)
    commands: tuple[str, ...] = ()
    provenance: tuple[Mapping[str, str], ...] = ()
    steps_per_second: float = 0.0
    files: Checksums | None = field(default_factory=dict)
    runs: Mapping[int, RunRecord] = field(default_factory=dict)
    reference: Reference | None = None
    twins: tuple[TwinRecord, ...] = ()
    format: int = FORMAT

    @property
    def order(self) -> tuple[str, int, str]:
        """Arms of a study are sorted by when each was first asked for, its number in that command, its name."""
        return (*self.place, self.arm)

    def with_runs(self, runs: Mapping[int, RunRecord]) -> "ArmRecord":
        """The same arm with these runs added, or in the place of earlier ones."""
        return replace(self, runs=dict(sorted({**self.runs, **runs}.items())))

    def sealed(self) -> bytes:
        """The content of `arm.json`."""
        content = {"format": FORMAT} | {one.name: getattr(self, one.name) for one in fields(self)[:-1]}
        content["reference"] = None if self.reference is None else vars(self.reference)
        content["twins"] = [vars(twin) for twin in self.twins] or None
        content["runs"] = {str(seed): _described(run) for seed, run in self.runs.items()}
        return seal_text({name: value for name, value in content.items() if value is not None})


def parse(path: Path, text: bytes | None = None) -> ArmRecord:
    """The record in an `arm.json`.

    Args:
        path: of the file.
        text: its content, where it has been read before.

    Raises:
        DamagedError: it is not what was written, or not of this format.
        FileNotFoundError: there is none.
    """
    remedy = f"put back a copy of it, or move {path.parent} away and give the command again to train the arm anew"
    try:
        content = unseal_text(path, text)
    except DamagedError as error:
        raise DamagedError(f"{error}; {remedy}") from error
    if (written := content.get("format", FORMAT)) not in READABLE:
        raise DamagedError(f"{path} has format {written!r:.50}, and this version reads {READABLE[-1]}")
    try:
        return _parsed(content)
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise DamagedError(f"{path} is damaged ({type(error).__name__}: {error}); {remedy}") from error


def _described(run: RunRecord) -> dict[str, Any]:
    return {name: value for name, value in vars(run).items() if value is not None}


def _parsed(content: Mapping[str, Any]) -> ArmRecord:
    if not isinstance(content["arm"], str):
        raise ValueError("the arm's name is no text")
    begun, number = content.get("place", ("", 0))
    files = content.get("files")
    return ArmRecord(
        arm=content["arm"],
        choices={str(group): str(choice) for group, choice in content["choices"].items()},
        given=_mapping(content["given"]),
        identity=_mapping(content["identity"]),
        overrides=tuple(map(str, content.get("overrides", ()))),
        versions={str(name): str(version) for name, version in content.get("versions", {}).items()},
        place=(str(begun), int(number)),
        commands=tuple(str(command) for command in content.get("commands", ()) if command),
        provenance=tuple(dict(_mapping(made)) for made in content.get("provenance", ())),
        steps_per_second=float(content.get("steps_per_second", 0.0)),
        files=None if files is None else {str(name): tuple(digests) for name, digests in files.items()},
        runs={_seed(seed): _run(run) for seed, run in content["runs"].items()},
        reference=_reference(content.get("reference")),
        twins=tuple(map(_twin, content.get("twins", ()))),
        format=content.get("format", FORMAT),
    )


def _seed(name: str) -> int:
    if not (name.isascii() and name.isdigit()) or int(name) > LARGEST_SEED:
        raise ValueError(f"{name!r:.50} is no seed")
    return int(name)


def _run(run: Mapping[str, Any]) -> RunRecord:
    if run["status"] not in get_args(Status):
        raise ValueError(f"status {run['status']!r} is not one of {', '.join(get_args(Status))}")
    error = run.get("error")
    return RunRecord(
        status=run["status"],
        updates=_count(run["updates"]),
        asked=_count(run["asked"]),
        env_steps=_count(run.get("env_steps", 0)),
        provenance=tuple(map(_count, run.get("provenance", ()))),
        error=None if error is None else str(error),
    )


def _reference(content: Any) -> Reference | None:
    if content is None:
        return None
    random, best = float(content["random"]), float(content["best"])
    if not best > random:
        raise ValueError(f"the best known return {best} is not above that of random play, {random}")
    return Reference(random, str(content["random_source"]), best, str(content["best_source"]))


def _twin(content: Mapping[str, Any]) -> TwinRecord:
    choices = {str(group): str(choice) for group, choice in _mapping(content["choices"]).items()}
    return TwinRecord(tuple(map(str, content["asked"])), choices, _mapping(content["given"]))


def _mapping(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise TypeError(f"{value!r:.50} is no mapping")
    return value


def _count(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise ValueError(f"{value!r:.50} is no count")
    return value
