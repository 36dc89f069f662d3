"""`python -m pglab.confirm`: fresh seeds for the best setting of each arm, and the verdict that they give."""

from pglab.start import run

if __name__ == "__main__":  # before anything that takes long to import
    run("pglab.confirm")

import json
import shlex
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from warnings import catch_warnings

from pglab.cli import interruptible
from pglab.errors import InputError
from pglab.results import IncompleteStudy, load, load_evaluation, scores
from pglab.results.arm_names import arm_labels
from pglab.results.best_settings import Best, best_settings, tuned_by_default
from pglab.results.digits import counted, measured
from pglab.settings import Decides, as_now, decides, difference, identity
from pglab.shell import Parser, ended, from_here
from pglab.store.folder import StudyFolder, one_study
from pglab.store.reader import ABOUT
from pglab.store.records import ArmRecord
from pglab.studies.asked import Composed, arm_name
from pglab.studies.console import Console
from pglab.studies.until import train_as_asked
from pglab.sweep import compose_runs

WHY = (
    "Of several settings the one that scores best has also been lucky, so its scores in the study that chose it are "
    "too high; seeds that had no part in the choice tell what it is worth."
)
SEEDS = 20
DECIDED = "until=decided"  # which finds the number of seeds itself


def main(arguments: Sequence[str] | None = None) -> int:
    """Chooses, trains and judges what the command line asks for; returns the exit status."""
    return ended(lambda: confirmed(sys.argv[1:] if arguments is None else arguments))


def confirmed(arguments: Sequence[str]) -> int:
    """Does what the command line asks for; returns the exit status.

    Raises:
        InputError: bad input; nothing was trained or written.
    """
    asked = _parser().parse_intermixed_args(arguments)
    command = shlex.join(["python", "-m", "pglab.confirm", *arguments])
    with interruptible():
        study = one_study(asked.study, "a confirmation is of")
        chosen = _chosen(study, asked.settings)
        composed = [_composed(study, best, asked.settings, asked.config_dir) for best in chosen]
        if said := _chosen_before(composed):
            Console().say(said)
    return train_as_asked(composed, command).exit_status


def _parser() -> Parser:
    parser = Parser(
        prog="python -m pglab.confirm",
        description="Trains fresh seeds of each arm's best setting, and gives the verdict on these alone. " + WHY,
        epilog="tuned=KEY,…: keys whose best value is taken for each arm, and on each problem; default: those with "
        "values, such as optimizer.lr or gamma, while choices of groups (weighting, baseline, …) are the arms that are "
        f"compared. seeds=N: how many ({SEEDS}), from the first one after all that the study has used; {DECIDED} "
        "until.difference=D: as many as it takes to see or exclude a difference of D. study=NAME: "
        "where they go (STUDY_confirmed beside STUDY); the same command again goes on. How and where to train is asked "
        "as for `python -m pglab`: workers, logger.mode, plan=true, … Example: "
        "python -m pglab.confirm results/optimizer.lr,weighting tuned=optimizer.lr seeds=20",
    )
    parser.add_argument("study", type=Path, metavar="STUDY", help="folder of the study that tried the settings")
    parser.add_argument(
        "settings", nargs="*", default=[], metavar="KEY=VALUE", help="tuned, seeds, study, workers, …: see below"
    )
    parser.add_argument("--config-dir", type=Path, metavar="DIR", help="YAML files of one's own, as for the study")
    return parser


def _chosen(study: StudyFolder, given: Sequence[str]) -> list[Best]:
    """The best setting of each arm, said before anything is trained.

    Raises:
        InputError: nothing was tuned, or a key was not.
    """
    with catch_warnings(action="ignore", category=IncompleteStudy):
        runs = scores(load(study.path), load_evaluation(study.path))
    asked = [text.partition("=")[2] for text in given if text.startswith("tuned=")]
    tuned = [key for text in asked for key in text.split(",")] or tuned_by_default(runs)
    if not tuned:
        raise InputError(f"the arms of {study.path} differ in no key with values; name what was tuned: tuned=KEY")
    try:
        chosen = best_settings(runs, tuned)
    except ValueError as error:
        raise InputError(f"{study.path}: {error}") from error
    labels, console = arm_labels(runs), Console()
    console.say(f"Best by {runs['measure'].iloc[0]}, of the settings that were tried:")
    for best in chosen:
        ends = f"; {', '.join(best.beyond)} at the end of what was tried, a better one may lie beyond"
        over = f"{measured(best.score)} over {counted(best.n, 'seed')}, best of {counted(best.tried, 'setting')}"
        passed = f"; {best.passed_over} passed over, of which runs have no score" if best.passed_over else ""
        console.say(f"  {labels[best.arm]}: {over}{passed}{ends if best.beyond else ''}")
    console.say(WHY)
    return chosen


def _composed(study: StudyFolder, best: Best, given: Sequence[str], config_dir: Path | None) -> Composed:
    """The configuration of an arm as it was trained, with fresh seeds in a study of its own.

    Raises:
        InputError: it cannot be composed as it was, or something else than how to train is asked for.
    """
    records = {arm.path.name: record for arm in study.arms if (record := arm.record())}
    record = records[best.arm[1]]
    fresh = 1 + max(seed for one in records.values() for seed in one.runs)
    how = [text for text in given if not text.startswith("tuned=")]
    for text in how:
        key, equals, _ = text.lstrip("+").partition("=")
        if not equals:
            raise InputError(f"{text} is no KEY=VALUE, such as seeds=20")
        if Decides.COMMAND not in decides(key) and key not in ("seed", "seeds"):
            raise InputError(f"{text} would be another arm; a confirmation takes those of {study.path} as they are")
    updates = max(run.asked for run in record.runs.values())
    kept = [text for text in record.overrides if _of_the_arm(text)]
    seeds = [] if DECIDED in how else [f"seeds={SEEDS}"]
    jobs = compose_runs([*kept, f"updates={updates}", f"seed={fresh}", *seeds, *how], config_dir)
    one = next((job for job in jobs if not _changed(record, job)), jobs[0])
    if differing := _changed(record, one):
        key, before, now = differing
        raise InputError(
            f"{record.arm} of {study.path} cannot be composed as it was: {key} was {before} and is {now} now"
        )
    if one.settings["seed"] < fresh:
        raise InputError(f"seed={one.settings['seed']} is not fresh: {study.path} has used seeds up to {fresh - 1}")
    named = {"study": one.settings["study"] or f"{study.name}_confirmed"}
    if not any(text.startswith("results_dir=") for text in how):
        named["results_dir"] = str(from_here(study.path.parent))
    if named["study"] == study.name:
        raise InputError(f"study={study.name} is the study that chose; a confirmation is a study of its own")
    return replace(one, settings={**one.settings, **named})


def _chosen_before(composed: Sequence[Composed]) -> str:
    """A note on arms of an earlier choice in the same study, whose report has them, too; empty where there are none."""
    folder = Path(composed[0].settings["results_dir"], composed[0].settings["study"])
    earlier = {file.parent.name for file in folder.glob(f"*/{ABOUT}")} - {arm_name(one) for one in composed}
    if not earlier:
        return ""
    there = ", ".join(sorted(earlier))
    return f"note: {folder} also holds what was chosen before ({there}); study=NAME gives this choice its own"


def _of_the_arm(override: str) -> bool:
    """True for what an arm was asked for with that is neither how to train it nor a seed."""
    key = override.lstrip("+~").partition("=")[0]
    return Decides.COMMAND not in decides(key) and key not in ("seed", "seeds", "updates")


def _changed(record: ArmRecord, composed: Composed) -> tuple[str, object, object] | None:
    """The first key in which a configuration is not that of the stored arm, and its two values."""
    return difference(as_now(record.identity), json.loads(json.dumps(identity(composed.settings))))
