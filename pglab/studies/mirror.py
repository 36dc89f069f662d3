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
from typing import Any

import numpy as np

from pglab.results.load import MEASURES
from pglab.studies.plan import Plan
from pglab.studies.process import start


class Mirror:
    """The parent's end; without effect where `logger.mode=disabled`."""

    def __init__(self, plan: Plan) -> None:
        logger = plan.arms[0].settings["logger"]
        self._timeout = logger["timeout"]
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
        arms = [(arm.name, dict(arm.settings), dict(arm.composed.choices)) for arm in plan.arms]
        self._queue.put(("open", plan.store.folder.name, str(plan.store.folder), logger, arms))
        threading.Thread(target=self._feed, daemon=True).start()

    def log(self, number: int, measures: Mapping[str, np.ndarray]) -> None:
        if self._process:
            self._queue.put(("log", number, {name: column.tolist() for name, column in measures.items()}))

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
            say(f"warning: W&B has an incomplete mirror ({problem}); the local results are complete")

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
    os.environ["WANDB_SILENT"] = "true"
    import wandb

    settings = wandb.Settings(console="off", disable_git=True, save_code=False, x_disable_stats=True)
    live: dict[tuple[int, int], Any] = {}

    def run_of(number: int, seed: int) -> Any:
        if (number, seed) not in live:
            name, config, choices = arms[number]
            run = wandb.init(
                project=logger["project"],
                entity=logger["entity"],
                mode=logger["mode"],
                dir=folder,
                group=name,
                name=f"{name},seed={seed}",
                tags=[study[:64]],
                config={**config, "seed": seed, "choices": choices},
                reinit="create_new",
                settings=settings,
            )
            run.define_metric("env_steps")
            run.define_metric("*", step_metric="env_steps")
            live[number, seed] = run
        return live[number, seed]

    while (event := connection.recv()) is not None:
        kind, number, content = event
        if kind == "log":
            for row in zip(*content.values(), strict=True):
                values = dict(zip(content, row, strict=True))
                diverged = values.pop("diverged")
                run = run_of(number, values.pop("seed"))
                # A diagnostic that was not measured at this update has no point on its chart.
                run.log({name: value for name, value in values.items() if name in MEASURES or value == value})
                if diverged:
                    run.summary["diverged_at"] = values["update"]
        else:
            for seed, status in content.items():
                run = run_of(number, seed)  # a run that failed in its first update is new here
                run.summary["status"] = status
                run.finish(exit_code=0 if status == "finished" else 1)
                del live[number, seed]
    for run in live.values():
        run.summary["status"] = "stopped"
        run.finish(exit_code=1)
    wandb.teardown()
