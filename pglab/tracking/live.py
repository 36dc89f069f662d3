"""Weights & Biases as a mirror of a study: every run of ours is a run there.

A process of its own does all the talking, fed through a queue: training never waits for it, and
losing it (server down, disk full, bad key) costs a warning.
"""

import os
import queue
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from pglab.processes import start
from pglab.store.films import film_file
from pglab.store.sealed import unseal_text
from pglab.studies.plan import Plan
from pglab.tracking.wandb_run import Description, begin, columns_of, end, final_returns, log, log_film


class Mirror:
    """The parent's end; without effect where `logger.mode=disabled`."""

    def __init__(self, plan: Plan) -> None:
        logger = plan.arms[0].settings["logger"]
        self._timeout, self._folder = logger["timeout"], plan.store.folder
        self._queue: queue.SimpleQueue = queue.SimpleQueue()
        self._process: subprocess.Popen | None = None
        if logger["mode"] == "disabled" or not plan.shards:
            return
        self._process, self._connection = start(
            __name__,
            {},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # a Ctrl-C must not reach the client's own service
        )
        named = [(arm.name, arm.composed) for arm in plan.arms]
        arms = [(name, dict(c.settings), dict(c.given), dict(c.choices)) for name, c in named]
        self._queue.put(("open", plan.store.folder.name, plan.store.folder, logger, arms))
        threading.Thread(target=self._feed, daemon=True).start()

    def log(self, number: int, measures: Mapping[str, np.ndarray]) -> None:
        if self._process:
            self._queue.put(("log", number, dict(measures)))

    def film(self, number: int, seed: int, update: int, file: Path) -> None:
        """Adds a film to the row that was logged last of this run."""
        if self._process:
            self._queue.put(("film", number, (seed, update, file)))

    def finish(self, number: int, status: Mapping[int, str]) -> None:
        if self._process:
            self._queue.put(("finish", number, dict(status)))

    def close(self, say: Callable[[str], None], patience: float | None = None) -> None:
        """Waits until everything is mirrored, at most `patience` or `logger.timeout` seconds."""
        if self._process is None:
            return
        self._queue.put(None)
        patience = self._timeout if patience is None else patience
        try:
            problem = self._connection.recv() if self._connection.poll(patience) else "it did not end in time"
        except (EOFError, OSError):
            problem = "its process ended early"
        self._process.kill()
        self._process.wait()
        if problem:
            completing = f"`python -m pglab.mirror {self._folder}` completes it"
            say(f"warning: W&B has an incomplete mirror ({problem}); the local results are complete, and {completing}")

    def _feed(self) -> None:
        try:
            while (event := self._queue.get()) is not None:
                self._connection.send(event)
            self._connection.send(None)
        except OSError:
            return  # `close` sees that the process is gone


def serve(descriptor: int) -> None:
    """Mirrors events until the parent says that there are no more, or is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    connection = Connection(descriptor)
    problem = ""
    try:
        _mirror(connection)
    except EOFError:
        return
    except BaseException as error:
        lines = str(error).splitlines()
        problem = f"{type(error).__name__}: {lines[0] if lines else ''}"
    connection.send(problem)


def _mirror(connection: Connection) -> None:
    _, study, folder, logger, arms = connection.recv()
    os.makedirs(folder, exist_ok=True)
    live: dict[tuple[int, int], Any] = {}
    diverged_at: dict[tuple[int, int], int] = {}

    def run_of(number: int, seed: int, measures: Mapping[str, str]) -> Any:
        if (number, seed) not in live:
            name, *composed = arms[number]
            place = unseal_text(folder / name / "arm.json")["place"]
            described = Description(study, name, seed, *composed, place=place)
            live[number, seed] = begin(described, measures, logger, folder)
        return live[number, seed]

    while (event := connection.recv()) is not None:
        kind, number, content = event
        if kind == "log":
            columns = columns_of(content)
            for row in zip(*(column.tolist() for column in content.values()), strict=True):
                values = dict(zip(content, row, strict=True))
                seed, diverged = values.pop("seed"), values.pop("diverged", False)
                # That of a row from before an interruption is there; that of a new row follows it.
                film = film_file(folder / arms[number][0], seed, values["update"])
                log(run_of(number, seed, columns), [values], {values["update"]: film} if film.exists() else {})
                if diverged:
                    diverged_at[number, seed] = values["update"]
        elif kind == "film":
            seed, update, file = content
            log_film(run_of(number, seed, {}), update, file)
        else:
            returns = final_returns(folder / arms[number][0])
            for seed, status in content.items():
                run = run_of(number, seed, {})  # a run that failed in its first update is new here
                end(run, status, diverged_at.get((number, seed)), returns.get(seed))
                del live[number, seed]
    for run in live.values():
        end(run, "stopped", None, None)
    import wandb

    wandb.teardown()
