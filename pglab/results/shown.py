"""Text that others wrote, made safe to show: a name or an error may hold anything."""


def shown(text: str) -> str:
    r"""One line in which every character that would act instead of being read is spelled out.

    Control characters, terminal escapes, line breaks, and marks that turn the direction of writing
    become what one would type for them in Python: `\x1b`, `\n`, `\u202e`. All else stays as it is.
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def shown_lines(text: str) -> str:
    """The same for a text of several lines, such as a traceback, whose line breaks stay."""
    return "\n".join(shown(line) for line in text.replace("\r\n", "\n").split("\n"))


def as_typed(text: str) -> str:
    """The same for matplotlib, to which `$` would begin a formula; line breaks stay."""
    return shown_lines(text).replace("$", r"\$")
