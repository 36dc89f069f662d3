"""From overrides to the configurations of all jobs: the one way in which a plain sweep is composed."""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import product
from pathlib import Path
from traceback import walk_tb
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.config_loader import ConfigLoader
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.types import Override, OverrideType
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from pglab.compose import CONF, CONFIG, composed, explain, unnamed_choice, without_hydra
from pglab.errors import InputError
from pglab.overrides import parsed
from pglab.studies.asked import Composed

MOST_KNOWN = 256  # compositions that are kept
OF_HYDRA = re.compile(r"\$\{\s*hydra\s*:")


def compose_runs(overrides: Sequence[str], config_dir: str | Path | None = None) -> list[Composed]:
    """Composes what `python -m pglab -m OVERRIDES` would train, without training it.

    Raises:
        InputError: bad input, or a launcher or sweeper beyond Hydra's own, which wants each job by itself.
    """
    jobs = plain_jobs(overrides, config_dir, CONFIG, sweeps=True)
    if jobs is None:
        raise InputError(
            "the configuration chooses a launcher, sweeper or callback beyond Hydra's own, which "
            "`python -m pglab -m` serves; here add hydra/launcher=basic hydra/sweeper=basic"
        )
    return jobs


def plain_jobs(
    overrides: Sequence[str], config_dir: str | Path | None, config_name: str, sweeps: bool
) -> list[Composed] | None:
    """Composes each job of a command as Hydra would; the last key that is swept goes fastest.

    Args:
        config_dir: a folder with YAML files of one's own.
        config_name: the file that everything starts from.
        sweeps: the command may name several values of a key.

    Returns:
        None where the configuration asks for more than Hydra's basic sweeper and launcher can do, so that
        Hydra itself has to run the command.

    Raises:
        InputError: bad input, in one line.
    """
    first, *others = config_folders(config_name, config_dir)
    GlobalHydra.instance().clear()
    with explained(config_name, overrides), initialize_config_dir(str(first), version_base="1.3"):
        loader = GlobalHydra.instance().config_loader()
        search, given = _search_path(parsed(overrides, loader), others)
        own = [override for override in given if not override.is_hydra_override()]
        always = [*search, *(_text(override) for override in given if override.is_hydra_override())]
        by_choices = _ByChoices(config_name, always, loader)
        mode = RunMode.MULTIRUN if sweeps else RunMode.RUN  # a group that must be chosen may be so in the sweep
        base = by_choices.base(own, mode)
        if sweeps or base.hydra.mode == RunMode.MULTIRUN:
            if not _is_basic(base):
                return None
            own_sweep = parsed((f"{key}={values}" for key, values in (base.hydra.sweeper.params or {}).items()), loader)
            jobs = _jobs([*own_sweep, *own])
        else:
            jobs = [list(map(_text, own))]
        return [_job(*by_choices.job(parsed(job, loader)), number) for number, job in enumerate(jobs)]


@dataclass(frozen=True)
class _Chosen:
    """Choices alone, composed by Hydra."""

    config: DictConfig

    @cached_property
    def settings(self) -> Mapping[str, Any]:
        return without_hydra(self.config)

    @cached_property
    def asks_hydra(self) -> bool:
        """True where a `${hydra:…}` in it may stand for something that goes by the values, too."""
        return OF_HYDRA.search(str(self.config)) is not None


class _ByChoices:
    """Composes jobs, once for each set of choices: it takes Hydra a tenth of a second.

    Values of keys are set afterwards, as Hydra itself would. A job with overrides of any other kind is left to it.

    Args:
        config_name: the file that everything starts from.
        always: overrides of Hydra's own, which all jobs have.
        loader: Hydra's.
    """

    def __init__(self, config_name: str, always: list[str], loader: ConfigLoader) -> None:
        self._name, self._always, self._loader = config_name, always, loader
        self._known: dict[tuple[str, ...], _Chosen] = {}
        self._is_group = cache(
            lambda key: bool(loader.get_group_options(key, config_name=config_name, overrides=always))
        )

    def base(self, given: Iterable[Override], mode: RunMode) -> DictConfig:
        """The configuration that all jobs of a command share; keys inside of groups may be there in the jobs alone."""
        shared = [one for one in given if not (one.is_sweep_override() or "." in one.key_or_group)]
        load = self._loader.load_configuration
        return self._composed(shared, lambda texts: load(self._name, [*self._always, *texts], mode))[0]

    def job(self, overrides: Sequence[Override]) -> tuple[DictConfig, _Chosen | None]:
        """The configuration of a job, and, where known, that of its choices alone."""
        return self._composed(overrides, lambda texts: compose(self._name, [*self._always, *texts], True))

    def _composed(
        self, overrides: Sequence[Override], by_hydra: Callable[[Sequence[str]], DictConfig]
    ) -> tuple[DictConfig, _Chosen | None]:
        texts = [_text(override) for override in overrides]
        values = [override for override in overrides if self._is_value(override)]
        choices = tuple(_text(override) for override in overrides if self._is_choice(override))
        if len(values) + len(choices) < len(texts):
            return by_hydra(texts), None
        chosen = self._known.get(choices)
        if chosen is None:
            chosen = _Chosen(by_hydra(choices))
            if len(self._known) == MOST_KNOWN:
                self._known.clear()
            if not OmegaConf.missing_keys(chosen.config.hydra.runtime.choices):  # by a base; a job may not miss any
                self._known[choices] = chosen
        if chosen.asks_hydra:
            return by_hydra(texts), None
        config = deepcopy(chosen.config)
        try:
            for override in values:
                OmegaConf.update(config, override.key_or_group, override.value())
        except OmegaConfBaseException:
            return by_hydra(texts), None  # which says what is wrong
        with open_dict(config):
            config.hydra.overrides.task = texts
        return config, chosen

    def _is_choice(self, override: Override) -> bool:
        return self._is_plain(override) and isinstance(override.value(), str) and self._is_group(override.key_or_group)

    def _is_value(self, override: Override) -> bool:
        """True where it sets a key that is there to a value; a mapping is one of a group, too."""
        to_choose = self._is_group(override.key_or_group) and not isinstance(override.value(), dict)
        return self._is_plain(override) and not to_choose

    def _is_plain(self, override: Override) -> bool:
        if override.type != OverrideType.CHANGE or override.package or override.is_sweep_override():
            return False
        return not override.is_hydra_override() and "hydra" not in str(override.value())


def _text(override: Override) -> str:
    return str(override.input_line)


@contextmanager
def explained(config_name: str, overrides: Sequence[str]) -> Iterator[None]:
    """Turns complaints of Hydra into an InputError of one line.

    Args:
        config_name: the file that the command starts from.
        overrides: of the command.
    """
    try:
        yield
    except InputError:
        raise
    except (HydraException, OmegaConfBaseException, YAMLError) as error:
        raise InputError(explain(error, config_name)) from error
    except ValueError as error:
        if file := _unread(error):
            raise InputError(f"{file} is not UTF-8; save it as such") from error
        raise InputError(unnamed_choice(error, overrides)) from error


def _unread(error: ValueError) -> str | None:
    """The configuration file that Hydra was reading as letters were none; None for another error."""
    frames = (frame for frame, _ in walk_tb(error.__traceback__) if isinstance(error, UnicodeDecodeError))
    reading = [frame.f_locals for frame in frames if frame.f_globals["__name__"].endswith("file_config_source")]
    return str(reading[-1].get("full_path", "a configuration file")) if reading else None


def config_folders(config_name: str, config_dir: str | Path | None) -> list[Path]:
    """The folders of configurations; Hydra looks for the file that everything starts from in the first one only.

    Raises:
        InputError: `config_dir` is no folder.
    """
    if config_dir is None:
        return [CONF]
    if not Path(config_dir).is_dir():
        raise InputError(f"config_dir={config_dir} is not a folder")
    folders = [CONF, Path(config_dir).resolve()]
    return sorted(folders, key=lambda folder: not (folder / f"{config_name}.yaml").exists())


def _search_path(given: list[Override], folders: Sequence[Path]) -> tuple[list[str], list[Override]]:
    """The override that has Hydra find further folders, beside those that were asked for; and the overrides left."""
    path: list[Any] = [f"file://{folder}" for folder in folders]
    for override in given:
        asked = override.value() if override.key_or_group == "hydra.searchpath" else None
        path += asked if isinstance(asked, list) else []
    left = [override for override in given if override.key_or_group != "hydra.searchpath"]
    return [f"hydra.searchpath={json.dumps(path, ensure_ascii=False)}"] if path else [], left


def _is_basic(config: DictConfig) -> bool:
    """Nothing takes part in the jobs but Hydra's own launcher and sweeper, which run them here, in order."""
    parts = (config.hydra.launcher._target_, config.hydra.sweeper._target_)
    return all(".Basic" in part for part in parts) and not config.hydra.callbacks


def _jobs(given: Iterable[Override]) -> list[list[str]]:
    """The overrides of each job; a key that is given again replaces what was given first, in its place."""
    choices: dict[str, list[str]] = {}
    for override in given:
        key = override.get_key_element()
        if not override.is_sweep_override():
            choices[key] = [f"{key}={override.get_value_element_as_str()}"]
        elif override.is_discrete_sweep():
            choices[key] = [f"{key}={value}" for value in override.sweep_string_iterator()]
        else:
            raise InputError(f"{override.input_line} is no list of values to sweep over; write {key}=A,B or range(A,B)")
    if not all(choices.values()):
        raise InputError("the sweep is empty: it names no value for at least one key")
    return [list(job) for job in product(*choices.values())]


def _job(config: DictConfig, chosen: _Chosen | None, number: int) -> Composed:
    """One configuration, checked, with `${hydra:…}` in it resolved.

    Args:
        chosen: that of its choices alone, where it is known.
    """
    with open_dict(config):
        config.hydra.job.num, config.hydra.job.id = number, str(number)
    HydraConfig.instance().set_config(config)
    hydra_config = config.hydra
    with open_dict(config):
        del config["hydra"]
    return composed(config, hydra_config, chosen and chosen.settings)
