"""From overrides to the configurations of all jobs: the one way in which a plain sweep is composed."""

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from itertools import product
from pathlib import Path
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

from pglab.compose import CONF, CONFIG, composed, explain, unnamed_choice
from pglab.errors import InputError
from pglab.overrides import parsed
from pglab.settings import KEYS
from pglab.studies.asked import Composed


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
        by_choices = _ByChoices(config_name, always, [first, *others], loader)
        mode = RunMode.MULTIRUN if sweeps else RunMode.RUN  # a group that must be chosen may be so in the sweep
        base = by_choices.base(own, mode)
        if sweeps or base.hydra.mode == RunMode.MULTIRUN:
            if not _is_basic(base):
                return None
            own_sweep = parsed((f"{key}={values}" for key, values in (base.hydra.sweeper.params or {}).items()), loader)
            jobs = _jobs([*own_sweep, *own])
        else:
            jobs = [list(map(_text, own))]
        return [_job(*by_choices.composed(parsed(job, loader)), number) for number, job in enumerate(jobs)]


class _ByChoices:
    """Composes jobs, once for each set of choices: it takes Hydra a tenth of a second.

    Values of keys are set afterwards, as Hydra itself would.

    Args:
        config_name: the file that everything starts from.
        always: overrides of Hydra's own, which all jobs have.
        folders: of configurations.
        loader: Hydra's.
    """

    def __init__(self, config_name: str, always: Sequence[str], folders: Sequence[Path], loader: ConfigLoader) -> None:
        self._name, self._always, self._folders, self._loader = config_name, always, folders, loader
        self._known: dict[tuple[str, ...], DictConfig] = {}

    def base(self, given: Iterable[Override], mode: RunMode) -> DictConfig:
        """The choices that all jobs of a command have in common; keys inside of groups may be there in jobs alone."""
        fixed = [override for override in given if not (override.is_sweep_override() or self._is_value(override))]
        choices = tuple(_text(override) for override in fixed if "." not in override.key_or_group)
        self._known[choices] = self._loader.load_configuration(self._name, [*self._always, *choices], mode)
        return self._known[choices]

    def composed(self, job: Sequence[Override]) -> tuple[DictConfig, DictConfig | None]:
        """The configuration of a job, and, where known, that of its choices alone."""
        texts = [_text(override) for override in job]
        values = [override for override in job if self._is_value(override)]
        choices = tuple(_text(override) for override in job if override not in values)
        if choices not in self._known:
            self._known[choices] = self._by_hydra(choices)
        chosen = self._known[choices]
        if "${hydra:" in str(chosen):  # some of what it stands for goes by the values
            return self._by_hydra(texts), None
        config = deepcopy(chosen)
        try:
            for override in values:
                OmegaConf.update(config, override.key_or_group, override.value())
        except OmegaConfBaseException:
            return self._by_hydra(texts), None  # which says what is wrong
        with open_dict(config):
            config.hydra.overrides.task = texts
        plain = all(text.partition("=")[0] in config.hydra.runtime.choices for text in choices)
        return config, chosen if plain else None

    def _is_value(self, override: Override) -> bool:
        """Whether it sets a key that is there to a value that nothing else decides."""
        key, plain = override.key_or_group, override.type == OverrideType.CHANGE and not override.package
        if not plain or override.is_sweep_override() or "/" in key or "hydra:" in _text(override):
            return False
        return "." in key or (key in KEYS and not any((folder / key).is_dir() for folder in self._folders))

    def _by_hydra(self, overrides: Sequence[str]) -> DictConfig:
        return compose(self._name, [*self._always, *overrides], return_hydra_config=True)


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
        raise InputError(unnamed_choice(error, overrides)) from error


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


def _job(config: DictConfig, chosen: DictConfig | None = None, number: int = 0) -> Composed:
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
    return composed(config, hydra_config, chosen)
