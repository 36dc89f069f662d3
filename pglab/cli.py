"""The Hydra application behind `python -m pglab` and `pglab.run`."""

import os
import shlex
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import hydra
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from pglab.arguments import Arguments, parse
from pglab.compose import CONF, CONFIG, composed
from pglab.errors import InputError
from pglab.manual import manual
from pglab.overrides import parsed
from pglab.shell import ended, told
from pglab.studies.asked import Composed
from pglab.sweep import compose_runs, config_folders, explained, plain_jobs

if TYPE_CHECKING:
    import pandas as pd

    from pglab.studies.train import Trained

SCHEDULER = (signal.SIGTERM, signal.SIGUSR2)  # by which one stops a job


def main() -> int:
    """Composes the runs of the command line, trains them, and returns the exit status."""

    given = _given()

    def here(job: Composed) -> float | None:
        study = _train([job], given)
        if study.plan.settings["plan"]:
            return None
        if study.outcome.interrupted:
            raise SystemExit(study.exit_status)  # no job after this one
        if study.outcome.failures:
            raise RuntimeError(f"this job's training failed:\n{study.outcome.failures[0]}")
        return study.objective()

    return command(CONFIG, lambda jobs: _train(jobs, given).exit_status, here)


def _train(jobs: Sequence[Composed], given: str) -> "Trained":
    from pglab.studies.until import train_as_asked  # brings pandas along, which `--help` does not need

    return train_as_asked(jobs, given)


def command(
    config_name: str, together: Callable[[list[Composed]], int], one_by_one: Callable[[Composed], float | None]
) -> int:
    """Composes what the command line asks for and has it done; returns the exit status.

    Args:
        config_name: the file in `conf/` that the command starts from.
        together: does all jobs of the command line.
        one_by_one: does one job, where a launcher or sweeper wants them so.
    """
    return ended(lambda: _done(config_name, together, one_by_one))


def _done(
    config_name: str, together: Callable[[list[Composed]], int], one_by_one: Callable[[Composed], float | None]
) -> int:
    interrupted = "Interrupted; nothing was written."
    try:
        stopped = _listen_for_interruption()
        with _undisguised(stopped):
            asked = parse(sys.argv[1:])
            if asked.options.get("version"):
                print(f"pglab {version('pglab')}")
                return 0
            if asked.options.get("help"):
                with explained(config_name, ()):
                    print(manual(asked.overrides, config_name, config_folders(config_name, asked.config_dir)), end="")
                return 0
            jobs = _plain_jobs(asked, config_name)
        if jobs is not None:
            return together(jobs)
        interrupted = "Interrupted. What the jobs have stored is kept; the same command again trains what is missing."
        try:
            with _undisguised(stopped):
                _run_by_hydra(asked, config_name, lambda config: one_by_one(composed(config, HydraConfig.get())))
        finally:
            if asked.trains:
                _say_verdict(_results_dir(asked))
        return 0
    except BrokenPipeError:
        raise
    except OSError as error:
        raise InputError(f"cannot store the results: {told(error)}") from error
    except KeyboardInterrupt as interruption:
        raise KeyboardInterrupt(interrupted) from interruption


def _say_verdict(results_dir: Path) -> None:
    from pglab.studies.console import Console
    from pglab.studies.ending import verdict_elsewhere

    console = Console()
    for line in verdict_elsewhere(results_dir, _given()):
        console.say(line)


def _given() -> str:
    """The command, as one would give it again."""
    return shlex.join(["python", "-m", "pglab", *sys.argv[1:]])


def _results_dir(asked: Arguments) -> Path:
    """The folder of studies that the command names, else the default one."""
    named = [text.partition("=")[2] for text in asked.overrides if text.startswith("results_dir=")]
    return Path(named[-1] if named else "results")


def _plain_jobs(asked: Arguments, config_name: str) -> list[Composed] | None:
    """The jobs, where it is for us to have them done; None where it is for Hydra."""
    if not asked.trains:
        return None
    name = str(asked.options.get("config_name", config_name))
    return plain_jobs(asked.overrides, asked.config_dir, name, asked.sweeps)


def _run_by_hydra(asked: Arguments, config_name: str, task: Callable[[DictConfig], float | None]) -> None:
    """Hands the command to Hydra: to its launchers and sweepers, or to an option such as `--cfg`.

    Raises:
        InputError: Hydra refuses it.
    """
    parsed(asked.overrides)  # Hydra's own complaints are of its grammar
    GlobalHydra.instance().clear()
    with explained(config_name, asked.overrides), _as_hydra_takes_it(asked):
        hydra.main(version_base="1.3", config_path=str(CONF), config_name=config_name)(task)()


@contextmanager
def _as_hydra_takes_it(asked: Arguments) -> Iterator[None]:
    """Puts the command line in order, and has errors come to us as exceptions, not as Hydra's prints."""
    given, full_error = list(sys.argv), os.environ.get("HYDRA_FULL_ERROR")
    sys.argv = [given[0], *asked.for_hydra()]
    os.environ["HYDRA_FULL_ERROR"] = "1"
    try:
        yield
    finally:
        sys.argv = given
        os.environ.pop("HYDRA_FULL_ERROR")
        if full_error is not None:
            os.environ["HYDRA_FULL_ERROR"] = full_error


@contextmanager
def interruptible() -> Iterator[None]:
    """Listens for a stop from here on; one that comes in the context says that nothing was written."""
    try:
        with _undisguised(_listen_for_interruption()):
            yield
    except KeyboardInterrupt as interruption:
        raise KeyboardInterrupt("Interrupted; nothing was written.") from interruption


def _listen_for_interruption() -> threading.Event:
    """Makes a scheduler's stop the same as a Ctrl-C, and either come at most once; returns what tells that it came."""
    stopped = threading.Event()

    def interrupt(number: int, frame: FrameType | None) -> None:
        # Further ones must not disturb the storing of what there is.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        for scheduler in SCHEDULER:
            signal.signal(scheduler, signal.SIG_IGN)
        stopped.set()
        raise KeyboardInterrupt

    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:  # as a shell's background jobs have it
        signal.signal(signal.SIGINT, interrupt)
    for scheduler in SCHEDULER:
        signal.signal(scheduler, interrupt)
    return stopped


@contextmanager
def _undisguised(stopped: threading.Event) -> Iterator[None]:
    """Raises KeyboardInterrupt for what libraries make of one that comes in the middle of them: an error, or nothing.

    Args:
        stopped: is set when it came.
    """
    try:
        yield
    except Exception as error:
        if stopped.is_set():
            raise KeyboardInterrupt from error
        raise
    if stopped.is_set():
        raise KeyboardInterrupt


def run(overrides: Sequence[str] = (), config_dir: str | Path | None = None) -> "pd.DataFrame":
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
    study = _train(compose_runs(overrides, config_dir), f"pglab.run({arguments})")
    if study.plan.settings["plan"]:
        import pandas as pd

        return pd.DataFrame()
    if study.outcome.failures:
        raise RuntimeError(f"{study.outcome.count('failed')} runs failed:\n{study.outcome.failures[0]}")
    if study.outcome.interrupted:
        raise KeyboardInterrupt
    return study.rows
