"""`python -m pglab.study`: how far a study is, and what a command would do in it."""

from pglab.start import run

if __name__ == "__main__":  # before anything that takes long to import
    run("pglab.study")

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from pglab.errors import InputError
from pglab.results.arm_names import full_name, names_of, shared_settings
from pglab.results.digits import in_bytes
from pglab.results.incomplete import failures, missing_seeds, named_seeds
from pglab.shell import Parser, ended, from_here
from pglab.shown import first_lines, shown
from pglab.store.folder import one_study
from pglab.store.records import RunRecord
from pglab.studies.arm_table import ArmTable
from pglab.studies.cluster.shown import at_work, logs
from pglab.studies.console import Console
from pglab.studies.overview import ArmOverview, overview

MOST = 20  # lines of a kind beneath a table before the rest is only counted
STATES = ("finished", "diverged", "running", "unfinished", "missing", "failed")


def main(arguments: Sequence[str] | None = None) -> int:
    """Shows what the command line asks for; reads only. Returns the exit status."""
    return ended(lambda: _shown(arguments))


def _shown(arguments: Sequence[str] | None) -> int:
    parser = _parser()
    asked, more = parser.parse_known_args(arguments)
    if more and asked.plan is None:
        parser.error(f"unrecognized arguments: {' '.join(more)}")
    if asked.config_dir is not None and asked.plan is None:
        raise InputError(f"--config-dir {asked.config_dir} belongs to --plan, which is not there")
    studies = overview(asked.path)
    if asked.plan is not None:
        _plan(asked.path, [*asked.plan, *more], asked.config_dir)
        return 0
    console = Console()
    for study, arms in studies:
        names = _names(arms)
        shared = shared_settings(full_name(arm.record) for arm in arms if arm.record)
        console.say(f"Study {from_here(study.path)}" + f"; all arms: {shared}" * bool(shared))
        if arms:
            console.table(_table(arms, names))
        for line in (*_notes(arms, names), *study.strays, *at_work(study.path)):
            console.say(line)
        if asked.logs is not None:
            by_folder = {arm.folder.name: name for arm, name in zip(arms, names, strict=True)}
            for line in logs(from_here(study.path), by_folder, asked.logs):
                console.say(line)
    return 0


def _parser() -> Parser:
    parser = Parser(
        prog="python -m pglab.study",
        description="How far a study is: a line for each arm. Nothing is written.",
        allow_abbrev=False,
    )
    parser.add_argument("path", type=Path, metavar="PATH", help="folder of a study, or one that holds several")
    parser.add_argument(
        "--plan",
        nargs="*",
        metavar="KEY=VALUE",
        help="what `python -m pglab -m KEY=VALUE …` would do in this study; `study` and `results_dir` come from PATH",
    )
    parser.add_argument(
        "--logs",
        nargs="*",
        metavar="WORD",
        help="the log of each worker on another machine, by the runs that it has trained; with words, such as rtg or "
        "seed=3, of those runs alone",
    )
    parser.add_argument("--config-dir", type=Path, metavar="DIR", help="YAML files of one's own, for --plan")
    return parser


def _plan(path: Path, given: Sequence[str], config_dir: Path | None) -> None:
    """Says what a command would do in the one study at `path`.

    Raises:
        InputError: it is not one study, or the command would be refused.
    """
    one_study(path, "--plan is for")
    from pglab.arguments import parse
    from pglab.cli import compose_runs  # these bring Hydra along, which the table does without
    from pglab.studies.until import train_as_asked

    here = {"study": path.resolve().name, "results_dir": str(from_here(path.resolve().parent)), "plan": True}
    composed = compose_runs(parse(given).overrides, config_dir)
    train_as_asked([replace(one, settings={**one.settings, **here}) for one in composed])


def _names(arms: Sequence[ArmOverview]) -> list[str]:
    """The name of each arm; where its record is damaged that of its folder."""
    known = names_of(arm.record for arm in arms if arm.record)
    return [known.get(arm.folder.name, shown(arm.folder.name)) for arm in arms]


def _table(arms: Sequence[ArmOverview], names: Sequence[str]) -> ArmTable:
    """A column for each state that some run is in."""
    states = [state for state in STATES if any(getattr(arm, state) for arm in arms) or state == "finished"]
    under_way = any(arm.running or arm.unfinished for arm in arms)
    columns = ["seeds", "updates", *states, *(["at update"] if under_way else []), "disk"]
    rows = []
    for name, arm in zip(names, arms, strict=True):
        if arm.trouble and not arm.seeds:
            rows.append((name, [*["?"] * (len(columns) - 1), in_bytes(arm.size)]))
            continue
        counts = [str(len(getattr(arm, state)) or "-") for state in states]
        going_on = (*arm.running, *arm.unfinished)
        at = [_span(_updates(arm, going_on)) if going_on else "-"] if under_way else []
        rows.append((name, [str(len(arm.seeds)), _span(arm.asked), *counts, *at, in_bytes(arm.size)]))
    sums = [str(sum(len(getattr(arm, state)) for arm in arms)) for state in states]
    seeds, size = str(sum(len(arm.seeds) for arm in arms)), in_bytes(sum(arm.size for arm in arms))
    together = [seeds, "", *sums, *([""] if under_way else []), size]
    return ArmTable(columns, rows, together=together if len(arms) > 1 else None)


def _notes(arms: Sequence[ArmOverview], names: Sequence[str]) -> Iterable[str]:
    """Lines that a table has no room for."""
    begun = RunRecord("running", 0, 0)  # which seeds there are is all that counts here
    running, extended, failed, made, damaged = kinds = ([], [], [], [], [])
    seeds = {name: arm.seeds for name, arm in zip(names, arms, strict=True) if arm.seeds}
    lacking = missing_seeds({name: dict.fromkeys(of_arm, begun) for name, of_arm in seeds.items()})
    for name, arm in zip(names, arms, strict=True):
        if arm.holder:
            running.append(f"{name}: trained now by {arm.holder}")
        if arm.extended:
            at = _span(_updates(arm, arm.extended))
            extended.append(
                f"{name}: {named_seeds(arm.extended)} stopped at update {at} on the way to more updates; "
                "results are from before until the rest is trained"
            )
        failed += [f"{name}: {said}" for said in failures(arm.failed)]
        if arm.made_by:
            ways = [f"{named_seeds(s)}" + (f" ({', '.join(d)})" if d else "") for s, d in arm.made_by]
            made.append(f"{name}: computed in {len(ways)} ways: {', then '.join(ways)}")
        if arm.trouble:
            damaged.append(f"{name}: {arm.trouble}")
    for lines in (*kinds, lacking):
        yield from first_lines(lines, MOST)


def _updates(arm: ArmOverview, seeds: Iterable[int]) -> list[int]:
    """The updates that some seeds can go on from, ascending."""
    goes_on = dict(arm.goes_on)
    return sorted(goes_on.get(seed, 0) for seed in seeds)


def _span(numbers: Sequence[int]) -> str:
    if not numbers:
        return "-"
    return f"{numbers[0]:,}" if numbers[0] == numbers[-1] else f"{numbers[0]:,} to {numbers[-1]:,}"
