"""A row for each arm, on a terminal of any width."""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

from rich import box
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from pglab.shown import shown, shown_lines

NARROW = 24  # cells; in fewer a long name would be folded too often to be read
TOGETHER = "all arms"  # not total, which is a weighting
GAP, EDGE = 3, 1  # cells between two columns, and on either side


@dataclass(frozen=True)
class ArmTable:
    """A table whose first column is the arms' names; where it would not fit, a few lines for each arm.

    Attributes:
        columns: that follow the names.
        rows: each arm's name and cells.
        title: above the table.
        caption: lines below it.
        together: the cells of a last row.
    """

    columns: Sequence[str]
    rows: Sequence[tuple[str, Sequence[str]]]
    title: str = ""
    caption: str = ""
    together: Sequence[str] | None = None

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        if self.title:
            yield Text(shown(self.title), "table.title", overflow="fold")
        yield self._table() if self._fits(options.max_width) else self._lines(options.max_width)
        if self.caption:
            yield Text(shown_lines(self.caption), "table.caption")

    def _fits(self, width: int) -> bool:
        rows = [("arm", *self.columns), *((shown(name), *cells) for name, cells in self._all)]
        names, *columns = zip(*rows, strict=True)
        longest = max(map(cell_len, names))
        taken = sum(GAP + max(map(cell_len, column)) for column in columns)
        return width - 2 * EDGE - taken >= min(longest, NARROW)

    @property
    def _all(self) -> list[tuple[str, Sequence[str]]]:
        return [*self.rows, *([(TOGETHER, self.together)] if self.together else [])]

    def _table(self) -> Table:
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        table.add_column("arm", overflow="fold")
        for column in self.columns:
            table.add_column(column, justify="right", no_wrap=True)
        for name, cells in self.rows:
            table.add_row(Text(shown(name)), *cells)
        if self.together:
            table.add_section()
            table.add_row(TOGETHER, *self.together)
        return table

    def _lines(self, width: int) -> Text:
        lines = []
        for name, cells in self._all:
            lines += textwrap.wrap(shown(name), width, subsequent_indent="    ")
            said = [f"{column} {cell}" for column, cell in zip(self.columns, cells, strict=True) if cell]
            text = ", ".join(one.replace(" ", "\N{NO-BREAK SPACE}") for one in said)
            wrapped = textwrap.wrap(text, width, initial_indent="  ", subsequent_indent="  ", break_on_hyphens=False)
            lines += [line.replace("\N{NO-BREAK SPACE}", " ") for line in wrapped]
        return Text("\n".join(["", *lines, ""]))
