"""Many judgements at once, in processes with one thread of arithmetic each."""

import multiprocessing
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
from rich.console import Console
from rich.progress import Progress

Result = TypeVar("Result")


def in_parallel(work: Callable[..., Result], tasks: Sequence[tuple[Any, ...]], workers: int) -> list[Result]:
    """`work` called with each task's arguments, in the order of the tasks.

    An exception or an interruption ends all children.
    """
    context, terminal = multiprocessing.get_context("spawn"), Console(stderr=True)
    with (
        ProcessPoolExecutor(min(workers, len(tasks)), context, torch.set_num_threads, (1,)) as pool,
        Progress(console=terminal, transient=True, disable=not terminal.is_terminal) as progress,
    ):
        bar = progress.add_task("verifying", total=len(tasks))
        try:
            with _deaf_children():
                futures = [pool.submit(work, *task) for task in tasks]
            for future in as_completed(futures):
                future.result()
                progress.advance(bar)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for child in multiprocessing.active_children():
                child.terminate()
            raise
        return [future.result() for future in futures]


@contextmanager
def _deaf_children() -> Iterator[None]:
    """Starts processes that a Ctrl-C does not reach: their parent decides, and hears it afterwards.

    A child inherits the blocked signal from its first moment on, before it could ignore it by itself.
    """
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
