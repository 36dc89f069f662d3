"""Rules of what may be built from settings that somebody else stored: building imports and calls what they name."""

import importlib
import inspect
import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from pglab.build import build_shapes
from pglab.errors import InputError
from pglab.training.bundle import Shapes

PACKAGE = Path(__file__).resolve().parent
COMPONENTS = ("algorithms", "envs", "models", "training")  # subpackages of pglab


def build_stored(settings: Mapping[str, Any], trusted: Collection[str] = ()) -> Shapes:
    """World, head and network (as it sees observations) of a stored study, from its settings, to play single episodes.

    Args:
        trusted: top-level modules whose parts may be built, beside those of pglab and torch.optim.

    Raises:
        InputError: something else would be built, or what is there does not fit together.
    """
    built = {group: settings.get(group) for group in ("env", "head", "network")}
    built |= {"observations": settings["observations"]} if "observations" in settings else {}
    try:
        check_trusted(built, trusted)
        shapes = build_shapes({**built, "device": "cpu", "lanes": 1})
        shapes.policy().model.layout  # noqa: B018
    except InputError:
        raise
    except (Exception, RecursionError) as error:
        raise InputError(f"the stored settings make no policy ({type(error).__name__}: {error})") from error
    return shapes


def check_trusted(settings: Any, trusted: Collection[str] = ()) -> None:
    """Raises InputError where building a component would call anything but the following.

    - A class or function that a module of pglab's components defines itself.
    - An optimizer class of `torch.optim`.
    - Anything of a top-level module in `trusted`.

    That holds for every `_target_` at any depth, and for the module in a Gymnasium id `module:Name-v0`.
    Nothing is imported to find out but pglab's own modules and torch.optim. Stored settings are resolved,
    so that an interpolation in them, which could become anything, is refused too.
    """
    for name in _named(settings):
        if name.partition(".")[0] in trusted or _is_component(name) or _is_optimizer(name):
            continue
        top = name.partition(".")[0]
        flag = f"; --trust {top} builds parts of that module all the same" if top.isidentifier() else ""
        raise InputError(
            f"the settings would call {name!r:.200}, which is no component of pglab and no optimizer of torch{flag}"
        )


def _named(tree: Any) -> Iterator[str]:
    """Everything that building some settings would look up: targets, and modules of Gymnasium ids."""
    if isinstance(tree, Mapping):
        target = str(tree.get("_target_"))
        if "_target_" in tree:
            yield target
        if target.startswith("hydra.utils.get_"):  # a class or function itself, not a call of it
            yield str(tree.get("path"))
        for key, value in tree.items():
            if key != "_target_":
                yield from _named(value)
    elif isinstance(tree, list | tuple):
        for part in tree:
            yield from _named(part)
    elif isinstance(tree, str) and "${" in tree:
        raise InputError(f"the settings hold the interpolation {tree!r:.200}, and stored ones hold none")
    elif isinstance(tree, str) and (found := re.fullmatch(r"([^\W\d][\w.]*):\S*", tree)):
        yield found[1]  # Gymnasium imports `module` of `module:Name-v0`


def _is_component(name: str) -> bool:
    module, _, last = name.rpartition(".")
    package, *parts = module.split(".")
    if package != "pglab" or len(parts) < 2 or parts[0] not in COMPONENTS or not all(map(str.isidentifier, parts)):
        return False
    if not PACKAGE.joinpath(*parts).with_suffix(".py").is_file():
        return False
    found = vars(importlib.import_module(module)).get(last)
    return (inspect.isclass(found) or inspect.isfunction(found)) and found.__module__ == module


def _is_optimizer(name: str) -> bool:
    if not name.startswith("torch.optim."):
        return False
    optim = importlib.import_module("torch.optim")
    found = vars(optim).get(name.removeprefix("torch.optim."))
    return (
        inspect.isclass(found)
        and issubclass(found, optim.Optimizer)
        and f"{found.__module__}.".startswith("torch.optim.")
    )
