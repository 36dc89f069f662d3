"""The plan of a command, as a table."""

from rich.console import Group
from rich.text import Text

from pglab.studies.arm_table import ArmTable
from pglab.studies.checks import dials_in
from pglab.studies.plan import Plan, PlannedArm


def forecast(plan: Plan) -> Group:
    """Runs, bundles, what is skipped, and about how many steps and how much time it would take.

    Steps are estimated from the arm's own runs where there are some, else from `batch.steps`;
    time from the speed at which the study was last trained, by however many workers. What cannot be known is a `?`.
    """
    total: float | None = 0.0
    rows, speeds = [], []
    for name, planned in zip(plan.names, plan.arms, strict=True):
        steps, record = _steps(planned), planned.files.files.record()
        total = None if steps is None or total is None else total + steps
        speeds += [record.steps_per_second] if record and record.steps_per_second else []
        starts = planned.standing.starts
        going_on = sum(start > 0 for start in starts.values())
        counts = [len(planned.seeds), len(planned.standing.done), going_on, len(starts) - going_on]
        cells = [*map(str, counts), f"{planned.updates_left:,}", _about(steps)]
        rows.append((name + planned.arm.shown_baseline, cells))
    bundles = len({plan.arms[number].arm.shapes for shard in plan.shards for number, _ in shard.arms})
    counted = ((plan.missing, "run"), (bundles, "bundle"), (len(plan.shards), "shard"), (plan.workers, "worker"))
    said = ", ".join(f"{n} {what}{'s' * (n != 1)}" for n, what in counted) + _where(plan)
    seconds = total / max(speeds) if total is not None and speeds else None
    time = "?" if seconds is None else f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
    columns = ("seeds", "finished", "to go on", "new", "updates", "env steps")
    table = ArmTable(columns, rows, f"Plan for {plan.folder}{plan.alike}")
    return Group(table, Text(f"{said} to train; about {_about(total)} steps and {time}"))


def _where(plan: Plan) -> str:
    """The cluster and its options; empty on this machine."""
    if not dials_in(plan.settings):
        return ""
    options = ", ".join(f"{key}={value}" for key, value in plan.settings["cluster"]["options"].items())
    choice = plan.arms[0].arm.composed.choices.get("cluster", "local")
    return f" of cluster={choice}" + (f" ({options})" if options else "")


def _steps(planned: PlannedArm) -> float | None:
    """Environment steps that are left of an arm."""
    left, record = planned.updates_left, planned.files.files.record()
    runs = [] if record is None else [run for run in record.runs.values() if run.updates and run.env_steps]
    if not left:
        return 0.0
    if runs:
        return left * sum(run.env_steps for run in runs) / sum(run.updates for run in runs)
    least = planned.settings["batch"].get("steps")
    return left * least if least else None


def _about(steps: float | None) -> str:
    return "?" if steps is None else f"{steps:,.0f}"
