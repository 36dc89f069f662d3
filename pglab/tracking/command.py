"""The command line of `python -m pglab.mirror`."""

import argparse
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from multiprocessing.connection import wait
from pathlib import Path
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from pglab.errors import InputError
from pglab.tracking.answer import LocalStudy, studies_below
from pglab.tracking.ledger import Ledger
from pglab.tracking.local import LocalRun, local_runs
from pglab.tracking.server import MirrorError, Place
from pglab.tracking.uploader import Uploader

Upload = TypeVar("Upload", LocalRun, LocalStudy)

FAILED, BAD_INPUT, INTERRUPTED = 1, 2, 130  # exit statuses
AT_ONCE = 4  # most runs that are uploaded side by side
WORTH = 4  # runs that are worth the start of one more process
TIMEOUT = 60.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Uploads what W&B does not have yet of a study's runs, and its summary; returns the exit status."""
    asked = _parser().parse_args(arguments)
    console = Console(highlight=False, soft_wrap=True)
    uploaders: list[Uploader] = []
    uploaded: list[LocalRun] = []
    try:
        runs, studies = local_runs(asked.study), studies_below(asked.study)
        uploaders.append(Uploader(asked.timeout))
        places = _places(runs, asked.project, asked.entity, uploaders[0])
        missing = [run for run in runs if not _is_there(run, places[run])]
        with _progress(console, len(missing)) as show:

            def done(run: LocalRun, place: Place) -> None:
                _note(run, place)
                uploaded.append(run)
                show(run)

            uploaders += [Uploader(asked.timeout) for _ in range(min(AT_ONCE - 1, len(missing) // WORTH))]
            _upload([(run, places[run]) for run in missing], uploaders, done)
        where = ", ".join(sorted({str(place) for place in places.values()}))
        _say(console, f"runs to {where}", len(missing), len(runs))
        summaries = _summaries(studies, places)
        outdated = [(study, place) for study, place in summaries if not _is_there(study, place)]
        with console.status("drawing and uploading the summary") if console.is_terminal else nullcontext():
            _upload(outdated, uploaders[:1], _note)
        if summaries:
            _say(console, "summaries", len(outdated), len(summaries))
    except InputError as error:
        problem, status = str(error), BAD_INPUT
    except (MirrorError, OSError) as error:
        kept = f"; {len(uploaded)} runs were uploaded, and the same command uploads the rest" * bool(uploaded)
        problem, status = f"W&B has an incomplete mirror: {error}{kept}", FAILED
    except KeyboardInterrupt:
        problem, status = f"interrupted; {len(uploaded)} runs were uploaded", INTERRUPTED
    else:
        return 0
    finally:
        for uploader in uploaders:
            uploader.stop()
    print(f"error: {problem}", file=sys.stderr)
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m pglab.mirror", description="Uploads studies to W&B from local files.")
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


def _places(runs: list[LocalRun], project: str | None, entity: str | None, uploader: Uploader) -> dict[LocalRun, Place]:
    server, own = uploader.account()
    places = {}
    for run in runs:
        logger = run.arm.settings["logger"]
        places[run] = Place(server, entity or logger["entity"] or own, project or logger["project"])
    return places


def _summaries(studies: list[LocalStudy], places: dict[LocalRun, Place]) -> list[tuple[LocalStudy, Place]]:
    """Each study with every place that its runs go to."""
    wanted = dict.fromkeys((run.study_folder, place) for run, place in places.items())
    return [(study, place) for study in studies for folder, place in wanted if folder == study.study_folder]


def _is_there(one: LocalRun | LocalStudy, place: Place) -> bool:
    """Whether it was uploaded as it is now."""
    return Ledger(one.study_folder).has(str(place), one.id, one.version)


def _note(one: LocalRun | LocalStudy, place: Place) -> None:
    """Takes note that it was."""
    Ledger(one.study_folder).add(str(place), one.id, one.version)


def _upload(
    parcels: Sequence[tuple[Upload, Place]], uploaders: list[Uploader], done: Callable[[Upload, Place], None]
) -> None:
    """Uploads what goes to a place, each by one of the uploaders; the first problem ends it."""
    waiting = list(reversed(parcels))
    for uploader in uploaders[1:]:
        uploader.account()
    idle = list(uploaders)
    busy: dict[Uploader, tuple[Upload, Place]] = {}
    while waiting or busy:
        while waiting and idle:
            (one, place), uploader = waiting.pop(), idle.pop()
            uploader.begin(one.parcel(place))
            busy[uploader] = one, place
        ready = wait([uploader.connection for uploader in busy], min(uploader.left for uploader in busy))
        for uploader in [u for u in busy if u.connection in ready or not u.left]:
            uploader.result()
            done(*busy.pop(uploader))
            idle.append(uploader)


def _say(console: Console, what: str, missing: int, all_: int) -> None:
    """One line about what was uploaded."""
    before = f" ({all_ - missing} were there already)" * (missing < all_)
    console.print(f"Uploaded {missing} of {all_} {what}{before}", markup=False)


@contextmanager
def _progress(console: Console, total: int) -> Iterator[Callable[[LocalRun], None]]:
    """Yields what shows that a run is uploaded: a bar on a terminal, a line elsewhere."""
    if not console.is_terminal:
        shown = 0

        def line(run: LocalRun) -> None:
            nonlocal shown
            shown += 1
            console.print(f"{shown} of {total}: {run.name}", markup=False)

        yield line
        return
    columns = (TextColumn("uploading"), BarColumn(), MofNCompleteColumn(), TextColumn("runs, time left"))
    with Progress(*columns, TimeRemainingColumn(), console=console, transient=True) as progress:
        task = progress.add_task("", total=total)
        yield lambda run: progress.advance(task)
