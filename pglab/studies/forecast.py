"""What a command would do, as a table."""

from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from pglab.studies.plan import Plan


def forecast(plan: Plan) -> Group:
    """Runs, bundles, what is skipped, and about how many steps and how much time it would take.

    Steps are estimated from the arm's own runs where there are some, else from `batch.steps`;
    time from the speed at which the study was last trained. What cannot be known is a `?`.
    """
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, title=f"Plan for {plan.store.folder}", title_justify="left")
    table.add_column("arm", overflow="fold")
    for column in ("seeds", "finished", "to go on", "new", "updates", "env steps"):
        table.add_column(column, justify="right", no_wrap=True)
    total: float | None = 0.0
    speeds = []
    for number, (arm, progress) in enumerate(zip(plan.arms, plan.progress, strict=True)):
        steps = _steps(plan, number)
        total = None if steps is None or total is None else total + steps
        about = plan.store.arm(arm).about() or {}
        speeds += [about["steps_per_second"]] if about.get("steps_per_second") else []
        going_on = sum(start > 0 for start in progress.starts.values())
        counts = [len(plan.seeds[number]), len(progress.done), going_on, len(progress.starts) - going_on]
        table.add_row(arm.name, *map(str, counts), f"{plan.updates_left(number):,}", _about(steps))
    bundles = len({plan.arms[number].shapes for shard in plan.shards for number, _ in shard.arms})
    counted = ((plan.missing, "run"), (bundles, "bundle"), (len(plan.shards), "shard"), (plan.workers, "worker"))
    said = ", ".join(f"{n} {what}{'s' * (n != 1)}" for n, what in counted)
    seconds = total / max(speeds) if total is not None and speeds else None
    time = "?" if seconds is None else f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
    return Group(table, Text(f"{said} to train; about {_about(total)} steps and {time}"))


def _steps(plan: Plan, number: int) -> float | None:
    """Environment steps that are left of an arm."""
    left = plan.updates_left(number)
    about = plan.store.arm(plan.arms[number]).about()
    runs = [] if about is None else [run for run in about["runs"].values() if run["updates"] and "env_steps" in run]
    if not left:
        return 0.0
    if runs:
        return left * sum(run["env_steps"] for run in runs) / sum(run["updates"] for run in runs)
    least = plan.arms[number].settings["batch"].get("steps")
    return left * least if least else None


def _about(steps: float | None) -> str:
    return "?" if steps is None else f"{steps:,.0f}"
