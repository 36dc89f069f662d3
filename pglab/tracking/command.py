"""The command line of `python -m pglab.mirror`."""

import argparse
import math
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from pglab.errors import DamagedError, InputError
from pglab.shell import BAD_INPUT, INTERRUPTED, Parser, ended
from pglab.store.folder import StudyFolder, studies_in
from pglab.tracking.client import MirrorError, Place
from pglab.tracking.ledger import Known, Ledger
from pglab.tracking.summary_run import SummarizedStudy, summarized
from pglab.tracking.tracked_runs import TrackedRun, runs_of
from pglab.tracking.uploader import Uploader

FAILED = 1  # exit status
AT_ONCE = 4  # most runs that are uploaded side by side
WORTH = 4  # runs that are worth the start of one more process
TIMEOUT = 60.0

Upload = tuple[TrackedRun | SummarizedStudy, Place, Known | None]  # what, where to, and what is there already


def main(arguments: Sequence[str] | None = None) -> int:
    """Uploads what W&B does not have yet of a study's runs, and its summary; returns the exit status."""
    return ended(lambda: _mirrored(arguments))


def _mirrored(arguments: Sequence[str] | None) -> int:
    console = Console(highlight=False, soft_wrap=True)
    uploaders: list[Uploader] = []
    uploaded: list[str] = []
    problem, status = "", 0
    try:
        asked = _parser().parse_args(arguments)
        studies = _studies(asked.study)
        runs, damages = _checked(studies)
        uploaders.append(Uploader(asked.timeout))
        places = _places(runs, asked.project, asked.entity, uploaders[0])
        missing = _missing((run, place) for run, place in places.items())
        with _progress(console, len(missing)) as show:

            def done(run: TrackedRun) -> None:
                uploaded.append(run.id)
                show(run)

            uploaders += [Uploader(asked.timeout) for _ in range(min(AT_ONCE - 1, len(missing) // WORTH))]
            _upload(missing, uploaders, done)
        where = ", ".join(sorted({str(place) for place in places.values()}))
        _say(console, f"runs to {where}", len(missing), len(runs))
        summaries = [
            (study, place)
            for study in summarized(asked.study, studies)
            if study.study_folder not in damages  # a report needs every arm
            for place in dict.fromkeys(place for run, place in places.items() if run.study_folder == study.study_folder)
        ]
        outdated = _missing(summaries)
        with console.status("drawing and uploading the summary") if console.is_terminal else nullcontext():
            _upload(outdated, uploaders[:1], lambda _: None)
        if summaries:
            _say(console, "summaries", len(outdated), len(summaries))
        if damages:
            problem, status = "; ".join(f for found in damages.values() for f in found), BAD_INPUT
    except InputError as error:
        problem, status = str(error), BAD_INPUT
    except (MirrorError, OSError) as error:
        problem, status = f"W&B has an incomplete mirror: {error}", FAILED
        if uploaded:
            problem += f"; {len(uploaded)} runs were uploaded, and the same command uploads the rest"
    except KeyboardInterrupt:
        problem, status = f"interrupted; {len(uploaded)} runs were uploaded", INTERRUPTED
    finally:
        for uploader in uploaders:
            uploader.stop()
    if problem:
        print(f"error: {problem}", file=sys.stderr)
    return status


def _parser() -> Parser:
    parser = Parser("python -m pglab.mirror", description="Uploads studies to W&B from local files.")
    parser.add_argument("study", metavar="STUDY", type=Path, help="the folder of a study, or one that holds several")
    parser.add_argument("--project", help="default: the study's logger.project")
    parser.add_argument("--entity", help="default: the study's logger.entity, or the account's own")
    parser.add_argument(
        "--timeout", type=_seconds, default=TIMEOUT, help="seconds to wait for the server to take a run (60)"
    )
    return parser


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise argparse.ArgumentTypeError(f"{text} is no number of seconds above 0")
    return seconds


def _studies(path: Path) -> list[StudyFolder]:
    try:
        return studies_in(path)
    except FileNotFoundError as missing:
        raise InputError(str(missing)) from missing


def _checked(studies: Sequence[StudyFolder]) -> tuple[list[TrackedRun], dict[Path, list[str]]]:
    """Every run of arms whose files are what was written, and by study what is wrong with the other arms.

    Raises:
        InputError: there is no sound arm.
    """
    runs: list[TrackedRun] = []
    damages: dict[Path, list[str]] = {}
    for study in studies:
        for arm in study.arms:
            try:
                runs += runs_of(arm)
            except DamagedError as error:
                damages.setdefault(study.path, []).append(str(error))
    if damages and not runs:
        raise InputError("; ".join(one for found in damages.values() for one in found))
    return runs, damages


def _places(
    runs: list[TrackedRun], project: str | None, entity: str | None, uploader: Uploader
) -> dict[TrackedRun, Place]:
    server, own = uploader.account()
    places = {}
    for run in runs:
        given = run.record.given
        in_project = project or given.get("logger.project")
        if not in_project:
            raise InputError(f"arm {run.group} does not say its W&B project; name one with --project NAME")
        places[run] = Place(server, entity or given.get("logger.entity") or own, in_project)
    return places


def _missing(wanted: Iterable[tuple[TrackedRun | SummarizedStudy, Place]]) -> list[Upload]:
    """Lists what was not uploaded as it is now."""
    ledgers: dict[tuple[Path, Place], Mapping[str, Known]] = {}
    missing = []
    for one, place in wanted:
        if (one.study_folder, place) not in ledgers:
            ledgers[one.study_folder, place] = Ledger(one.study_folder).known(str(place))
        known = ledgers[one.study_folder, place].get(one.id)
        if known is None or known.version != one.version:
            missing.append((one, place, known))
    return missing


def _upload(missing: Sequence[Upload], uploaders: list[Uploader], done: Callable[[Any], None]) -> None:
    """Uploads each by one of the uploaders; the first problem ends it."""
    waiting = list(reversed(missing))
    for uploader in uploaders[1:]:
        uploader.account()
    idle = list(uploaders)
    busy: dict[Uploader, Upload] = {}
    while waiting or busy:
        while waiting and idle:
            (one, place, known), uploader = waiting.pop(), idle.pop()
            uploader.begin(place, one.drawn() if isinstance(one, SummarizedStudy) else one, known)
            busy[uploader] = one, place, known
        ready = wait([uploader.connection for uploader in busy], min(uploader.left for uploader in busy))
        for uploader in [u for u in busy if u.connection in ready or not u.left]:
            known = uploader.result()
            one, place, _ = busy.pop(uploader)
            Ledger(one.study_folder).add(str(place), {one.id: known})
            done(one)
            idle.append(uploader)


def _say(console: Console, what: str, missing: int, all_: int) -> None:
    """One line about what was uploaded."""
    before = f" ({all_ - missing} were there already)" if missing < all_ else ""
    console.print(f"Uploaded {missing} of {all_} {what}{before}", markup=False)


@contextmanager
def _progress(console: Console, total: int) -> Iterator[Callable[[TrackedRun], None]]:
    """Yields what shows that a run is uploaded: a bar on a terminal, a line elsewhere."""
    if not console.is_terminal:
        shown = 0

        def line(run: TrackedRun) -> None:
            nonlocal shown
            shown += 1
            console.print(f"{shown} of {total}: {run.name}", markup=False)

        yield line
        return
    columns = (TextColumn("uploading"), BarColumn(), MofNCompleteColumn(), TextColumn("runs, time left"))
    with Progress(*columns, TimeRemainingColumn(), console=console, transient=True) as progress:
        task = progress.add_task("", total=total)
        yield lambda run: progress.advance(task)
