"""The page that shows every figure beside what was published."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import jinja2

from analysis.paper.figure import Figure
from analysis.paper.manifest import Entry
from analysis.paper.table import as_text


@dataclass(frozen=True)
class Shown:
    """A figure on the page.

    Attributes:
        picture: as a data URI; None where it has not been drawn yet.
        headings, rows: of the table of its checks, as text.
        agrees: of each row.
        studies: of each its name, its commands and how many arms it has.
    """

    figure: Figure
    picture: str | None
    headings: Sequence[str]
    rows: Sequence[Sequence[str]]
    agrees: Sequence[bool]
    studies: Sequence[tuple[str, Sequence[str], int]]

    @property
    def verdict(self) -> str:
        if self.picture is None:
            return "not drawn yet"
        if all(self.agrees):
            return "agrees"
        return f"{len(self.agrees) - sum(self.agrees)} of {len(self.agrees)} do not agree"


def page(catalogue: Sequence[Figure], entries: Mapping[str, Entry], folder: Path, quick: bool) -> str:
    """The page's HTML: it needs nothing else.

    Args:
        catalogue: the figures in the order of the page.
        entries: of the manifest; a figure without one has not been drawn.
        folder: with the drawings.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    shown = [_shown(figure, entries.get(figure.name), folder) for figure in catalogue]
    return environment.get_template("page.html").render(shown=shown, quick=quick)


def _shown(figure: Figure, entry: Entry | None, folder: Path) -> Shown:
    file = folder / f"{figure.name}.svg"
    if entry is None or not file.is_file():
        return Shown(figure, None, (), (), (), ())
    picture = f"data:image/svg+xml;base64,{base64.b64encode(file.read_bytes()).decode()}"
    table = as_text(entry["checks"])
    studies = [(name, study["commands"], len(study["arms"])) for name, study in entry["studies"].items()]
    agrees = [check["agrees"] for check in entry["checks"]]
    return Shown(figure, picture, list(table.columns), table.to_numpy().tolist(), agrees, studies)
