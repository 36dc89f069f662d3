"""Figures as files that are the same bytes whenever the same figure is drawn."""

import io
from pathlib import Path

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from pglab.errors import InputError

WITHOUT_DATE = {".pdf": {"CreationDate": None}, ".svg": {"Date": None}, ".png": {"Software": None}}


def drawn(figure: Figure, kind: str, dpi: int = 300) -> bytes:
    """A figure as `.pdf`, `.svg` or `.png`, without a date or random names in it."""
    content = io.BytesIO()
    with plt.rc_context({"pdf.fonttype": 42, "svg.fonttype": "path", "svg.hashsalt": "pglab"}):
        figure.savefig(content, format=kind.removeprefix("."), dpi=dpi, metadata=WITHOUT_DATE[kind])
    return content.getvalue()


def save(figure: Figure, path: str | Path) -> Path:
    """Writes a figure as PDF, SVG or PNG (300 dots an inch), by the ending of `path`; returns the path.

    Fonts are embedded in a PDF as TrueType, and in an SVG letters are outlines. Drawn again with
    the same versions of the libraries, the file is the same to the byte: it holds no date and no random names.

    Raises:
        InputError: `path` has another ending; nothing is written.
    """
    path = Path(path)
    if path.suffix not in WITHOUT_DATE:
        raise InputError(
            f"a figure is saved as {', '.join(WITHOUT_DATE)}, not as {path.suffix or 'a file without one'}"
        )
    path.write_bytes(drawn(figure, path.suffix))
    return path
