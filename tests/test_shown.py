"""Names and errors are shown as they were typed, and never act on a screen."""

from hypothesis import given
from hypothesis import strategies as st

from pglab.shown import as_typed, shown, shown_lines


@given(st.text(max_size=30))
def test_nothing_that_is_shown_acts(text: str):
    assert all(c.isprintable() or c in "\u00a0\u3000" or c.isspace() for c in shown(text))
    assert not set(shown(text)) & {"\x1b", "\n", "\r", "\t", "\x07", "\x9b", "\u202e", "\u2028"}


@given(st.text(st.characters(categories=("L", "N", "P", "S")), max_size=30))
def test_what_can_be_read_stays(text: str):
    assert shown(text) == shown_lines(text) == text


def test_by_hand():
    assert shown("\x1b[31mred\x1b[0m\n") == r"\x1b[31mred\x1b[0m\n"
    assert shown("weighting=naïve 策略\u00a0= \u202e1") == "weighting=naïve 策略\u00a0= " + r"\u202e1"
    assert shown("\ud800") == r"\ud800"
    assert shown_lines("Traceback\r\n  \x1b[2J\n") == "Traceback\n  \\x1b[2J\n"
    assert as_typed("$x$\n\x07") == "\\$x\\$\n\\x07"
