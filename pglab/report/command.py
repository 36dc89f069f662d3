"""The command line of `python -m pglab.report`."""

import argparse
import math
import time
import webbrowser
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import get_args

from pglab.errors import InputError
from pglab.report.content import Question, content
from pglab.report.index import index_page
from pglab.report.page import page
from pglab.results.intervals import Method
from pglab.results.pairs import Test
from pglab.results.scores import How
from pglab.shell import Parser, ended
from pglab.shown import shown
from pglab.store.atomic import write
from pglab.store.folder import studies_in
from pglab.store.reader import ABOUT


def main(arguments: Sequence[str] | None = None) -> int:
    """Writes the report that the command line asks for; returns the exit status."""
    return ended(lambda: _reported(arguments))


def _reported(arguments: Sequence[str] | None) -> int:
    asked = _parser().parse_args(arguments)
    if (asked.score == "steps_to") != (asked.threshold is not None):
        raise InputError("--score steps_to and --threshold RETURN belong together: steps until a return of so much")
    if asked.columns and not asked.others:
        raise InputError("--columns names the columns of --with FILE, which is not there")
    question = Question(
        asked.score, asked.threshold, asked.control, asked.interval, asked.test, asked.difference,
        tuple(asked.others), dict(asked.columns),
    )  # fmt: skip
    if _holds_studies(asked.study):
        if question != Question() or asked.watch is not None:
            raise InputError(
                f"{asked.study} holds several studies, whose page takes no options but --output and --open"
            )
        return _indexed(asked.study, _page_in(asked.output or asked.study), asked.open)
    file = _place(asked.study, asked.output)
    if asked.watch is not None:
        _wait_for(asked.study, asked.watch)
    while True:
        seen = _state(asked.study)  # before it is read: what changes meanwhile is not missed
        complete = report(asked.study, question, file, asked.watch)
        if asked.open:
            _open(file)
            asked.open = False  # a browser reads it anew by itself
        if complete or asked.watch is None:
            return 0
        while _state(asked.study) == seen:
            time.sleep(asked.watch)


def report(study: Path, question: Question, file: Path, watch: int | None = None) -> bool:
    """Writes the page on a study, and says so; tells whether the study is complete.

    Args:
        file: the page; its folder is made where there is none.
        watch: seconds after which a browser is to read the page anew, while the study is incomplete.

    Raises:
        InputError: the path is not one study, or what is asked does not fit it, or the page cannot be written.
        DamagedError: a file of the study is not what was written.
    """
    found = content(study, question)
    complete = found.origin.complete
    _write(file, page(found, refresh=None if complete else watch))
    print(f"{shown(str(file))}   ({found.origin.runs}{'' if complete else '; the study is incomplete'})", flush=True)
    return complete


def _write(file: Path, text: str) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        write(file, text.encode())
    except OSError as error:
        raise InputError(f"cannot write {file} ({error.strerror}); --output PATH writes the page elsewhere") from error


def _holds_studies(path: Path) -> bool:
    """True for a folder of studies that is none itself."""
    if not path.is_dir() or (path / ABOUT).exists():
        return False
    try:
        return path.resolve() not in {study.path for study in studies_in(path)}
    except FileNotFoundError:
        return False


def _indexed(folder: Path, file: Path, opened: bool) -> int:
    """Writes the page about all studies in a folder; returns the exit status."""
    number = len(studies_in(folder))
    _write(file, index_page(folder, file))
    print(f"{shown(str(file))}   ({'1 study' if number == 1 else f'{number} studies'})", flush=True)
    if opened:
        _open(file)
    return 0


def _open(file: Path) -> None:
    """Shows the page in the browser, or says that there is none."""
    if not webbrowser.open(file.resolve().as_uri()):
        print(f"note: there is no browser to show {shown(str(file))} in", flush=True)


def _place(study: Path, output: Path | None) -> Path:
    """The page's file; an output that is a folder, or ends in no `.html`, is the folder that gets it."""
    if output is None:
        if (study / "report").is_symlink():
            raise InputError(f"{study / 'report'} is a link out of the study; --output PATH writes the page elsewhere")
        return study / "report" / "index.html"
    return _page_in(output)


def _page_in(output: Path) -> Path:
    return output if output.suffix == ".html" and not output.is_dir() else output / "index.html"


def _wait_for(study: Path, seconds: int) -> None:
    """Returns once there is a study."""
    said = False
    while True:
        try:
            studies_in(study)
        except FileNotFoundError:
            if not said:
                print(f"Waiting for a study in {shown(str(study))}; there is none yet (Ctrl-C ends this)", flush=True)
            said = True
            time.sleep(seconds)
        else:
            return


def _state(study: Path) -> dict[str, int]:
    """The time at which the files that tell of a run's progress were last written."""
    found = {}
    for file in [*study.glob("*/arm.json"), *study.glob("*/checkpoint.bin")]:
        with suppress(FileNotFoundError):  # a checkpoint goes when its runs are finished
            found[str(file)] = file.stat().st_mtime_ns
    return found


def _parser() -> Parser:
    parser = Parser(
        prog="python -m pglab.report",
        description="One page about a study, the answer first, in STUDY/report/index.html or where --output says; of a "
        "folder of studies one page about all of them, in FOLDER/index.html.",
        allow_abbrev=False,
    )
    parser.add_argument("study", type=Path, metavar="STUDY", help="folder of a study, or one that holds several")
    parser.add_argument("--open", action="store_true", help="show the page in the browser")
    parser.add_argument(
        "--output",
        type=Path,
        metavar="PATH",
        help="the page, or a folder for it, in place of STUDY/report/index.html; such as for a read-only study",
    )
    parser.add_argument(
        "--score",
        choices=get_args(How),
        help="of a run; default: the mean return of its final evaluation, or of its last tenth where there is none",
    )
    parser.add_argument("--threshold", type=_number, metavar="RETURN", help="for --score steps_to")
    parser.add_argument("--control", metavar="ARM", help="that all others are compared with; default: the first")
    parser.add_argument("--interval", choices=get_args(Method), default="t", help="of an arm's mean (t)")
    parser.add_argument("--test", choices=get_args(Test), default="t", help="of a difference (t)")
    parser.add_argument("--difference", type=_number, metavar="D", help="are there seeds enough to see it?")
    parser.add_argument(
        "--with",
        dest="others",
        action="append",
        default=[],
        metavar="FILE",
        help="runs of another program as further arms, not paired: a CSV file, a folder with TensorBoard's event "
        "files, or wandb:entity/project; may be given again",
    )
    parser.add_argument(
        "--columns",
        type=_column,
        nargs="+",
        default=[],
        metavar="OURS=THEIRS",
        help="what such a file calls return_mean, env_steps, arm, seed, status (see pglab.results.read_runs)",
    )
    parser.add_argument(
        "--watch",
        type=_seconds,
        nargs="?",
        const=5,
        metavar="SECONDS",
        help="write it anew as results come in, until the study is complete; look every so many seconds (5)",
    )
    return parser


def _number(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise argparse.ArgumentTypeError(f"{text} is no number")
    return number


def _column(text: str) -> tuple[str, str]:
    ours, equals, theirs = text.partition("=")
    if not (ours and equals and theirs):
        raise argparse.ArgumentTypeError(f"{text} is no OURS=THEIRS, such as return_mean=reward")
    return ours, theirs


def _seconds(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text} is no whole number of seconds above 0")
    return int(text)
