"""The pool: where workers come from, and what they report."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from multiprocessing.connection import wait
from typing import Any, Protocol

from pglab.errors import InputError
from pglab.processes import SINGLE_THREAD, start
from pglab.studies.messages import WITHOUT_A_WORD, Check, Checked, Done, Event, Failed, Job, Lost
from pglab.studies.plan import Shard

STANDARD_ERROR = 2  # that of this process; `sys.stderr` is none in a notebook
LAST = (Checked, Done, Failed, Lost)  # of an order


class Pool(Protocol):
    """Workers, wherever they are. Each trains one shard at a time."""

    @property
    def idle(self) -> int:
        """Workers that have nothing to do."""
        ...

    def send(self, shard: Shard, job: Job) -> None:
        """Gives a shard to an idle worker."""
        ...

    def events(self, patience: float) -> Iterator[tuple[Shard, Event]]:
        """Yields what workers report within so many seconds, each with its shard.

        `Done`, `Failed` and `Lost` are the last of a shard. A worker that is gone is replaced where that can be.
        """
        ...

    def stop(self) -> None:
        """Ends all workers at once; what they were training is lost to them."""
        ...


class LocalPool:
    """Processes on this machine."""

    def __init__(self, workers: int) -> None:
        self._idle: list[_Worker] = []
        self._busy: dict[_Worker, Shard] = {}
        try:
            for _ in range(workers):
                self._idle.append(_Worker())
        except BaseException:  # an interruption between two of them
            self.stop()
            raise

    @property
    def idle(self) -> int:
        return len(self._idle)

    def check(self, settings: Sequence[Mapping[str, Any]], stored: Sequence[Mapping[str, Any]] = ()) -> Checked:
        """Has the components of arms built and tried, and returns what came of it.

        Args:
            settings: of the arms.
            stored: identities of arms that a study has besides, whose programs come after those.

        Raises:
            InputError: an arm could not be trained.
        """
        # All of them check, one answers: checking is what makes a worker ready to train.
        for worker in self._idle:
            worker.send(Check(tuple(settings), tuple(stored)))
        answer, *_ = [worker.receive() for worker in self._idle]
        if isinstance(answer, Failed):
            raise InputError(f"the components could not be tried:\n{answer.shown}")
        if isinstance(answer, Lost):
            raise InputError(f"the components could not be tried: {WITHOUT_A_WORD}")
        assert isinstance(answer, Checked)
        if answer.problem:
            raise InputError(answer.problem)
        return answer

    def send(self, shard: Shard, job: Job) -> None:
        worker = self._idle.pop()
        if not worker.alive:  # it ended while it had nothing to do
            worker.stop()
            worker = _Worker()
        self._busy[worker] = shard
        worker.send(job)

    def events(self, patience: float) -> Iterator[tuple[Shard, Event]]:
        ready = wait([worker.connection for worker in self._busy], timeout=patience)
        for worker in [worker for worker in self._busy if worker.connection in ready]:
            event = worker.receive()
            assert not isinstance(event, Checked)
            yield self._busy[worker], event
            if not worker.has_order:
                del self._busy[worker]
                self._idle.append(worker if worker.alive else _Worker())

    def stop(self) -> None:
        for worker in (*self._idle, *self._busy):
            worker.stop()


class _Worker:
    """The parent's end of a worker process.

    Attributes:
        has_order: it is at work on one.
    """

    def __init__(self) -> None:
        self._process, self.connection = start("pglab.studies.worker", SINGLE_THREAD, stdout=STANDARD_ERROR)
        self.has_order = False

    def send(self, order: Check | Job) -> None:
        self.has_order = True
        with contextlib.suppress(OSError):  # that the process is gone shows in `receive`
            self.connection.send(order)

    def receive(self) -> Checked | Event:
        """Returns what the worker reports; the shard of a process that is gone is lost."""
        try:
            message = self.connection.recv()
        except (EOFError, OSError):  # also in the middle of a message
            self.stop()
            message = Lost()
        self.has_order = not isinstance(message, LAST)
        return message

    @property
    def alive(self) -> bool:
        return self._process.poll() is None and not self.connection.closed

    def stop(self) -> None:
        """Ends the process at once."""
        self._process.kill()
        self._process.wait()
        self.connection.close()
