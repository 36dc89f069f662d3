"""The command line: trains what is missing, draws what is not as it should be, writes the page."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import pandas as pd

from analysis.paper import manifest
from analysis.paper.catalogue import FIGURES
from analysis.paper.checks import Check
from analysis.paper.figure import Figure, Frames
from analysis.paper.marks import marked_quick
from analysis.paper.page import page
from analysis.paper.stored import read
from analysis.paper.table import as_text
from analysis.paper.training import train
from pglab.errors import InputError
from pglab.results import DamagedError, IncompleteStudy, load_evaluation, load_references
from pglab.results.plots import save
from pglab.results.tables import write_table
from pglab.shell import Parser, ended

FIGURES_FOLDER = Path("analysis/figures")
FAILED = 1  # exit status
KINDS = (".pdf", ".png", ".svg")


def main(arguments: Sequence[str] | None = None, catalogue: Sequence[Figure] = FIGURES) -> int:
    """Builds what the command line asks for; returns the exit status."""
    return ended(lambda: _main(arguments, catalogue))


def _main(arguments: Sequence[str] | None, catalogue: Sequence[Figure]) -> int:
    asked = _parser().parse_args(arguments)
    by_name = {figure.name: figure for figure in catalogue}
    unknown = [name for name in asked.only or () if name not in by_name]
    if unknown:
        there = ", ".join(by_name)
        raise InputError(f"--only {' '.join(unknown)}: there is no such figure; choose from {there}")
    by_default = {figure.name for figure in catalogue if asked.full or not figure.full}
    wanted = [figure for figure in catalogue if figure.name in (asked.only or by_default)]
    try:
        return build(wanted, catalogue, asked.quick, [f"on_mismatch={asked.on_mismatch}"])
    except KeyboardInterrupt as interruption:
        raise KeyboardInterrupt("Interrupted; the same command again goes on from what is there.") from interruption


def build(wanted: Sequence[Figure], catalogue: Sequence[Figure], quick: bool, more: Sequence[str] = ()) -> int:
    """Trains and draws the wanted figures, writes page and manifest; returns the exit status.

    Args:
        catalogue: all figures that the page tells of.
        quick: with few seeds, into a folder of its own.
        more: overrides for everything that is trained.
    """
    folder = FIGURES_FOLDER / "quick" if quick else FIGURES_FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    entries, drawn_by = manifest.read(folder), manifest.code()
    stale = [
        figure
        for figure in wanted
        if not manifest.up_to_date(entries.get(figure.name), manifest.origin(figure, quick, drawn_by), folder)
    ]
    for figure in wanted:
        if figure not in stale:
            _say(f"{figure.name}: up to date")
    studies = list({study.name: study for figure in stale for study in figure.studies}.values())
    failed = train(studies, quick, more, _say)
    frames = Frames()
    broken = False
    for figure in stale:
        missing = [study.name for study in figure.studies if study.name in failed]
        if not missing:
            try:
                checks, files = draw(figure, quick, folder, frames)
            except (DamagedError, FileNotFoundError, IncompleteStudy) as error:
                missing = [str(error)]
            else:
                came_from = manifest.origin(figure, quick, drawn_by)
                entries[figure.name] = manifest.described(came_from, checks, files)
                agree = sum(check.agrees for check in checks)
                _say(f"{figure.name}: drawn; {agree} of {len(checks)} agree with what was published")
        if missing:
            _say(f"{figure.name}: not drawn, for want of {', '.join(missing)}")
            broken = True
    _write(folder / manifest.FILE, manifest.text(entries))
    _write(folder / "index.html", page(catalogue, entries, folder, quick))
    _say(str(folder / "index.html"))
    return FAILED if broken else 0


def draw(figure: Figure, quick: bool, folder: Path, frames: Frames) -> tuple[Sequence[Check], list[Path]]:
    """Draws a figure and its table from stored results; returns its checks and its files.

    Args:
        frames: of studies that were read before; those that are read now join them.

    Raises:
        FileNotFoundError, DamagedError, IncompleteStudy: a study is not, or not wholly, there.
    """
    for study in figure.studies:
        if study.name not in frames:
            frames[study.name], frames.evaluations[study.name] = read(study, quick), read(study, quick, load_evaluation)
            frames.references[study.name] = load_references(study.folder(quick))
    made = figure.make(frames)
    drawing = marked_quick(made.figure) if quick else made.figure
    files = [save(drawing, folder / f"{figure.name}{kind}") for kind in KINDS]
    checks = [asdict(check) for check in made.checks]
    files.append(write_table(pd.DataFrame(checks), folder / f"{figure.name}.csv"))
    files += [write_table(as_text(checks), folder / f"{figure.name}{kind}") for kind in (".md", ".tex")]
    return made.checks, files


def _write(file: Path, content: str) -> None:
    file.write_text(content, encoding="utf-8", newline="\n")


def _say(line: str) -> None:
    print(line, flush=True)


def _parser() -> Parser:
    parser = Parser(
        prog="python -m analysis.paper",
        description="Rebuilds the published results: trains what is missing, draws every figure and table into "
        f"{FIGURES_FOLDER}/, and sets each beside what was published in {FIGURES_FOLDER}/index.html.",
        allow_abbrev=False,
    )
    parser.add_argument("--only", nargs="+", metavar="NAME", help="these figures; a wrong name lists them all")
    parser.add_argument(
        "--full",
        action="store_true",
        help="also the figures that take longest ("
        + ", ".join(f"{one.name}: {one.full}" for one in FIGURES if one.full)
        + ")",
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help=f"few seeds, in studies of their own, into {FIGURES_FOLDER}/quick/",
    )
    parser.add_argument(
        "--on-mismatch",
        choices=("refuse", "rerun", "keep"),
        default="refuse",
        help="what to do with stored runs that were computed otherwise (refuse)",
    )
    return parser
