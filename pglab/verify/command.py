"""From the estimators that were asked for to the report on them."""

import multiprocessing
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.progress import Progress

from pglab.cli import command
from pglab.errors import InputError
from pglab.settings import canonical
from pglab.studies.asked import Composed, arm_name, study_name
from pglab.studies.plan import check_numbers
from pglab.studies.provenance import versions
from pglab.verify.estimator import Finding, build_effort, check, found, places, solved
from pglab.verify.point import Point, judge
from pglab.verify.report import show, write

WRONG = 1  # exit status
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
    for name, settings in estimators.items():
        if settings["baseline"]["_target_"] != NO_BASELINE and "baseline" not in settings["weighting"]:
            console.print(f"note: {name}: this weighting uses no baseline, so the chosen one changes nothing")
        check_numbers(settings)
        check(settings)
    folder = Path(jobs[0].settings["results_dir"]) / "verify" / study_name(jobs[0])
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot write to {folder} ({error.strerror}); choose another results_dir=PATH") from error
    findings = _in_parallel(estimators, jobs[0].settings["workers"] or len(os.sched_getaffinity(0)))
    show(findings, console)
    files = write(findings, {"command": sys.argv[1:], "versions": versions()}, folder)
    counts = {
        verdict: sum(finding.verdict == verdict for finding in findings)
        for verdict in ("unbiased", "biased as declared", "wrong")
    }
    console.print("   ".join(f"{count} {verdict}" for verdict, count in counts.items()))
    for file in files:
        console.print(str(file), soft_wrap=True)
    return WRONG if counts["wrong"] else 0


def _distinct(jobs: Sequence[Composed]) -> dict[str, Mapping[str, Any]]:
    """The settings of each estimator by its name; one that leaves a choice unused is judged once."""
    by_name, seen = {}, {}
    for job in jobs:
        settings = dict(job.settings)
        if "baseline" not in settings["weighting"]:
            settings["baseline"] = {"_target_": NO_BASELINE}
        name = seen.setdefault(canonical(settings), arm_name(job))
        by_name.setdefault(name, job.settings)
    return by_name


def _in_parallel(estimators: Mapping[str, Mapping[str, Any]], workers: int) -> list[Finding]:
    """Judges every estimator at every point, in processes with one thread of arithmetic each."""
    tasks = [(name, *place) for name, settings in estimators.items() for place in places(settings)]
    judged: dict[tuple[str, str, int], tuple[Point, list[dict[str, Any]]]] = {}
    context, terminal = multiprocessing.get_context("spawn"), Console(stderr=True)
    with (
        ProcessPoolExecutor(min(workers, len(tasks)), context, _begin_worker) as pool,
        Progress(console=terminal, transient=True, disable=not terminal.is_terminal) as progress,
    ):
        bar = progress.add_task("verifying", total=len(tasks))
        futures = {pool.submit(_judge, estimators[task[0]], *task[1:]): task for task in tasks}
        try:
            for future in as_completed(futures):
                judged[futures[future]] = future.result()
                progress.advance(bar)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    findings = []
    for name, settings in estimators.items():
        points, cosines = zip(*(judged[name, *place] for place in places(settings)), strict=True)
        findings.append(found(name, settings, list(points), [row for rows in cosines for row in rows]))
    return findings


def _begin_worker() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides
    torch.set_num_threads(1)


def _judge(settings: Mapping[str, Any], problem: str, seed: int) -> tuple[Point, list[dict[str, Any]]]:
    return judge(solved(settings, problem, seed), build_effort(settings), len(places(settings)))
