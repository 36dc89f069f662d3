"""The user's own source files behind a component, found as the import system would, with nothing executed."""

import ast
import importlib.util
import os
import sys
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.machinery import EXTENSION_SUFFIXES, SOURCE_SUFFIXES
from pathlib import Path

SUFFIXES = (*EXTENSION_SUFFIXES, *SOURCE_SUFFIXES)  # in the import system's order
STANDARD_LIBRARY = os.path.dirname(os.__file__)
Stamp = tuple[int, int, int]


@dataclass(frozen=True)
class _Module:
    """A module that could be imported.

    Attributes:
        name: dotted.
        file: None for a namespace package.
        inside: folders of its submodules; none where it is no package.
    """

    name: str
    file: str | None
    inside: tuple[str, ...]

    @property
    def hint(self) -> str:
        """Its file as seen from the folder on the path: `near_sighted.py`, `mypkg/__init__.py`."""
        end = os.path.basename(self.file or "") if self.inside else "." + (self.file or "").rpartition(".")[2]
        return self.name.replace(".", "/") + ("/" if self.inside else "") + end

    @property
    def root(self) -> str:
        """The folder that holds a top-level module."""
        return os.path.dirname(self.inside[0] if self.inside else self.file or "")


def own_files(names: Iterable[str]) -> dict[str, Path]:
    """The user's own files that importing some dotted names would read, by their place in the package.

    Those are the files of the modules and of the packages around them, and in turn of everything that
    their import statements name, inside functions too. What lies in the standard library or beside
    installed distributions is not the user's own, nor is pglab; a project installed as editable is. A
    name that leads nowhere has no files, and one imported by a computed name is not seen.

    Args:
        names: of modules or of what is in them, such as `mypkg.sub.Class`.
    """
    files: dict[str, Path] = {}
    tops: dict[str, _Module | None] = {"pglab": None, "__main__": None}
    waiting, seen = list(names), set()
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        top = name.partition(".")[0]
        if top not in tops:
            tops[top] = _own(top)
        for module in _way_to(name, tops[top]):
            if module.file is not None and module.hint not in files:
                files[module.hint] = Path(module.file)
                waiting += _imported(module)
    return files


def is_installed(name: str) -> bool:
    """Tells if the top-level module of a dotted name lies beside installed distributions."""
    top = _top_level(name.partition(".")[0])
    return top is not None and _holds_distributions(top.root)


def stamp(file: str | Path) -> Stamp:
    """Another one for a file that was written anew.

    Raises:
        OSError: there is no such file.
    """
    of = os.stat(file)
    return of.st_mtime_ns, of.st_ctime_ns, of.st_size


def _own(top: str) -> _Module | None:
    """A top-level module, if it is the user's own."""
    module = _top_level(top)
    if module is None or f"{module.root}{os.sep}".startswith(f"{STANDARD_LIBRARY}{os.sep}"):
        return None
    return None if _holds_distributions(module.root) else module


def _way_to(name: str, module: _Module | None) -> Iterator[_Module]:
    """The modules along a dotted name, from the top-level one inwards."""
    _, *parts = name.split(".")
    while module is not None:
        yield module
        module = _find(f"{module.name}.{parts.pop(0)}", module.inside) if parts else None


def _top_level(name: str) -> _Module | None:
    if name in sys.builtin_module_names:
        return None
    found = _find(name, [folder or os.getcwd() for folder in sys.path])
    if found is None and name.isidentifier():
        try:  # editable installs bring finders of their own
            spec = importlib.util.find_spec(name)
        except (ImportError, ValueError):
            return None
        if spec is not None and (spec.has_location or spec.submodule_search_locations):
            inside = tuple(spec.submodule_search_locations or ())
            return _Module(name, spec.origin if spec.has_location else None, inside)
    return found


def _find(name: str, folders: Iterable[str]) -> _Module | None:
    last = name.rpartition(".")[2]
    if not last.isidentifier():
        return None
    portions = []
    for folder in folders:
        path = os.path.join(folder, last)
        if os.path.isdir(path):
            for suffix in SUFFIXES:
                if os.path.isfile(file := os.path.join(path, f"__init__{suffix}")):
                    return _Module(name, file, (path,))
            portions.append(path)
        for suffix in SUFFIXES:
            if os.path.isfile(file := path + suffix):
                return _Module(name, file, ())
    return _Module(name, None, tuple(portions)) if portions else None


@cache
def _holds_distributions(folder: str) -> bool:
    if os.path.basename(folder) in ("site-packages", "dist-packages"):
        return True
    return any(Path(folder).glob("*.dist-info"))


def _imported(module: _Module) -> Iterator[str]:
    """The dotted names in a module's import statements, relative ones resolved."""
    assert module.file is not None
    if not module.file.endswith(tuple(SOURCE_SUFFIXES)):
        return
    package = module.name.split(".") if module.inside else module.name.split(".")[:-1]
    try:
        statements = _statements(module.file, stamp(module.file))
    except OSError:
        return
    for level, name in statements:
        if level <= len(package):
            yield ".".join([*package[: len(package) - level + 1], name] if level else [name])


@lru_cache(maxsize=4096)
def _statements(file: str, _: Stamp) -> tuple[tuple[int, str], ...]:
    """Level (0: absolute) and name of everything that a file imports; nothing where it is no Python."""
    try:
        with warnings.catch_warnings(action="ignore"):
            tree = ast.parse(Path(file).read_bytes())
    except (SyntaxError, ValueError):
        return ()
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(0, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = [node.module] if node.module else []
            found += [(node.level, ".".join([*base, alias.name])) for alias in node.names]
    return tuple(dict.fromkeys(found))
