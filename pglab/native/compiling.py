"""Compilation: once for each kind of world and policy, and kept for later processes."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import inspect
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import llvmlite
import numba
from numba import typeof
from numba.core.caching import FunctionCache
from numba.extending import register_jitable

HERE = Path(__file__).parent
OPTIONS = {"error_model": "numpy", "fastmath": False}


class _Kept(FunctionCache):
    """Compiled code in a folder that belongs to one text of a function and its parts."""

    def _index_key(self, sig: Any, codegen: Any) -> Any:
        # Numba's own has the closure in it, pickled: that of inner functions is another one in each process.
        return sig, codegen.magic_tuple()


class Compiled:
    """A function that numba compiles when it is first called, in one process after another.

    Args:
        function: may close over functions of modules and over numbers, nothing else.
        parts: what it is specialised on, functions and numbers.
    """

    def __init__(self, function: Callable[..., Any], parts: Sequence[Any]) -> None:
        self._folder = cache_folder() / _digest(function, parts)
        self._folder.mkdir(exist_ok=True)
        with _kept_in(self._folder):
            self._dispatcher: Any = numba.njit(function, **OPTIONS)
            self._dispatcher._cache = _Kept(function)
        self._ready = False

    def __call__(self, *arguments: Any) -> Any:
        if not self._ready:
            with _alone(self._folder):
                if not any(self._folder.rglob("*.nbc")):
                    _say_so()
                self._dispatcher.compile(tuple(typeof(argument) for argument in arguments))
            self._ready = True
        return self._dispatcher(*arguments)


def compiled(*parts: Any) -> Callable[[Callable[..., Any]], Compiled]:
    """Makes a function, specialised on these parts, a compiled one."""
    return lambda function: Compiled(_renamed(function, parts), parts)


def specialized(*parts: Any) -> Callable[[Callable[..., Any]], Any]:
    """Makes a function, specialised on these parts, one that compiled code may call."""
    return lambda function: register_jitable(_renamed(function, parts))


def _renamed(function: Callable[..., Any], parts: Sequence[Any]) -> Callable[..., Any]:
    """The function under a name of its own.

    What is loaded from the cache is linked by names that another process chose, by numbers that begin anew in each: two
    functions of one name would be taken for one another.
    """
    mark = hashlib.sha256("\0".join(map(_name, parts)).encode()).hexdigest()[:16]
    function.__name__ = f"{function.__name__}_{mark}"
    function.__qualname__ = f"{function.__qualname__}_{mark}"
    return function


@cache
def cache_folder() -> Path:
    """The folder where compiled code is kept: never the package's, which may be read-only.

    `$XDG_CACHE_HOME/pglab` or `~/.cache/pglab`; where that cannot be written, one among the temporary files.
    """
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    for folder in (Path(home) / "pglab", Path(tempfile.gettempdir()) / f"pglab-{os.getuid()}"):
        with contextlib.suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
            if os.access(folder, os.W_OK):
                return folder
    return Path(tempfile.mkdtemp(prefix="pglab-"))


def _digest(function: Callable[..., Any], parts: Sequence[Any]) -> str:
    """A name for everything that compiled code depends on, but for the processor, which numba asks after."""
    functions = [part for part in parts if callable(part)]
    files = {*HERE.glob("*.py"), *(Path(inspect.getfile(part)) for part in functions)}
    versions = [numba.__version__, llvmlite.__version__, sys.version]
    text = [function.__qualname__, *map(_name, parts), *versions, *(_read(file) for file in sorted(files))]
    return hashlib.sha256("\0".join(text).encode()).hexdigest()[:16]


def _name(part: Any) -> str:
    return f"{part.__module__}.{part.__qualname__}" if callable(part) else repr(part)


@cache
def _say_so() -> None:
    print(f"Compiling for backend=native, once: it is kept in {cache_folder()}", file=sys.stderr, flush=True)


@cache
def _read(file: Path) -> str:
    return file.read_text()


@contextlib.contextmanager
def _kept_in(folder: Path) -> Iterator[None]:
    """Has numba keep there what it compiles of functions that are decorated meanwhile."""
    before = numba.config.CACHE_DIR  # type: ignore[attr-defined]
    numba.config.CACHE_DIR = str(folder)  # type: ignore[attr-defined]
    try:
        yield
    finally:
        numba.config.CACHE_DIR = before  # type: ignore[attr-defined]


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Lets one process after another compile, so that all but the first find what that has kept."""
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
