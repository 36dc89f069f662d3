"""One page about all studies in a folder: what each asks, what came of it, and how old it is."""

import os
import time
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from pglab.errors import InputError
from pglab.report.content import Question, content
from pglab.report.origin import Origin
from pglab.report.page import environment
from pglab.results.arm_choices import distinguishing_on_a_problem
from pglab.results.by_problem import problems
from pglab.results.digits import counted
from pglab.shown import shown
from pglab.store.folder import StudyFolder, studies_in
from pglab.store.reader import ABOUT

MOST_ARMS = 6  # named in a question, before they are only counted
UNITS = {"day": 86400, "hour": 3600, "minute": 60}


@dataclass(frozen=True)
class Entry:
    """A study on the page.

    Attributes:
        name: of the study.
        question: in words.
        verdict: the first that its report gives, or why there is none.
        sure: the verdict names a winner, or decides.
        more: how many further verdicts there are.
        runs: counted, by what became of them.
        age: since its last run was stored, in words.
        changed: when that was, in seconds since 1970.
        link: to its report, from the page; empty where there is none yet.
        command: that writes its report.
    """

    name: str
    question: str
    verdict: str
    sure: bool
    more: int
    runs: str
    age: str
    changed: float
    link: str
    command: str


def index_page(folder: Path, file: Path, now: float | None = None) -> str:
    """The page about all studies in a folder, the youngest first.

    Args:
        file: where it goes; links to reports start from there.
        now: the time that ages are counted to, in seconds since 1970.
    """
    now = time.time() if now is None else now
    entries = [entry(study, file, now) for study in studies_in(folder)]
    entries.sort(key=lambda one: -one.changed)
    return environment().get_template("index.html").render(folder=shown(str(folder)), studies=entries)


def entry(study: StudyFolder, file: Path, now: float) -> Entry:
    """A study's place on the page; of one with a damaged file that is the verdict."""
    report = study.path / "report" / "index.html"
    changed = max((arm.path / ABOUT).stat().st_mtime for arm in study.arms) if study.arms else 0.0
    link = os.path.relpath(report, file.resolve().parent) if report.exists() else ""
    question, verdict, sure, more, runs = "", "", False, 0, ""
    try:
        found = content(study.path, Question())
        question, runs = asked(found.runs, found.origin), found.origin.runs
        said = found.verdicts or ()
        verdict = said[0].sentence if said else "one arm, nothing to compare" if len(found.runs) else "no rows yet"
        sure, more = bool(said and said[0].sure), max(len(said) - 1, 0)
    except (InputError, FileNotFoundError) as error:
        verdict = shown(str(error))
    command = f"python -m pglab.report {os.path.relpath(study.path)}"
    return Entry(shown(study.name), question, verdict, sure, more, runs, aged(now - changed), changed, link, command)


def asked(runs: pd.DataFrame, origin: Origin) -> str:
    """`total or rtg?`, `weighting and lr: 12 arms`, and the problems."""
    names = list(origin.differing)
    if runs.empty:
        return ", ".join(names)
    keys = [key for key in distinguishing_on_a_problem(runs) if key != "study"]
    where = list(dict.fromkeys(problems(runs).values()))
    on = f" on {', '.join(where)}" if "one problem" not in where else ""
    if len(names) == 1:
        return f"{names[0]}{on}"
    if len(names) <= MOST_ARMS:
        return f"{', '.join(names[:-1])} or {names[-1]}{on}?"
    return f"{' and '.join(keys)}: {counted(len(names), 'arm')}{on}"


def aged(seconds: float) -> str:
    """`3 days`, `1 hour`; `just now` below a minute."""
    for unit, length in UNITS.items():
        if seconds >= length:
            return counted(int(seconds // length), unit)
    return "just now"
