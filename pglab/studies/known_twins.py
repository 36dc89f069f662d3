"""Arms of a plan that are one program: said, and stored with the one that is trained."""

from pglab.results.one_program import told
from pglab.settings import Decides, decides
from pglab.store.lock import claimed
from pglab.store.records import TwinRecord
from pglab.studies.asked import ArmConfig
from pglab.studies.plan import Plan, PlannedArm


def told_twins(plan: Plan) -> str | None:
    """Names the arms that are one program in one line, where there are any."""
    return told([one.named for one in (arm.arm, *arm.twins)] for arm in plan.arms)


def note_twins(plan: Plan) -> None:
    """Stores with each arm of a plan the twins that were asked for."""
    for arm in plan.arms:
        twins = [_record(arm, twin) for twin in arm.twins]
        known = arm.files.files.record() if twins else None
        if known and {twin.asked for twin in twins} - {twin.asked for twin in known.twins}:
            with claimed(arm.files.folder) as ours:
                if ours:  # else another command trains it; this one says it again when it is given again
                    arm.files.add_twins(twins)


def _record(arm: PlannedArm, twin: ArmConfig) -> TwinRecord:
    """A twin, by what differs from the arm that is trained."""
    own, other = arm.files.described, twin.composed
    given = {
        key: other.given.get(key)
        for key in {**own.given, **other.given}
        if Decides.NUMBERS in decides(key) and own.given.get(key) != other.given.get(key)
    }
    choices = {group: choice for group, choice in other.choices.items() if own.choices.get(group) != choice}
    return TwinRecord(tuple(twin.named), choices, given)
