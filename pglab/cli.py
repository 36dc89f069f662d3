"""The Hydra application behind `python -m pglab` and `pglab.run`."""

import os
import shlex
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import hydra
import pandas as pd
from hydra import compose, initialize_config_dir
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.conf import HydraConf
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, open_dict
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from pglab.compose import CONF, CONFIG, composed, explain, unnamed_choice
from pglab.errors import InputError
from pglab.studies.asked import Composed
from pglab.studies.train import INTERRUPTED, train

BAD_INPUT = 2  # exit status


def main() -> int:
    """Composes the runs of the command line, trains them, and returns the exit status."""

    given = shlex.join(["python", "-m", "pglab", *sys.argv[1:]])

    def here(job: Composed) -> float | None:
        study = train([job], given)
        if study.plan.settings["plan"]:
            return None
        if study.outcome.interrupted:
            raise SystemExit(study.exit_status)  # no job after this one
        if study.outcome.failures:
            raise RuntimeError(f"this job's training failed:\n{study.outcome.failures[0]}")
        return study.objective()

    return command(CONFIG, lambda jobs: train(jobs, given).exit_status, here)


def command(
    config_name: str, together: Callable[[list[Composed]], int], one_by_one: Callable[[Composed], float | None]
) -> int:
    """Composes what the command line asks for and has it done; returns the exit status.

    Bad input becomes one line and status 2.

    Args:
        config_name: the file in `conf/` that the command starts from.
        together: does all jobs of the command line.
        one_by_one: does one job, where a launcher or sweeper wants them so.
    """
    handed_in: list[Composed] = []
    problems: list[InputError] = []

    def task(config: DictConfig) -> float | None:
        if not _hands_in(HydraConfig.get()):
            return one_by_one(composed(config, HydraConfig.get()))
        try:
            handed_in.append(composed(config, HydraConfig.get()))
        except InputError as error:  # raised here, Hydra would print a heading of its own
            problems.append(error)

    try:
        _listen_for_interruption()
        with _arguments() as plain_sweep:
            hydra.main(version_base="1.3", config_path=str(CONF), config_name=config_name)(task)()
        if problems:
            raise problems[0]
        return together(handed_in) if handed_in or plain_sweep else 0
    except InputError as error:
        message = str(error)
    except (HydraException, OmegaConfBaseException, YAMLError) as error:
        message = explain(error, config_name)
    except ValueError as error:
        message = unnamed_choice(error, sys.argv[1:])
    except OSError as error:
        message = f"cannot store the results: {error}"
    except KeyboardInterrupt:
        print("Interrupted; nothing was written.", file=sys.stderr)
        return INTERRUPTED
    print(f"error: {message}", file=sys.stderr)
    return BAD_INPUT


def _listen_for_interruption() -> None:
    """Makes a scheduler's stop the same as a Ctrl-C, and either come at most once."""
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:  # as a shell's background jobs have it
        signal.signal(signal.SIGINT, _interrupt_once)
    signal.signal(signal.SIGTERM, _interrupt_once)


def _interrupt_once(number: int, frame: FrameType | None) -> None:
    """The first Ctrl-C interrupts; further ones must not disturb the storing of what there is."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise KeyboardInterrupt


def run(overrides: Sequence[str] = (), config_dir: str | Path | None = None) -> pd.DataFrame:
    """Trains what `python -m pglab -m OVERRIDES` would, and returns the rows of its runs.

    Args:
        overrides: Hydra overrides, sweeps included: `["weighting=total,rtg", "seed=0,1,2"]`.
        config_dir: a folder with YAML files of one's own, as `--config-dir`.

    Returns:
        The frame of `pglab.results.load`, only the arms and seeds asked for; an empty one with `plan=true`.

    Raises:
        InputError: bad input; nothing was trained or written.
        RuntimeError: a component raised; the other runs are trained and stored.
    """
    arguments = ", ".join([repr(list(overrides)), *([f"config_dir={str(config_dir)!r}"] if config_dir else [])])
    study = train(compose_runs(overrides, config_dir), f"pglab.run({arguments})")
    if study.plan.settings["plan"]:
        return pd.DataFrame()
    if study.outcome.failures:
        raise RuntimeError(f"{study.outcome.count('failed')} runs failed:\n{study.outcome.failures[0]}")
    if study.outcome.interrupted:
        raise KeyboardInterrupt
    return study.rows()


def compose_runs(overrides: Sequence[str], config_dir: str | Path | None = None) -> list[Composed]:
    """Composes what `python -m pglab -m OVERRIDES` would train, without training it."""
    if config_dir is not None and not Path(config_dir).is_dir():
        raise InputError(f"config_dir={config_dir} is not a folder")
    search = [] if config_dir is None else [f'hydra.searchpath=["file://{Path(config_dir).resolve()}"]']
    GlobalHydra.instance().clear()
    asked = []
    try:
        with initialize_config_dir(str(CONF), version_base="1.3"):
            with_sweep = OverridesParser.create().parse_overrides([*_own_sweep(overrides, search), *overrides])
            (jobs,) = BasicSweeper.split_arguments(with_sweep, None)
            for job in jobs:
                config = compose(CONFIG, [*search, *job], return_hydra_config=True)
                hydra_config = config.hydra
                with open_dict(config):
                    del config["hydra"]
                asked.append(composed(config, hydra_config))
    except (HydraException, OmegaConfBaseException, YAMLError) as error:
        raise InputError(explain(error, CONFIG)) from error
    except InputError:
        raise
    except ValueError as error:
        raise InputError(unnamed_choice(error, overrides)) from error
    return asked


def _own_sweep(overrides: Sequence[str], search: Sequence[str]) -> list[str]:
    """What the chosen configuration sweeps itself (`hydra.sweeper.params`), as overrides to go before those given."""
    given = OverridesParser.create().parse_overrides(list(overrides))
    fixed = [str(override.input_line) for override in given if not override.is_sweep_override()]
    params = compose(CONFIG, [*search, *fixed], return_hydra_config=True).hydra.sweeper.params
    return [f"{key}={values}" for key, values in (params or {}).items()]


def _hands_in(config: HydraConf) -> bool:
    """Whether Hydra only composes here: its other launchers and sweepers want each job trained."""
    parts = (config.launcher._target_, config.sweeper._target_)
    return config.mode == RunMode.RUN or all(".Basic" in part for part in parts)


def _first_override(arguments: Sequence[str]) -> int:
    """The place of the first `key=value` that is not an option's value; past the end where there is none."""
    for place in range(1, len(arguments)):
        before, argument = arguments[place - 1], arguments[place]
        takes_value = place > 1 and before.startswith("-") and before not in ("-m", "--multirun")
        if "=" in argument and not argument.startswith("-") and not takes_value:
            return place
    return len(arguments)


@contextmanager
def _arguments() -> Iterator[bool]:
    """Prepares the command line for Hydra; yields whether it is a sweep of Hydra's basic kind.

    Hydra's own sweeper leaves a `multirun.yaml` in its sweep folder, of no use here: it goes to
    a temporary one. Errors come to us as exceptions, not as Hydra's prints.
    """
    given, full_error = list(sys.argv), os.environ.get("HYDRA_FULL_ERROR")
    sweeps = any(argument in ("-m", "--multirun") for argument in given)
    plain = sweeps and not any(a.startswith(("hydra/launcher=", "hydra/sweeper=")) for a in given)
    os.environ["HYDRA_FULL_ERROR"] = "1"
    try:
        with tempfile.TemporaryDirectory() as folder:
            if plain:  # beside the other overrides: Hydra takes those in one piece only
                first = _first_override(given)
                sys.argv = [*given[:first], f"hydra.sweep.dir={folder}", *given[first:]]
            yield plain
    finally:
        sys.argv = given
        os.environ.pop("HYDRA_FULL_ERROR")
        if full_error is not None:
            os.environ["HYDRA_FULL_ERROR"] = full_error
