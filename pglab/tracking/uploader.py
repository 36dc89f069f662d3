"""A process of its own that uploads runs, one after the other, and can be given up at any time."""

import math
import shutil
import subprocess
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from pglab.processes import start
from pglab.tracking.client import Client, MirrorError, Place, explained, imported
from pglab.tracking.delivery import Delivery
from pglab.tracking.ledger import Known
from pglab.tracking.summary_run import Summary, bring_summary
from pglab.tracking.tracked_runs import TrackedRun

GRACE = 1.0  # seconds that the process has beyond the timeout to say itself what is wrong


class Uploader:
    """The parent's end.

    Attributes:
        connection: has something to read once what was asked for is done.
    """

    def __init__(self, timeout: float) -> None:
        self.timeout = timeout
        self._folder = tempfile.mkdtemp(prefix="pglab-mirror-")
        # The terminal's Ctrl-C is the parent's; the client's warnings are nobody's.
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "start_new_session": True}
        # It keeps copies of every table that it uploads.
        folders = {f"WANDB_{name}_DIR": self._folder for name in ("CACHE", "DATA")}
        self._process, self.connection = start(__name__, folders, **quiet)
        self.connection.send((self._folder, timeout))
        self._asked()

    @property
    def left(self) -> float:
        """Seconds until what was asked for should be done."""
        return max(0.0, self._deadline - time.monotonic())

    def account(self) -> tuple[str, str]:
        """The server's address and the entity that runs go to unless another is named.

        Raises:
            MirrorError: there is no answer, or the key is not accepted.
        """
        return self.result()

    def begin(self, place: Place, what: TrackedRun | Summary, known: Known | None) -> None:
        """Has a run or a summary uploaded; `result` says how it went, or returns what is known of it then."""
        self.connection.send((place, what, known))
        self._asked()

    def result(self) -> Any:
        """Waits for what was asked for.

        Raises:
            MirrorError: it could not be done, or not in time.
        """
        try:
            if not self.connection.poll(self.left):
                raise MirrorError(f"it could not be reached, or took nothing, within {self.timeout:g} s (--timeout)")
            problem, result = self.connection.recv()
        except (EOFError, OSError):
            raise MirrorError("the uploading process ended early") from None
        if problem:
            raise MirrorError(problem)
        return result

    def stop(self) -> None:
        """Ends the process, whatever it is doing."""
        self._process.kill()
        self._process.wait()
        self.connection.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _asked(self) -> None:
        self._deadline = time.monotonic() + self.timeout + GRACE


def serve(connection: Connection) -> None:
    """Answers the parent, until it is gone or something cannot be done."""
    try:
        _answer(connection)
    except EOFError:
        return
    except BaseException as error:
        connection.send((explained(error), None))


def _answer(connection: Connection) -> None:
    folder, timeout = connection.recv()
    api = imported().Api(timeout=math.ceil(timeout))
    connection.send(("", account(api)))
    while True:
        place, what, known = connection.recv()
        client = Client(place, api, Path(folder), timeout)
        if isinstance(what, Summary):
            uploaded = bring_summary(client, what)
        else:
            uploaded = Delivery(client, follows=False).bring(what, known)
        connection.send(("", uploaded))


def account(api: Any) -> tuple[str, str]:
    """The server's address, and the entity of an API's account."""
    return api.settings["base_url"], api.settings["entity"] or api.default_entity
