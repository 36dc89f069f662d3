"""The plan of a command, as a table."""

from collections.abc import Mapping

from rich.console import Group
from rich.text import Text

from pglab.results.digits import in_bytes
from pglab.studies.arm_table import ArmTable
from pglab.studies.checks import dials_in
from pglab.studies.messages import Size
from pglab.studies.plan import Plan, PlannedArm

EMPTY = 0.35e9  # bytes of a worker without any run
COPIES = 6  # of a run's parameters and what goes with them, while it takes a step
MEASURES = 100  # bytes that are computed for a step of a batch, besides what was seen and done


def forecast(plan: Plan, sizes: Mapping[str, Size]) -> Group:
    """Runs, bundles, what is skipped, and about how many steps and how much time and memory it would take.

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
    lines = [f"{said} to train; about {_about(total)} steps and {time}"]
    if plan.shards and all(planned.name in sizes for planned in plan.arms):
        lines.append(_memory(plan, sizes))
    return Group(table, *map(Text, lines))


def _memory(plan: Plan, sizes: Mapping[str, Size]) -> str:
    """Says about how much memory the largest worker and a checkpoint take; of unknown batches that of a step."""
    workers, unknown = [], 0
    for shard in plan.shards:
        total = EMPTY
        for number, seeds in shard.arms:
            planned = plan.arms[number]
            size, steps = sizes[planned.name], _steps_of_an_update(planned)
            total += len(seeds) * (COPIES * size.run + (steps or 0) * (size.step + MEASURES))
            if steps is None:
                unknown = max(unknown, shard.runs * (size.step + MEASURES))
        workers.append(total)
    more = f" and {in_bytes(unknown)} for each step of its runs' batches" if unknown else ""
    run = max(size.run for size in sizes.values())
    return (
        f"the largest worker takes about {in_bytes(max(workers))} of memory{more}, a run's checkpoint {in_bytes(run)}"
    )


def _where(plan: Plan) -> str:
    """The cluster and its options; empty on this machine."""
    if not dials_in(plan.settings):
        return ""
    options = ", ".join(f"{key}={value}" for key, value in plan.settings["cluster"]["options"].items())
    choice = plan.arms[0].arm.composed.choices.get("cluster", "local")
    return f" of cluster={choice}" + (f" ({options})" if options else "")


def _steps(planned: PlannedArm) -> float | None:
    """Environment steps that are left of an arm."""
    left, each = planned.updates_left, _steps_of_an_update(planned)
    return 0.0 if not left else None if each is None else left * each


def _steps_of_an_update(planned: PlannedArm) -> float | None:
    """Environment steps of a batch, as far as is known."""
    record = planned.files.files.record()
    runs = [] if record is None else [run for run in record.runs.values() if run.updates and run.env_steps]
    if runs:
        return sum(run.env_steps for run in runs) / sum(run.updates for run in runs)
    batch = planned.settings["batch"]
    return batch["steps"] * batch.get("lanes", 1) if batch.get("steps") else None


def _about(steps: float | None) -> str:
    return "?" if steps is None else f"{steps:,.0f}"
