"""The door for engines: whoever starts workers somewhere. The built-in ones are a dozen lines each."""

import importlib
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from pglab.errors import InputError
from pglab.studies.cluster.address import Address
from pglab.studies.cluster.agent import work


@dataclass(frozen=True)
class Worker:
    """A worker of a study. To call it is to be it, until the study ends; `command` does the same in a shell.

    Attributes:
        address: where it dials in.
        key: the file with the study's key, which it must be able to read where it runs.
        folder: for what an engine wants to keep, such as its logs; a place of this command alone.
        path: where its modules are found.
        directory: in which it runs, where there is such a one: paths in a component's settings are from there.
    """

    address: Address
    key: Path
    folder: Path
    path: tuple[str, ...]
    directory: Path

    def __call__(self) -> None:
        if self.directory.is_dir():
            os.chdir(self.directory)
        sys.path += [place for place in self.path if place not in sys.path]
        if status := work(self.address, self.key, hired=True):
            sys.exit(status)

    @property
    def command(self) -> list[str]:
        """The program and its arguments."""
        return [sys.executable, "-m", "pglab.worker", str(self.address), "--key", str(self.key), "--hired"]

    @property
    def shell(self) -> str:
        """One line for a shell or a script: the command in the study's working directory, with its modules."""
        path = shlex.quote(os.pathsep.join(self.path))
        return f"cd {shlex.quote(str(self.directory))} && PYTHONPATH={path} {shlex.join(self.command)}"


class Engine(Protocol):
    """Starts workers. Made with `cluster.options` as keyword arguments, before anything is written.

    A class of one's own is named as `engine` by a file in one's own `cluster/` folder of configurations.
    """

    def start(self, worker: Worker, count: int) -> None:
        """Has so many workers started, soon or when there is room; called again where some are lost."""
        ...

    def stop(self) -> None:
        """Takes back all that run or wait; within seconds."""
        ...

    def state(self) -> str:
        """Says in a few words how they are, to one who waits for them."""
        ...


def engine_of(cluster: Mapping[str, Any]) -> Engine:
    """The engine that a configuration chooses.

    Raises:
        InputError: there is none, it lacks something, or it does not take the options.
    """
    target = str(cluster["engine"])
    module, _, name = target.rpartition(".")
    try:
        made = getattr(importlib.import_module(module), name)
    except (ImportError, ValueError, AttributeError) as error:
        raise InputError(f"cluster: {target} cannot be imported: {error}") from error
    try:
        return made(**cluster["options"])
    except (TypeError, ValueError) as error:
        given = " ".join(f"cluster.options.{key}={value}" for key, value in cluster["options"].items())
        raise InputError(f"cluster ({target}) does not take {given}: {error}") from error


class Processes:
    """Workers on this machine, each a process that dials in like any other."""

    def __init__(self) -> None:
        self._processes: list[subprocess.Popen] = []

    def start(self, worker: Worker, count: int) -> None:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(worker.path)}
        with open(worker.folder / "processes.log", "ab") as log:
            self._processes += [
                subprocess.Popen(
                    worker.command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                    start_new_session=True,
                )
                for _ in range(count)
            ]  # fmt: skip

    def stop(self) -> None:
        for process in self._processes:
            process.send_signal(signal.SIGKILL)
            process.wait()

    def state(self) -> str:
        return f"{sum(process.poll() is None for process in self._processes)} processes here"
