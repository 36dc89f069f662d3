"""A table of arms on terminals of any width: nothing is cut, and nothing runs over the edge."""

from io import StringIO

import pytest
from rich.console import Console

from pglab.studies.arm_table import ArmTable

COLUMNS = ("seeds", "final return", "95 % interval", "env steps")
CELLS = {"seeds": "20", "final return": "−123.4", "95 % interval": "−130.1 to −116.7", "env steps": "1,234,567"}
NAMES = [f"weighting={weighting}, head={head}, lr=0.003" for weighting in ("total", "rtg") for head in ("a", "b")]


def printed(width: int, names: list[str] = NAMES) -> list[str]:
    rows = [(name, [*CELLS.values()]) for name in names]
    terminal = Console(file=StringIO(), width=width)
    terminal.print(ArmTable(COLUMNS, rows, "Study made", "a caption", together=["80", "", "", "4,938,268"]))
    return [line.rstrip() for line in terminal.file.getvalue().splitlines()]


@pytest.mark.parametrize("width", [30, 60, 80, 120, 240])
def test_every_name_and_number_is_there_whole_within_the_width(width: int):
    lines = printed(width)
    assert max(map(len, lines)) <= width
    text = "".join("".join(lines).split())
    assert all("".join(cell.split()) in text for cell in CELLS.values())
    if width >= 120:
        assert all(any(name in line for line in lines) for name in NAMES)


def test_a_narrow_terminal_has_a_block_for_each_arm():
    assert printed(60) == [
        "Study made",
        "",
        *(
            line
            for name in NAMES
            for line in (
                name,
                "  seeds 20, final return −123.4,",
                "  95 % interval −130.1 to −116.7, env steps 1,234,567",
            )
        ),
        "all arms",
        "  seeds 80, env steps 4,938,268",
        "",
        "a caption",
    ]


def test_a_wide_one_has_a_line_for_each_arm():
    lines = printed(120)
    assert [line.split(",")[0] for line in lines if "lr=0.003" in line] == [f" {name.split(',')[0]}" for name in NAMES]
    assert [line for line in lines if line.startswith(" all arms")]


def test_a_name_as_long_as_a_paragraph_is_wrapped_and_not_cut():
    settings = [f"key_{number}=value" for number in range(30)]
    for width in (60, 120):
        lines = printed(width, [", ".join(settings)])
        assert all(any(each in line for line in lines) for each in settings)
