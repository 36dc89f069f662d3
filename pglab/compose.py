"""Checking what Hydra composed, and saying in one line what is wrong with it."""

import difflib
import inspect
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from types import NoneType
from typing import Any, Literal, get_args, get_origin

from hydra import compose, initialize_config_dir
from hydra.core.config_loader import ConfigLoader
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode
from hydra.utils import get_object
from omegaconf import DictConfig, OmegaConf
from yaml import YAMLError

from pglab.errors import InputError
from pglab.overrides import quoted, typed
from pglab.studies.asked import Composed

CONFIG = "config"
_IN_WHEEL = Path(__file__).resolve().parent / "conf"
CONF = _IN_WHEEL if _IN_WHEEL.exists() else _IN_WHEEL.parent.parent / "conf"


def composed(config: DictConfig, hydra_config: Any, expected: Mapping[str, Any] | None = None) -> Composed:
    """One configuration, checked key by key. Call it while Hydra is set up.

    Args:
        expected: that of its choices alone; None: it is composed here.

    Raises:
        InputError: an unknown key, or a value of the wrong type.
    """
    choices = {group: str(choice) for group, choice in hydra_config.runtime.choices.items() if choice is not None}
    choices = {group: choice for group, choice in choices.items() if not group.startswith("hydra/")}
    asked = tuple(map(typed, hydra_config.overrides.task))
    for group, _, names in (text.partition("=") for text in asked):
        if names.startswith("[") and group != "experiment" and (CONF / group).is_dir():
            swept = f"{group}={names.strip('[]')}"
            raise InputError(f"{group}={names} is a list, and an arm has one choice; {swept} with -m is a sweep")
    settings = _plain(OmegaConf.to_container(config, resolve=True))
    _check_groups(choices, settings)
    if expected is None:
        found_by = [f"hydra.searchpath={json.dumps(list(hydra_config.searchpath or []), ensure_ascii=False)}"]
        found_by += [quoted(f"{group}={choice}") for group, choice in choices.items()]
        expected = _expected(GlobalHydra.instance().config_loader(), hydra_config.job.config_name, tuple(found_by))
    _check_complete(expected, settings)
    plain_first = sorted(settings.items(), key=lambda item: isinstance(item[1], Mapping))
    known = dict(_leaves(expected))
    for key, value in plain_first:  # groups repeat plain keys by interpolation
        _compare(key, value, expected, known)
    given = dict(_leaves(OmegaConf.to_container(config, resolve=False)))
    given = {key: value for key, value in given.items() if "${" not in str(value)}
    return Composed(settings, given, choices, asked)


@lru_cache(maxsize=256)
def _expected(loader: ConfigLoader, config_name: str, found_by: tuple[str, ...]) -> dict[str, Any]:
    """Composes the same choices without further overrides. A loader serves one command."""
    return without_hydra(loader.load_configuration(config_name, list(found_by), run_mode=RunMode.RUN))


def without_hydra(composed: DictConfig) -> dict[str, Any]:
    """A configuration without Hydra's own part, its interpolations resolved."""
    keys = [str(key) for key in composed if key != "hydra"]
    return _plain(OmegaConf.to_container(OmegaConf.masked_copy(composed, keys), resolve=True))


def unnamed_choice(error: ValueError, overrides: Iterable[str]) -> str:
    """Says which config group was set to something that is no name, such as `logger=null`.

    Raises:
        ValueError: `error`, where it is about something else.
    """
    kind = re.search(r"Config group override must be a string or a list. Got (\w+)", str(error))
    if not kind:
        raise error
    groups = {folder.name for folder in CONF.iterdir() if folder.is_dir()}
    guilty = [text for text in overrides if text.partition("=")[0].lstrip("+") in groups]
    return f"the choice of a group must be a name, not {kind[1]}: see {', '.join(guilty)}"


def explain(error: Exception, config_name: str) -> str:
    """The complaint of Hydra or OmegaConf, without advice that does not apply here."""
    text = str(error)
    if isinstance(error, YAMLError):
        return f"a configuration file is no YAML: {' '.join(text.split())}"
    if there := re.search(r"already at '([^']+)'|Multiple values for (\S+)\.", text):
        return f"+{there[1] or there[2]}: the key is there already, so leave the + out"
    if wanted := re.search(r"Interpolation key '([^']+)' not found", text):
        return f"${{{wanted[1]}}}: there is no key {wanted[1]} whose value could stand here"
    if brought := re.search(r"In '([^']+)': Could not override '([^']+)'", text):
        option, group = brought[1].replace("/", "="), brought[2]
        return f"{option} brings a choice of {group} along: in the defaults list {group} must come before it"
    if key := re.search(r"Could not (?:override|delete from config\.) '([^']+)'", text):
        if (CONF / key[1]).is_dir():
            return f"{key[1]} is set to one of its choices, by name: {', '.join(_names_of_choices(key[1]))}"
        with initialize_config_dir(str(CONF), version_base="1.3"):
            known = config_name if (CONF / f"{config_name}.yaml").exists() else CONFIG
            defaults = OmegaConf.to_container(compose(known))
        return _unknown(key[1], {**_plain(defaults), **dict(_leaves(defaults))})
    if group := re.search(r"Could not find '(.+)/([^/']*)'\s+Available options in '.*':\n((?:\t.*\n?)+)", text):
        there = ", ".join(group[3].split())
        return f"{group[1]}={group[2]} is not a choice; choose one of {there}, or of your own by --config-dir DIR"
    if several := re.search(r"Ambiguous value for argument '(.+)'", text):
        return f"{several[1]} names several values; add -m to sweep over them, or write a list as key=[a,b]"
    lines = [line.strip() for line in text.splitlines()]
    kept = [line for line in lines if line and not line.startswith(("full_key", "object_type", "See https"))]
    return "; ".join(kept)


def _names_of_choices(group: str) -> list[str]:
    return sorted(file.stem for file in (CONF / group).glob("*.yaml"))


def _text(group: str, choice: str) -> str:
    return "\n" + (CONF / group / f"{choice}.yaml").read_text(encoding="utf-8")


def _check_groups(choices: Mapping[str, str], settings: Mapping[str, Any]) -> None:
    """Raises InputError where a choice of one's own is a list, or has a number for a key."""
    for group in choices.keys() & settings.keys():
        content, chosen = settings[group], f"{group}={choices[group]}"
        if not isinstance(content, Mapping):
            raise InputError(f"{chosen} is {content}, and not a mapping; its file is to hold lines of key: value")
        for name in content:
            if not isinstance(name, str):
                raise InputError(f"{chosen} has the key {name}, which is no text; begin a key with a letter")


def _check_complete(expected: Mapping[str, Any], settings: Mapping[str, Any], path: str = "") -> None:
    """Raises InputError where a key was taken away that only a component's own default could replace."""
    for name, content in expected.items():
        optional = "_target_" in expected and not name.startswith("_")
        if name not in settings and not optional:
            raise InputError(f"{path}{name} is missing; set it, or leave ~{path}{name} out")
        if isinstance(content, Mapping) and isinstance(settings.get(name), Mapping):
            _check_complete(content, settings[name], f"{path}{name}.")


def _compare(key: str, value: Any, parent: Mapping[str, Any], known: Mapping[str, Any]) -> None:
    """Raises InputError where `parent`, as composed without overrides, has no such key or type."""
    name = key.rpartition(".")[2]
    if name not in parent:
        _check_argument(key, name, parent, known)
        return
    expected = parent[name]
    if isinstance(expected, Mapping) and isinstance(value, Mapping):
        target = value.get("_target_", expected.get("_target_"))
        for inner, content in value.items():
            if expected:  # an empty mapping takes any key
                _compare(f"{key}.{inner}", content, {**expected, "_target_": target} if target else expected, known)
        return
    allowed = {bool: bool, int: int, float: (int, float), str: str, list: list, dict: Mapping}.get(type(expected))
    wrong = allowed is not None and not isinstance(value, allowed)
    wrong |= isinstance(value, bool) and not isinstance(expected, bool | None)
    wrong |= isinstance(value, float) and not math.isfinite(value)
    if wrong and _takes(name, parent, value):
        return
    if wrong:
        kind = {bool: "true or false", int: "a whole number", float: "a number", str: "a text", list: "a list"}
        if expected is None:
            raise InputError(f"{key}={value} must be finite")
        raise InputError(f"{key}={value} must be {kind.get(type(expected), 'a mapping')}, such as {expected}")


def _check_argument(key: str, name: str, parent: Mapping[str, Any], known: Mapping[str, Any]) -> None:
    """A key beyond those of the YAML file is right only where the component takes it."""
    if "_target_" not in parent:
        raise InputError(_unknown(key, known))
    parameters = _parameters(parent["_target_"])
    if parameters is None:
        return  # said better when the component is built
    if name not in parameters and not any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        raise InputError(_unknown(key, [f"{key.rpartition('.')[0]}.{argument}" for argument in parameters]))


def _takes(name: str, parent: Mapping[str, Any], value: Any) -> bool:
    """Says whether an argument's annotation allows a value by name, as `horizon: int | None` does None."""
    parameters = _parameters(parent.get("_target_"))
    return bool(parameters) and name in parameters and _allows(parameters[name].annotation, value)


def _allows(annotation: Any, value: Any) -> bool:
    if get_origin(annotation) is Literal:
        return isinstance(value, str | bool) and value in get_args(annotation)
    return any(part is NoneType if value is None else _allows(part, value) for part in get_args(annotation))


def _parameters(target: Any) -> Mapping[str, inspect.Parameter] | None:
    """The arguments that a component takes; None where it cannot be found."""
    try:
        return inspect.signature(get_object(target)).parameters if isinstance(target, str) else None
    except (ImportError, ValueError, TypeError, AttributeError):
        return None


def _unknown(key: str, known: Iterable[str]) -> str:
    group, _, ending = key.partition(".")
    if belongs := [choice for choice in _names_of_choices(group) if f"\n{ending}:" in _text(group, choice)]:
        choices = " or ".join(f"{group}={choice}" for choice in belongs)
        return f"unknown key {key}: it belongs to {choices} (`python -m pglab --help {group}` tells more)"
    plain = [name for name in known if not name.rpartition(".")[2].startswith("_")]
    same_ending = [name for name in plain if name.endswith(f".{key}")]
    of_group = re.findall(r"^([a-z]\w*):", "".join(_text(group, choice) for choice in _names_of_choices(group)), re.M)
    as_word = [name for name in of_group if ending in name.split("_")]
    near = [f"{group}.{name}" for name in as_word or difflib.get_close_matches(ending, of_group, n=3)]
    guesses = (same_ending or list(dict.fromkeys(near)))[:3] or difflib.get_close_matches(key, plain, n=3)
    hint = f"; did you mean {' or '.join(guesses)}?" if guesses else ""
    return f"unknown key {key}{hint} (`python -m pglab --cfg job` prints every key)"


def _leaves(tree: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(tree, Mapping) and tree:
        for name, value in tree.items():
            yield from _leaves(value, f"{key}.{name}" if key else str(name))
    else:
        yield key, tree


def _plain(container: Any) -> dict[str, Any]:
    return {str(key): value for key, value in container.items()}
