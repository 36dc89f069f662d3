"""`--help`: every group, choice and key on the screen, and more about any of them."""

import difflib
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from pglab.compose import CONFIG
from pglab.errors import InputError
from pglab.reference import Entry, docstring, entries

WIDEST_NAME = 0.45  # of the line; longer names stand above their text
PROGRAMS = {
    CONFIG: ("python -m pglab", "Trains ablation grids of policy gradients."),
    "verify": ("python -m pglab.verify", "Holds gradient estimators against exact gradients of solvable problems."),
}


def manual(topics: Sequence[str], config_name: str, folders: Sequence[Path]) -> str:
    """The text of `--help`: everything there is, or more about each topic, as wide as the terminal.

    Args:
        topics: groups, choices and keys: `weighting`, `weighting=gae`, `optimizer.lr`.
        config_name: the file in `conf/` that the command starts from.
        folders: of all YAML files, the user's own included.

    Raises:
        InputError: a topic is none of these.
    """
    console, known = Console(highlight=False), list(entries(config_name, folders))
    with console.capture() as printed:
        if topics:
            _more(topics, config_name, known, console)
        else:
            _overview(config_name, known, console)
    return printed.get()


def _more(topics: Sequence[str], config_name: str, known: Sequence[Entry], console: Console) -> None:
    for topic in topics:
        found = [entry for entry in known if entry.name == topic]
        if not found:
            raise InputError(_unknown(topic, config_name, known))
        if found[0].kind == "group":
            _group(found[0], known, console)
        elif found[0].kind == "choice":
            _choice(found[0], known, console)
        else:
            _key(topic, found, known, console)


def _overview(config_name: str, known: Sequence[Entry], console: Console) -> None:
    program, about = PROGRAMS[config_name]
    uses = {
        f"{program} KEY=VALUE …": "one arm",
        f"{program} -m weighting=total,rtg seeds=20": "a grid; -m sweeps over values between commas",
        f"{program} --help weighting": "more about a group, a choice (weighting=gae) or a key (optimizer.lr)",
        f"{program} --config-dir DIR …": "with YAML files of your own beside those of pglab",
        f"{program} --cfg job": "prints every key with its value, and does nothing",
        f"{program} --version": "prints the version",
        'eval "$(pglab -sc install=bash)"': "completes groups, choices and keys by the tab key; also fish, zsh",
    }
    console.print(Text(about))
    _section(console, "", [(name, Text(text)) for name, text in uses.items()])
    console.print(Text("\nGroups, each set to one of its choices; keys of a choice stand in brackets", style="bold"))
    for group in (entry for entry in known if entry.kind == "group"):
        _section(console, f"{group.name}   {group.line}", _choices(group, known))
    console.print(Text("\nKeys; in brackets the values that are allowed", style="bold"))
    _section(console, "", [_row(entry) for entry in known if entry.kind == "key" and not entry.choice])


def _group(group: Entry, known: Sequence[Entry], console: Console) -> None:
    _section(console, f"{group.name}   {group.line}", _choices(group, known))
    for choice in (entry for entry in known if entry.kind == "choice" and _group_of(entry) == group.name):
        if keys := [_row(entry) for entry in known if entry.choice == choice.name and not _follows(entry)]:
            _section(console, choice.name, keys)


def _choice(choice: Entry, known: Sequence[Entry], console: Console) -> None:
    console.print(Text(choice.name, style="bold"))
    console.print(Padding(Text(choice.more or choice.line), (0, 0, 0, 2)))
    if keys := [_row(entry) for entry in known if entry.choice == choice.name]:
        _section(console, "", keys)
    if _group_of(choice) == "experiment":
        lines = [line for line in choice.file.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
        console.print(Padding(Text("\n".join(lines).strip()), (1, 0, 0, 2)))
    if choice.target:
        # Lines of a paragraph are joined; indented ones, such as arguments, stay.
        said = re.sub(r"(?<=\S)\n(?=\S)", " ", docstring(choice.target))
        console.print(Padding(Text(f"{choice.target}\n{said}".strip()), (1, 0, 0, 2)))


def _key(name: str, found: Sequence[Entry], known: Sequence[Entry], console: Console) -> None:
    """A key, in each choice that has it, and the keys below it."""
    for entry in found:
        _section(console, entry.choice, [_row(entry, entry.more)])
    if below := [_row(entry) for entry in known if entry.name.startswith(f"{name}.") and not entry.choice]:
        _section(console, "", below)


def _choices(group: Entry, known: Iterable[Entry]) -> list[tuple[str, Text]]:
    known = list(known)
    rows = []
    for choice in (entry for entry in known if entry.kind == "choice" and _group_of(entry) == group.name):
        keys = [entry for entry in known if entry.choice == choice.name and not _follows(entry)]
        names = ", ".join(entry.name for entry in keys if entry.name.count(".") == 1)
        name = choice.name.partition("=")[2]
        line = f"{choice.line} (default)" if name == group.default else choice.line
        rows.append((name, _with_brackets(line, names)))
    return rows


def _row(entry: Entry, line: str = "") -> tuple[str, Text]:
    return _setting(entry), _with_brackets(line or entry.line, entry.allowed)


def _with_brackets(line: str, bracketed: str) -> Text:
    return Text.assemble(line, (f" [{bracketed}]" if bracketed else "", "dim"))


def _setting(entry: Entry) -> str:
    """An entry's name with its default, as one would type it."""
    default: Any = entry.default
    if isinstance(default, dict):
        return entry.name
    plain = {True: "true", False: "false", None: "null"}
    value = plain[default] if default is None or isinstance(default, bool) else default
    return f"{entry.name}={str(value).replace(', ', ',')}"


def _follows(entry: Entry) -> bool:
    return isinstance(entry.default, str) and entry.default.startswith("${")


def _group_of(choice: Entry) -> str:
    return choice.name.partition("=")[0]


def _section(console: Console, title: str, rows: Sequence[tuple[str, Text]]) -> None:
    """Names and what they are, side by side where there is room for it."""
    if title:
        console.print(Text(f"\n{title}", style="bold"))
    longest = max(len(name) for name, _ in rows)
    if longest > WIDEST_NAME * console.width:
        for name, text in rows:
            console.print(Padding(Text(name, style="cyan"), (0, 0, 0, 2)))
            console.print(Padding(text, (0, 0, 0, 6)))
        return
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style="cyan", no_wrap=True, width=longest)
    table.add_column()
    for name, text in rows:
        table.add_row(name, text)
    console.print(Padding(table, (0, 0, 0, 2)))


def _unknown(topic: str, config_name: str, known: Iterable[Entry]) -> str:
    names = list(dict.fromkeys(entry.name for entry in known))
    same_ending = [name for name in names if name.endswith((f".{topic}", f"={topic}"))]
    guesses = same_ending[:3] or difflib.get_close_matches(topic, names, n=3)
    hint = f"; did you mean {' or '.join(guesses)}?" if guesses else ""
    return f"{topic} is no group, choice or key{hint} (`{PROGRAMS[config_name][0]} --help` lists them)"
