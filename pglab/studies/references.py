"""The returns by which scores are normalised in a study on several problems, found in a process of their own."""

from collections.abc import Mapping, Sequence
from multiprocessing.connection import Connection
from typing import Any

from pglab.processes import SINGLE_THREAD, start
from pglab.settings import canonical
from pglab.store.folder import arms_in
from pglab.store.lock import claimed
from pglab.store.records import Reference
from pglab.studies.plan import Plan, PlannedArm


def note_references(plan: Plan) -> None:
    """Stores with the arms of a plan the returns of random and of the best known play on their problem.

    Nothing is done where the whole study is on one problem, or where nobody knows a best return.
    """
    problems = _problems(plan)
    lacking: dict[str, list[PlannedArm]] = {}
    for arm in plan.arms if len(problems) > 1 else ():
        record = arm.files.files.record_if_whole()
        if record and record.reference is None:
            lacking.setdefault(canonical(arm.settings["env"]), []).append(arm)
    if not lacking:
        return
    found = _found([arms[0].settings["env"] for arms in lacking.values()])
    for arms, reference in zip(lacking.values(), found, strict=False):
        for arm in arms:
            with claimed(arm.files.folder) as ours:
                if reference and ours:  # else another command trains it, and notes it in the end
                    arm.files.refer(reference)


def joins_other_problems(plan: Plan) -> bool:
    """True where the study is on problems, too, that this plan is not on."""
    return not _problems(plan) <= {canonical(arm.settings["env"]) for arm in plan.arms}


def _problems(plan: Plan) -> set[str]:
    """The environments of all arms of the study, with their settings."""
    arms = arms_in(plan.folder)
    return {canonical(record.identity["env"]) for arm in arms if (record := arm.record_if_whole())}


def _found(worlds: Sequence[Mapping[str, Any]]) -> list[Reference | None]:
    """The reference of each problem, None where there is none or the world fails; as far as the process comes."""
    process, connection = start(__name__, SINGLE_THREAD)
    found: list[Reference | None] = []
    try:
        for world in worlds:
            connection.send({"env": world})
            found.append(connection.recv())
    except (EOFError, OSError):
        pass
    finally:
        process.kill()
        process.wait()
    return found


def serve(connection: Connection) -> None:
    """Answers the settings of one problem after another with its reference, until the parent is gone."""
    from pglab.build import build_component
    from pglab.training.known_returns import reference_of

    while True:
        settings = connection.recv()
        try:
            known = reference_of(build_component(settings, "env"))
        except Exception:  # of a user's own world, which has been trained in all the same
            known = None
        connection.send(known and Reference(*known))
