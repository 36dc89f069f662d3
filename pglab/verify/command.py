"""From the estimators that were asked for to the report on them."""

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from pglab.cli import command
from pglab.errors import InputError
from pglab.settings import name_in_full, used
from pglab.studies.asked import Composed, keys_name
from pglab.studies.checks import check_numbers
from pglab.studies.notes import lacks_baseline, unused_baseline
from pglab.studies.provenance import versions
from pglab.verify.estimator import Finding, Settings, build_effort, check, found, with_variance_ratios
from pglab.verify.parallel import in_parallel
from pglab.verify.point import Point, judge
from pglab.verify.problems import left_out, places, solved
from pglab.verify.report import show, show_summary, write
from pglab.verify.updates import MeanUpdate

WRONG = 1  # exit status
ALWAYS = ("unbiased", "biased as declared", "wrong")  # verdicts that are counted even where there are none
NO_BASELINE = "pglab.algorithms.baselines.NoBaseline"


def main() -> int:
    """Verifies what the command line asks for; status 1 where an estimator is wrong."""
    return command("verify", verify_all, lambda job: float(verify_all([job])))


def verify_all(jobs: Sequence[Composed]) -> int:
    """Checks everything, judges every estimator, reports, and returns the exit status.

    Raises:
        InputError: bad input; nothing was written.
    """
    console = Console(highlight=False, soft_wrap=True)
    estimators = _distinct(jobs)
    judged = list(estimators.values())
    for note in filter(None, (lacks_baseline(judged), unused_baseline(judged))):
        console.print(f"note: {note}")
    for job in judged:
        check_numbers(job.settings)
    check(job.settings for job in judged)
    for note in dict.fromkeys(note for job in judged for note in left_out(job.settings)):
        console.print(f"note: {note}")
    folder = Path(jobs[0].settings["results_dir"]) / "verify" / keys_name(jobs[0])
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot write to {folder} ({error.strerror}); choose another results_dir=PATH") from error
    settings = {name: job.settings for name, job in estimators.items()}
    findings = _judged(settings, jobs[0].settings["workers"] or len(os.sched_getaffinity(0)))
    findings = with_variance_ratios(findings, settings)
    show(findings, console)
    files = write(findings, {"command": sys.argv[1:], "versions": versions()}, folder)
    if len(findings) > 1:
        show_summary(findings, console)
    counts = {
        verdict: sum(finding.verdict == verdict for finding in findings)
        for verdict in ("unbiased", "unbiased up to scale", "biased as declared", "wrong")
    }
    console.print("   ".join(f"{count} {verdict}" for verdict, count in counts.items() if count or verdict in ALWAYS))
    for file in files:
        console.print(str(file), soft_wrap=True)
    return WRONG if counts["wrong"] else 0


def _distinct(jobs: Sequence[Composed]) -> dict[str, Composed]:
    """The configuration of each estimator by its name; one that leaves a choice unused is judged once."""
    by_name, seen = {}, {}
    for job in jobs:
        name = seen.setdefault(used(job.settings), name_in_full(job.overrides))
        by_name.setdefault(name, job)
    return by_name


def _judged(estimators: Mapping[str, Settings], workers: int) -> list[Finding]:
    """Judges every estimator at every point."""
    tasks = [(name, settings, *place) for name, settings in estimators.items() for place in places(settings)]
    judged = in_parallel(_judge, [task[1:] for task in tasks], workers)
    findings = []
    for name, settings in estimators.items():
        own = [result for task, result in zip(tasks, judged, strict=True) if task[0] == name]
        cosines = [row for _, rows, _ in own for row in rows]
        updates = [update for _, _, means in own for update in means]
        findings.append(found(name, settings, [point for point, _, _ in own], cosines, updates))
    return findings


def _judge(settings: Settings, problem: str, seed: int) -> tuple[Point, list[dict[str, Any]], list[MeanUpdate]]:
    return judge(solved(settings, problem, seed), build_effort(settings), len(places(settings)))
