"""`python -m pglab.tune`: the best settings of each arm by a search, and the verdict of fresh seeds."""

from pglab.start import run

if __name__ == "__main__":  # before anything that takes long to import
    run("pglab.tune")

import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pglab.cli import interruptible
from pglab.confirm import confirmed
from pglab.errors import InputError
from pglab.results import scores
from pglab.results.arm_names import short_names
from pglab.results.digits import counted, measured
from pglab.search import JOURNAL, Proposal, Search, optuna_here, read_range
from pglab.settings import Decides, decides, name_in_full
from pglab.shell import INTERRUPTED, Parser, ended
from pglab.store.tuning import Range, Tuning, read_tuning, store_tuning
from pglab.store.writer import prepare
from pglab.studies.asked import Composed, arm_name
from pglab.studies.console import Console
from pglab.studies.plan import make_plan
from pglab.studies.train import Trained, carry_out
from pglab.studies.until import check_until, until_decided
from pglab.sweep import compose_runs

OWN = {"trials": 20, "round": 5, "confirm": 20}  # keys of this command alone
SEEDS = 5


@dataclass(frozen=True)
class Asked:
    """A command line's wishes.

    Attributes:
        study: its folder.
        arms: that are tuned, by name, as composed without the tuned keys.
        how: overrides of where and how to train.
        trials: of each arm.
        together: trials of each arm that are trained at once.
        confirm: fresh seeds for the best settings.
    """

    study: Path
    tuning: Tuning
    arms: Mapping[str, Composed]
    how: tuple[str, ...]
    trials: int
    together: int
    confirm: int
    config_dir: Path | None

    @property
    def until_decided(self) -> bool:
        """True where the fresh seeds are as many as a decision takes."""
        return any(until_decided(one.settings) for one in self.arms.values())


def main(arguments: Sequence[str] | None = None) -> int:
    """Searches, confirms and judges what the command line asks for; returns the exit status."""
    return ended(lambda: _tuned(sys.argv[1:] if arguments is None else arguments))


def _tuned(arguments: Sequence[str]) -> int:
    command = shlex.join(["python", "-m", "pglab.tune", *arguments])
    with interruptible():
        given = _parser().parse_intermixed_args(arguments)
        asked = asked_for(given.study, given.settings, given.config_dir)
        _check_same(asked)
        if asked.until_decided and asked.confirm:
            check_until([replace(one, overrides=_without_seeds(one.overrides)) for one in asked.arms.values()])
        planned = any(one.settings["plan"] for one in asked.arms.values())
        if not planned:
            optuna_here()
    console = Console()
    console.say(_announced(asked))
    if planned:
        return 0
    try:
        if not _searched(asked, command, console):
            return INTERRUPTED
    except KeyboardInterrupt as interruption:
        raise KeyboardInterrupt(
            f"Interrupted. What was tried is kept in {asked.study}; the same command goes on."
        ) from interruption
    if not asked.confirm:
        return 0
    tuned = ",".join(one.key for one in asked.tuning.ranges)
    where = ["--config-dir", str(asked.config_dir)] if asked.config_dir else []
    seeds = [] if asked.until_decided else [f"seeds={asked.confirm}"]
    return confirmed([str(asked.study), f"tuned={tuned}", *seeds, *asked.how, *where])


def _parser() -> Parser:
    parser = Parser(
        prog="python -m pglab.tune",
        description="Searches the best settings of each arm, by as many trials for each, and judges the arms at their "
        "best by fresh seeds, as pglab.confirm does. Optuna proposes; the same command goes on where it was.",
        epilog="KEY=LOW..HIGH is searched (logarithmically from ten times on), and so is KEY=a|b|c. All else is as for "
        "`python -m pglab -m`: weighting=total,rtg are arms, workers or cluster=submitit say where to train. "
        f"seeds=N: of each trial ({SEEDS}); trials=N: of each arm ({OWN['trials']}); round=N: so many of these at "
        f"once ({OWN['round']}); confirm=N: fresh seeds for the best of each arm ({OWN['confirm']}; 0: none). Example: "
        "python -m pglab.tune results/tuned optimizer.lr=1e-4..1e-1 weighting=total,rtg cluster=submitit",
    )
    parser.add_argument("study", metavar="STUDY", help="folder for the trials; a name alone is one in results/")
    parser.add_argument(
        "settings", nargs="*", default=[], metavar="KEY=VALUE", help="ranges, arms, how to train: see below"
    )
    parser.add_argument("--config-dir", type=Path, metavar="DIR", help="YAML files of one's own")
    return parser


def asked_for(study: str, given: Sequence[str], config_dir: Path | None) -> Asked:
    """Reads the command line.

    Raises:
        InputError: there is nothing to tune, or something cannot be.
    """
    folder = Path(study) if Path(study).name != study or Path(study).exists() else Path("results", study)
    own = {key: _whole(key, given, default) for key, default in OWN.items()}
    rest = [text for text in given if text.partition("=")[0] not in OWN]
    ranges, plain = [], []
    for text in rest:
        found = read_range(text)
        ranges += [found] if found else []
        plain += [] if found else [text]
    _check_ranges(ranges, plain)
    seeds = [] if any(text.startswith("seeds=") for text in plain) else [f"seeds={SEEDS}"]
    composed = [_in(folder, one) for one in compose_runs([*plain, *seeds], config_dir)]
    for one in ranges:  # a key that there is not is said before anything is trained
        compose_runs(
            [*composed[0].overrides, f"{one.key}={one.choices[0] if one.choices else one.low:.12g}"], config_dir
        )
    first = composed[0].settings
    tuning = Tuning(
        tuple(ranges),
        tuple(sorted({arm_name(one) for one in composed})),
        tuple(range(first["seed"], first["seed"] + (first["seeds"] or 1))),
    )
    how = tuple(text for text in plain if Decides.COMMAND in decides(text.lstrip("+").partition("=")[0]))
    return Asked(
        folder, tuning, {arm_name(one): one for one in composed}, how, own["trials"], own["round"], own["confirm"],
        config_dir,
    )  # fmt: skip


def _without_seeds(overrides: Sequence[str]) -> tuple[str, ...]:
    """The overrides without the number of seeds, which is that of a trial."""
    return tuple(text for text in overrides if not text.startswith("seeds="))


def _whole(key: str, given: Sequence[str], default: int) -> int:
    values = [text.partition("=")[2] for text in given if text.partition("=")[0] == key]
    least = 0 if key == "confirm" else 1
    if values and not (values[-1].isdecimal() and int(values[-1]) >= least):
        raise InputError(f"{key}={values[-1]} must be a whole number of at least {least}")
    return int(values[-1]) if values else default


def _check_ranges(ranges: Sequence[Range], plain: Sequence[str]) -> None:
    if not ranges:
        raise InputError("nothing is to be tuned: give a range, such as optimizer.lr=1e-4..1e-1")
    fixed = {text.lstrip("+").partition("=")[0] for text in plain}
    for one in ranges:
        if Decides.NUMBERS not in decides(one.key):
            raise InputError(f"{one}: {one.key} decides no number, so there is nothing to tune")
        if one.key in fixed:
            raise InputError(f"{one}: {one.key} is given a value, too; leave one of them out")
    if len({one.key for one in ranges}) < len(ranges):
        raise InputError("a key has two ranges; give it one")


def _check_same(asked: Asked) -> None:
    """Raises InputError where the folder has runs of another search, or runs that are none of a search."""
    there = read_tuning(asked.study)
    if not any(asked.study.glob("*/arm.json")):
        return
    if there is None:
        raise InputError(f"{asked.study} holds runs that no search has asked for; give the search another STUDY")
    for what, old, new in (
        ("tunes", there.ranges, asked.tuning.ranges),
        ("has the arms", there.arms, asked.tuning.arms),
        ("has the seeds", there.seeds, asked.tuning.seeds),
    ):
        if old != new:
            told, now = (", ".join(map(str, values)) for values in (old, new))
            raise InputError(f"the search in {asked.study} {what} {told}, and not {now}; give this one another STUDY")


def _announced(asked: Asked) -> str:
    arms, runs = len(asked.arms), asked.trials * len(asked.tuning.seeds)
    number = "as many fresh seeds as it takes" if asked.until_decided else counted(asked.confirm, "fresh seed")
    fresh = f"; then {number} of the best of each" if asked.confirm else ""
    return (
        f"Tuning {', '.join(map(str, asked.tuning.ranges))} of {counted(arms, 'arm')} by {asked.trials} trials of "
        f"{counted(len(asked.tuning.seeds), 'seed')} each, {arms * runs:,} runs in all{fresh}"
    )


def _searched(asked: Asked, command: str, console: Console) -> bool:
    """Trains trials until each arm has had all of them; returns false where it was interrupted."""
    searches = {name: Search(asked.study, name, asked.tuning) for name in _prepared(asked).arms}
    while left := [name for name, search in searches.items() if search.ended < asked.trials]:
        proposals = {
            name: list(searches[name].proposals(min(asked.together, asked.trials - searches[name].ended)))
            for name in left
        }
        jobs = {
            (name, one.number): job_of(asked, name, one) for name in left for one in proposals[name]
        }  # two trials may come to the same settings
        distinct = list({arm_name(job): job for job in jobs.values()}.values())
        trained, _ = carry_out(make_plan(distinct, command), distinct, command, console)
        if trained.outcome.interrupted:
            console.say(f"Interrupted. What was tried is kept in {asked.study}; the same command goes on.")
            return False
        found = _scores(trained)
        for name in left:
            for one in proposals[name]:
                searches[name].tell(one, found.get(arm_name(jobs[name, one.number]), float("nan")))
        full = {name: name_in_full(arm.overrides) for name, arm in asked.arms.items()}
        short = short_names(full.values())
        for name, search in searches.items():
            console.say(f"{search.ended} of {asked.trials} trials of {short[full[name]] or 'all'}: {_best(search)}")
    return True


def _prepared(asked: Asked) -> Tuning:
    """Stores the search, in place of another one that never came to train anything."""
    prepare(asked.study)
    if read_tuning(asked.study) != asked.tuning:
        (asked.study / JOURNAL).unlink(missing_ok=True)
    store_tuning(asked.study, asked.tuning)
    return asked.tuning


def job_of(asked: Asked, name: str, proposal: Proposal) -> Composed:
    """A trial of an arm, as it is trained."""
    arm = asked.arms[name]
    settings = [f"{key}={value}" for key, value in proposal.settings.items()]
    (job,) = compose_runs([*arm.overrides, *settings], asked.config_dir)
    return _in(asked.study, replace(job, settings={**job.settings, "seed": arm.settings["seed"]}))


def _in(study: Path, job: Composed) -> Composed:
    """The same in a study's folder, whose name may hold letters that mean something in an override."""
    return replace(job, settings={**job.settings, "study": study.name, "results_dir": str(study.parent)})


def _scores(trained: Trained) -> dict[str, float]:
    """The mean score of each arm that was asked for, by name; NaN where a seed has none."""
    runs = scores(trained.rows, trained.evaluation)
    means = runs.groupby("arm")["score"].agg(lambda column: column.mean(skipna=False))
    found = {}
    for planned in trained.plan.arms:
        complete = (runs["arm"] == planned.full_name).sum() == len(planned.seeds)
        score = float(means[planned.full_name]) if complete else float("nan")
        found |= dict.fromkeys((planned.name, *(twin.name for twin in planned.twins)), score)
    return found


def _best(search: Search) -> str:
    if search.best is None:
        return "none has a score yet"
    settings, score = search.best
    return f"best {measured(score)} at {', '.join(f'{key}={value}' for key, value in settings.items())}"
