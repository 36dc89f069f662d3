"""The progress of an arm's runs, and what a command would have to do for the rest."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from pglab.errors import InputError
from pglab.settings import as_now, difference, name_in_full
from pglab.store.checkpoints import read_checkpoint
from pglab.store.records import FORMAT, ArmRecord
from pglab.store.states import Saved
from pglab.store.writer import ArmWriter
from pglab.studies.asked import ArmConfig
from pglab.studies.provenance import changed, provenance

OnMismatch = Literal["refuse", "rerun", "keep"]


@dataclass(frozen=True)
class Standing:
    """The progress of the asked seeds of an arm.

    Attributes:
        done: seeds with nothing left to do.
        starts: of each other seed the update to go on from, 0 for the beginning.
        anew: what is on disk does not match and is to be thrown away.
        notes: that a person should know.
    """

    done: tuple[int, ...]
    starts: dict[int, int]
    anew: bool = False
    notes: tuple[str, ...] = ()


def standing_of(files: ArmWriter, arm: ArmConfig, seeds: Iterable[int]) -> Standing:
    """Compares what was asked for with what is on disk.

    Raises:
        InputError: what is there came of another configuration, code or library version and
            `on_mismatch` does not say what to do; or it goes further than was asked; or it is damaged.
    """
    seeds = list(seeds)
    record = files.files.record()
    if record is None:
        return Standing((), dict.fromkeys(seeds, 0))
    if record.format != FORMAT:
        raise InputError(f"{files.folder} has format {record.format}, and {FORMAT} is written now: move it away")
    choice, notes = arm.settings["on_mismatch"], []
    if not _holds_anything(files, record):  # as after a first failure of one's own component
        choice = "rerun"
    if there := _mismatch(files, arm, record, choice):
        if choice == "rerun":
            return Standing((), dict.fromkeys(seeds, 0), anew=True, notes=(f"trained anew, as {there}",))
        notes.append(f"what is there is kept, although {there}")
    record = files.files.checked(record)
    updates, done, finished = arm.settings["updates"], [], set()
    for seed in seeds:
        run = record.runs.get(seed)
        if run is None or not run.ended:
            continue
        if run.asked > updates:
            raise _further(files, arm, seed, run.asked)
        if run.asked == updates or run.status == "diverged":
            done.append(seed)
        else:
            finished.add(seed)
    left = [seed for seed in seeds if seed not in set(done)]
    if not left:
        return Standing(tuple(done), {}, notes=tuple(notes))
    resumable, trouble = resumable_parts(files, finished)
    starts = dict.fromkeys(left, 0)
    for part in resumable:
        for seed in part.seeds:
            if seed in starts and part.update > updates:
                raise _further(files, arm, seed, part.update)
            if seed in starts:
                starts[seed] = max(starts[seed], part.update)
    notes += [trouble] if trouble else []
    return Standing(tuple(done), starts, notes=tuple(notes))


def resumable_parts(files: ArmWriter, finished: set[int]) -> tuple[list[Saved], str | None]:
    """The states that unfinished runs, and these finished ones, can go on from; and what is wrong with them."""
    unfinished, _, trouble = read_checkpoint(files.folder)
    return [*files.finished(finished)[0], *unfinished], trouble


def _holds_anything(files: ArmWriter, record: ArmRecord) -> bool:
    """Some run of the arm has made an update that is still there."""
    return any(run.updates for run in record.runs.values()) or bool(read_checkpoint(files.folder)[0])


def _mismatch(files: ArmWriter, arm: ArmConfig, record: ArmRecord, choice: OnMismatch) -> str | None:
    """Names what differs between the stored arm and the one asked for, for one who chose to rerun or keep.

    Raises:
        InputError: nobody chose, or to keep another configuration.
    """
    if differing := difference(as_now(record.identity), _plain(arm.identity)):
        key, old, new = differing
        there = f"{key} was {old} there and is {new} here"
        if choice != "rerun":
            keep = " (on_mismatch=keep would mix the two)" if choice == "keep" else ""
            raise InputError(
                f"{_holder(files, arm)} holds runs of another configuration: {there}{keep}; give this command its own "
                "study=NAME, or on_mismatch=rerun to throw those runs away and train anew"
            )
        return there
    differences = changed(record.provenance[-1], provenance(arm.settings)) if record.provenance else []
    if not differences:
        return None
    there = ", ".join(differences)
    if choice == "refuse":
        raise InputError(
            f"{_holder(files, arm)} holds runs that were computed otherwise: {there}. Choose on_mismatch=rerun to "
            "throw them away and train anew, on_mismatch=keep to keep them and train what is missing as things are "
            "now, or another study=NAME"
        )
    return there


def _further(files: ArmWriter, arm: ArmConfig, seed: int, there: int) -> InputError:
    """The refusal of fewer updates than a run has, which would be lost."""
    return InputError(
        f"{_holder(files, arm)} holds seed {seed} with {there} updates, more than updates={arm.settings['updates']}; "
        "ask for as many, or give this command its own study=NAME"
    )


def _holder(files: ArmWriter, arm: ArmConfig) -> str:
    """The folder of an arm, and what it is where its name does not say that: it is cut, or that of a twin."""
    asked = name_in_full(arm.composed.overrides)
    if arm.stored:
        return f"{files.folder}, which is the same program as {asked},"
    return str(files.folder) if arm.name == asked else f"{files.folder} ({asked})"


def _plain(settings: Any) -> Any:
    """As it comes back from JSON."""
    if isinstance(settings, dict):
        return {str(key): _plain(value) for key, value in settings.items()}
    return [_plain(value) for value in settings] if isinstance(settings, list | tuple) else settings
