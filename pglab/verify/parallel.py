"""Many judgements at once, in processes with one thread of arithmetic each."""

import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from subprocess import Popen
from typing import Any, TypeVar

from rich.console import Console
from rich.progress import Progress

from pglab.processes import SINGLE_THREAD, start

Result = TypeVar("Result")


def in_parallel(work: Callable[..., Result], tasks: Sequence[tuple[Any, ...]], workers: int) -> list[Result]:
    """Calls `work` with each task's arguments; returns the results in the order of the tasks.

    An exception or an interruption ends all children.
    """
    terminal = Console(stderr=True)
    children: list[tuple[Popen, Connection]] = []
    waiting, results = list(reversed(range(len(tasks)))), dict[int, Result]()
    busy: dict[Connection, int] = {}
    try:
        for _ in range(min(workers, len(tasks))):
            children.append(start(__name__, SINGLE_THREAD))
        with Progress(console=terminal, transient=True, disable=not terminal.is_terminal) as progress:
            bar = progress.add_task("verifying", total=len(tasks))
            idle = [connection for _, connection in children]
            while len(results) < len(tasks):
                while idle and waiting:
                    busy[connection := idle.pop()] = waiting.pop()
                    with suppress(OSError):  # that the process is gone shows in `_received`
                        connection.send((work, tasks[busy[connection]]))
                for connection in wait(list(busy)):
                    assert isinstance(connection, Connection)
                    results[busy.pop(connection)] = _received(connection)
                    idle.append(connection)
                    progress.advance(bar)
    finally:
        for process, connection in children:
            process.kill()
            process.wait()
            connection.close()
    return [results[number] for number in range(len(tasks))]


def serve(connection: Connection) -> None:
    """Works on one task after another until the parent is gone."""
    import torch

    torch.set_num_threads(1)
    while True:
        try:
            work, task = connection.recv()
        except (EOFError, OSError):
            return
        try:
            answer = (None, work(*task))
        except Exception:
            answer = (traceback.format_exc(), None)
        connection.send(answer)


def _received(connection: Connection) -> Any:
    try:
        fault, result = connection.recv()
    except (EOFError, OSError):
        fault, result = "its process ended without a word (killed, or out of memory?)", None
    if fault:
        raise RuntimeError(f"a judgement failed: {fault}")
    return result
