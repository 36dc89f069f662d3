"""Text that others wrote, made safe to show: a name or an error may hold anything."""

import unicodedata
from collections.abc import Iterable, Sequence

MOST = 8  # names in a list, before the rest is only counted


def shown(text: str) -> str:
    r"""One line in which every character that would act instead of being read is spelled out.

    Control characters, terminal escapes, line breaks, and marks that turn the direction of writing
    become what one would type for them in Python: `\x1b`, `\n`, `\u202e`. All else stays as it is.
    """
    harmless = (c.isprintable() or unicodedata.category(c) == "Zs" for c in text)
    return "".join(c if safe else c.encode("unicode_escape").decode() for c, safe in zip(text, harmless, strict=True))


def shown_lines(text: str) -> str:
    """The same for a text of several lines, such as a traceback, whose line breaks stay."""
    return "\n".join(shown(line) for line in text.replace("\r\n", "\n").split("\n"))


def listed(names: Iterable[str], most: int = MOST) -> str:
    """Names in a sentence, each once: `a`, `a and b`, `a, b and c`, `a, b, c and 2 more`."""
    names = list(dict.fromkeys(names))
    first, last = names[:-1], names[-1]
    if len(names) > most:
        first, last = names[:most], f"{len(names) - most} more"
    return shown(f"{', '.join(first)} and {last}" if first else last)


def first_lines(lines: Sequence[str], most: int) -> list[str]:
    """The first of many lines, and how many more there are."""
    more = len(lines) - most
    return [*lines[:most], *([f"… and {more} more like these"] if more > 0 else [])]


def as_typed(text: str) -> str:
    """The same for matplotlib, to which `$` would begin a formula; line breaks stay."""
    return shown_lines(text).replace("$", r"\$")
