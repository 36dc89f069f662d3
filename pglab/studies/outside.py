"""Places where the user's own files load code or data while they run, which no check of their source can follow."""

import ast
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path

from pglab.studies.own_code import own_files

FUNCTIONS = {"__import__", "exec", "eval", "execfile", "open"}  # by themselves: `model.eval()` is another thing
METHODS = {
    *("import_module", "spec_from_file_location", "run_path", "run_module", "open", "read_text", "read_bytes"),
    *(
        "loadtxt",
        "genfromtxt",
        "fromfile",
        "memmap",
        "read_csv",
        "read_parquet",
        "read_json",
        "read_pickle",
        "read_table",
    ),
    *("load_state_dict_from_url", "safe_load"),
}  # of whatever module or object, and by themselves
LOADERS = {"np", "numpy", "torch", "joblib", "pickle", "json", "yaml", "tomllib"}  # their `load` reads a file
WRITING = set("wax")
MOST = 3  # places that are named before the rest is only counted


def outside(names: Iterable[str]) -> str | None:
    """One sentence on the calls in the user's own files that load code or data at run time; None without any.

    The files are read and parsed; nothing of them is executed.

    Args:
        names: of components, as of `own_files`.
    """
    places = [f"{hint}, line {line}: {call}" for hint, file in own_files(names).items() for line, call in _calls(file)]
    if not places:
        return None
    named = "; ".join(places[:MOST]) + (f" and {len(places) - MOST} more" if len(places) > MOST else "")
    return (
        f"what is loaded while a component runs is outside the check of changed code ({named}): "
        "when it changes, give the command another study=NAME, or on_mismatch=rerun"
    )


def _calls(file: Path) -> Iterator[tuple[int, str]]:
    """Line and name of each call that loads something, by line."""
    try:
        with warnings.catch_warnings(action="ignore"):
            tree = ast.parse(file.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and _loads(node)]
    for node in sorted(calls, key=lambda node: node.lineno):
        yield node.lineno, ast.unparse(node.func)


def _loads(call: ast.Call) -> bool:
    function = call.func
    if isinstance(function, ast.Name):
        return function.id in FUNCTIONS | METHODS and not (function.id == "open" and _writes(call, 1))
    if not isinstance(function, ast.Attribute):
        return False
    if function.attr == "load":
        return isinstance(function.value, ast.Name) and function.value.id in LOADERS
    return function.attr in METHODS and not (function.attr == "open" and _writes(call, 0))


def _writes(call: ast.Call, place: int) -> bool:
    """A file is opened only to be written.

    Args:
        place: of the mode among the arguments.
    """
    modes = [*call.args[place : place + 1], *(word.value for word in call.keywords if word.arg == "mode")]
    told = [str(mode.value) for mode in modes if isinstance(mode, ast.Constant)]
    return any(WRITING & set(mode) and "+" not in mode for mode in told)
