"""`python -m analysis.configuration`: writes `conf/README.md` from the comments in `conf/` and the docstrings."""

from pglab.start import run

if __name__ == "__main__":  # before anything that takes long to import
    run("analysis.configuration")

import re
from collections.abc import Iterable, Sequence

from pglab.compose import CONF
from pglab.reference import Entry, docstring, entries
from pglab.shell import Parser, ended

FILE = CONF / "README.md"
HEAD = """\
# Every group, choice and key

Written by `python -m analysis.configuration` from the comments in these YAML files and the docstrings of what they
build; `tests/test_configuration.py` holds it against them. On the screen: `python -m pglab --help`, `--help weighting`,
`--help weighting=gae`, `--help optimizer.lr`. `python -m pglab --cfg job` prints every key with its value.

Every key that makes an arm can be swept: `-m weighting=total,rtg optimizer.lr=0.003,0.01,0.03 seeds=20`.
`+optimizer.weight_decay=0.1` adds an argument that a choice's file leaves out. A file in a folder of your own is a
choice like these, by `--config-dir`: see [A weighting of your own](../pglab/GUIDE.md#a-weighting-of-your-own).
"""
KINDS = {True: "true", False: "false", None: "null"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Writes the file; returns the exit status."""
    return ended(lambda: _written(arguments))


def _written(arguments: Sequence[str] | None) -> int:
    Parser("python -m analysis.configuration", description=f"Writes {FILE.name} of conf/.").parse_args(arguments)
    FILE.write_text(text(), encoding="utf-8")
    print(FILE)
    return 0


def text() -> str:
    """The whole page: groups with their choices, then the keys of every run."""
    known = list(entries())
    groups = [entry for entry in known if entry.kind == "group"]
    listed = " · ".join(f"[{group.name}](#{group.name})" for group in groups)
    parts = [HEAD, f"{listed} · [keys](#keys-of-every-run)", *(_group(group, known) for group in groups)]
    keys = [entry for entry in known if entry.kind == "key" and not entry.choice]
    parts.append("## Keys of every run\n\n" + _keys(keys))
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _group(group: Entry, known: Sequence[Entry]) -> str:
    choices = [entry for entry in known if entry.kind == "choice" and entry.name.startswith(f"{group.name}=")]
    said = [f"## {group.name}", f"{_capital(group.line)}. Default: `{_value(group.default)}`."]
    if group.name == "experiment":
        said.append("`python -m pglab experiment=NAME seeds=12` trains one; `-m` adds arms to it.")
        rows = [(f"`{_name(choice)}`", _escaped(choice.more or choice.line)) for choice in choices]
        return "\n\n".join([*said, _table(("system", "what it is"), rows)])
    for choice in choices:
        said.append(f"### `{choice.name}`")
        said += _about(choice)
        if keys := [entry for entry in known if entry.choice == choice.name]:
            said.append(_keys(keys))
    return "\n\n".join(said)


def _about(choice: Entry) -> list[str]:
    """The comment of a choice, then the claim and formula of what it builds, and where they come from."""
    of_part = docstring(choice.target) if choice.target else ""
    paragraphs = [" ".join(part.split()) for part in of_part.split("\n\n") if not re.match(r"\s*\w+:\n", part)]
    sources = [part for part in paragraphs if re.match(r"Sources?:", part)]
    claims = [part for part in paragraphs[:2] if part not in sources]
    said = [_escaped(choice.more)] if choice.more else []
    said += [_escaped(claim) for claim in claims if claim != choice.more]
    return said + [f"*{_escaped(source)}*" for source in sources]


def _keys(keys: Iterable[Entry]) -> str:
    rows = [
        (f"`{key.name}`", f"`{_value(key.default)}`", _escaped(key.allowed or "–"), _escaped(key.more or key.line))
        for key in keys
    ]
    return _table(("key", "default", "values", "what it does"), rows)


def _table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join("| " + " | ".join(" ".join(cell.split()) for cell in line) + " |" for line in lines)


def _value(value: object) -> str:
    if isinstance(value, dict):
        return "…"
    return KINDS[value] if value is None or isinstance(value, bool) else str(value)


def _name(choice: Entry) -> str:
    return choice.name.partition("=")[2]


def _escaped(said: str) -> str:
    """Markdown in which bars split no cell and no star or underscore of a formula is emphasis."""
    outside = re.split(r"(`[^`]*`)", said)
    return "".join(part if part.startswith("`") else re.sub(r"([|*_<])", r"\\\1", part) for part in outside)


def _capital(said: str) -> str:
    return said[:1].upper() + said[1:]
