"""The command line: trains and verifies what is missing, and writes the pages."""

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import get_args

from analysis.atlas.axes import AXES, Axis
from analysis.atlas.measured import Effort, Measured, is_trained, measure
from analysis.atlas.pages import write_site
from pglab.errors import InputError
from pglab.shell import Parser, ended
from pglab.studies.standing import OnMismatch

QUICK = Effort(seeds=3, updates=10)
FAILED = 1  # exit status


def main(arguments: Sequence[str] | None = None) -> int:
    """Builds what the command line asks for; returns the exit status."""
    return ended(lambda: _built(arguments))


def _built(arguments: Sequence[str] | None) -> int:
    asked = _parser().parse_args(arguments)
    by_name = {axis.name: axis for axis in AXES}
    if unknown := [name for name in asked.only or () if name not in by_name]:
        raise InputError(f"--only {' '.join(unknown)}: there is no such page; choose from {', '.join(by_name)}")
    effort = replace(QUICK if asked.quick else Effort(), problems=asked.problems)
    place = asked.output / "quick" if asked.quick else asked.output
    wanted = [
        axis
        for axis in AXES
        if axis.name in (asked.only or by_name) or is_trained(axis, effort, place / "studies")  # stay in the index
    ]
    try:
        return build(wanted, effort, place, asked.on_mismatch)
    except KeyboardInterrupt as interruption:
        raise KeyboardInterrupt("Interrupted; the same command again goes on from what is there.") from interruption


def build(axes: Sequence[Axis], effort: Effort, place: Path, on_mismatch: str = "refuse") -> int:
    """Measures every axis and writes the site; a page that would lack a number is left out, and said.

    Returns the exit status.
    """
    began = time.monotonic()
    measured, failed = list[Measured](), list[str]()
    for axis in axes:
        print(f"{axis.name}: training and verifying what is missing", flush=True)
        try:
            measured.append(measure(axis, effort, place / "studies", on_mismatch))
        except (InputError, FileNotFoundError, RuntimeError) as error:
            failed.append(axis.name)
            print(f"{axis.name}: not built: {error}", flush=True)
    if measured:
        file = write_site(measured, place, effort != replace(Effort(), problems=effort.problems))
        took = time.monotonic() - began
        print(f"{file}   ({len(measured)} pages in {took:.0f} s)", flush=True)
    return FAILED if failed else 0


def _parser() -> Parser:
    parser = Parser(
        prog="python -m analysis.atlas",
        description="Builds a static site with a page for each choice in a policy gradient: question, equation, exact "
        "bias and variance, effects with intervals on four problems, and what five libraries do. Trains and verifies "
        "what is missing, which takes up to 45 minutes on two cores from nothing; from what is stored it takes less "
        "than one.",
        allow_abbrev=False,
    )
    parser.add_argument("--output", type=Path, default=Path("results/atlas"), metavar="FOLDER", help="results/atlas")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="train these pages only; a wrong name lists them all")
    parser.add_argument("--quick", action="store_true", help="few seeds and updates, into FOLDER/quick")
    parser.add_argument("--problems", type=int, choices=(2, 3, 4), default=4, help="for each axis (4)")
    parser.add_argument(
        "--on-mismatch", choices=get_args(OnMismatch), default="refuse", help="as for `python -m pglab`"
    )
    return parser
