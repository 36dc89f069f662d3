"""Every group, choice and key of the configuration with a line about it, from the comments in its YAML files.

A comment stands behind a key or above it, and at the head of a choice's file; its first sentence is the line.
`[…]` at its beginning are the values that are allowed; without it the default tells their type.
"""

import ast
import importlib.util
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import yaml

from pglab.compose import CONF, CONFIG

SENTENCE = re.compile(r"(?<=[^.])\.(?:\s+(?=[A-Z`\"θ])|$)")
KEY = re.compile(r"(?P<indent>\s*)(?P<name>[\w.]+):(?P<value>.*?)(?:(?:^|\s)#\s*(?P<comment>.*))?$")
GROUP = re.compile(r"\s*- (?P<name>\w+): (?P<choice>\w+)\s*(?:#\s*(?P<comment>.*))?$")
KINDS = {bool: "true, false", int: "whole number", float: "number", str: "text", list: "list"}


@dataclass(frozen=True)
class Entry:
    """A group, a choice of a group, or a key.

    Attributes:
        kind: which of these.
        name: `weighting`, `weighting=gae`, `weighting.lam`, `gamma`.
        default: of a group its choice, of a key its value.
        line: about it, in a sentence.
        allowed: values, in words.
        more: all of the comment.
        choice: the one that a key belongs to, such as `weighting=gae`; empty for a key of every run.
        target: of a choice the component that it builds.
        file: where it is said.
    """

    kind: Literal["group", "choice", "key"]
    name: str
    default: Any
    line: str
    allowed: str
    more: str
    choice: str = ""
    target: str = ""
    file: Path = Path()


def entries(config_name: str = CONFIG, folders: Sequence[Path] = (CONF,)) -> Iterator[Entry]:
    """Yields each group, followed by its choices and their keys; then the keys of every run.

    Args:
        config_name: the file in `conf/` that everything starts from; what it leaves unsaid is as in `config`.
        folders: of all YAML files, the user's own included.
    """
    first = CONF / f"{config_name}.yaml"
    known = {} if config_name == CONFIG else {entry.name: entry for entry in entries()}
    for group in _groups(first, folders):
        yield group if group.line else replace(group, line=known[group.name].line)
        yield from _choices(group.name, folders)
    for key in _keys(first, ""):
        said = known.get(key.name, key)
        yield key if key.line else replace(key, line=said.line, allowed=said.allowed, more=said.more)


def docstring(target: str) -> str:
    """The docstring of a component, read from its source: nothing is imported."""
    module, _, name = target.rpartition(".")
    package, *parts = module.split(".")
    spec = importlib.util.find_spec(package) if package else None
    if spec is None or spec.origin is None:
        return ""
    file = Path(spec.origin).parent.joinpath(*parts).with_suffix(".py") if parts else Path(spec.origin)
    if not file.exists():
        return ""
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name == name:
            return ast.get_docstring(node) or ""
    return ""


def _groups(first: Path, folders: Sequence[Path]) -> Iterator[Entry]:
    """The groups of the list of defaults, then those that only the user has."""
    listed = filter(None, map(GROUP.fullmatch, first.read_text(encoding="utf-8").splitlines()))
    said = {found["name"]: (yaml.safe_load(found["choice"]), found["comment"] or "") for found in listed}
    own = {file.parent.name for folder in folders for file in folder.glob("*/*.yaml")}
    for name in [*said, *sorted(own - {folder.name for folder in CONF.iterdir()} - {"hydra"})]:
        default, comment = said.get(name, (None, "your own"))
        choices = ", ".join(file.stem for file in _files(name, folders))
        yield Entry("group", name, default, _first_sentence(comment), choices, comment, file=first)


def _choices(group: str, folders: Sequence[Path]) -> Iterator[Entry]:
    for file in _files(group, folders):
        head = _head(file)
        content = yaml.safe_load(file.read_text(encoding="utf-8")) or {}
        target = str(content.get("_target_", ""))
        name = f"{group}={file.stem}"
        line = _first_sentence(head or docstring(target))
        yield Entry("choice", name, None, line, "", head, target=target, file=file)
        if group != "experiment":  # its keys are set by it, and belong elsewhere
            for key in _keys(file, f"{group}."):
                yield replace(key, choice=name)


def _files(group: str, folders: Sequence[Path]) -> list[Path]:
    return sorted((file for folder in folders for file in folder.glob(f"{group}/*.yaml")), key=lambda file: file.stem)


def _head(file: Path) -> str:
    """The comment at the beginning of a file."""
    lines = [line for line in file.read_text(encoding="utf-8").splitlines() if not line.startswith("# @package")]
    comments = []
    for line in lines:
        if not line.startswith("#"):
            break
        comments.append(line.lstrip("# "))
    return " ".join(comments)


def _keys(file: Path, prefix: str) -> Iterator[Entry]:
    """The keys in a file, nested ones under dotted names; a mapping on one line is a value."""
    above: list[str] = []
    path: list[tuple[int, str]] = []  # indentation and name of the keys around a line
    content = yaml.safe_load(file.read_text(encoding="utf-8")) or {}
    for line in file.read_text(encoding="utf-8").splitlines():
        found = KEY.fullmatch(line)
        if line.lstrip().startswith("#") or not found:
            above = [*above, line.strip("# ")] if line.strip() else []
            continue
        path = [(indent, name) for indent, name in path if indent < len(found["indent"])]
        path.append((len(found["indent"]), found["name"]))
        names = [name for _, name in path]
        comment, above = found["comment"] or " ".join(above), []
        if names[0] in ("defaults", "hydra") or names[-1].startswith("_"):
            continue
        default = _at(content, names)
        given = re.match(r"\[([^\]]+)\]\s*(.*)", comment)
        allowed, said = (given[1], given[2]) if given else (_kind(default), comment)
        yield Entry("key", prefix + ".".join(names), default, _first_sentence(said), allowed, said, file=file)


def _at(content: Any, names: Sequence[str]) -> Any:
    for name in names:
        content = content.get(name) if isinstance(content, dict) else None
    return content


def _kind(default: Any) -> str:
    """The type of a key's values, as its default tells it."""
    if isinstance(default, str) and default.startswith("${"):
        return f"follows {default.strip('${}')}"
    return KINDS.get(type(default), "")


def _first_sentence(text: str) -> str:
    return SENTENCE.split(" ".join(text.split()), maxsplit=1)[0]
