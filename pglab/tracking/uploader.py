"""A process of its own that uploads runs, one after the other, and can be given up at any time."""

import math
import shutil
import signal
import subprocess
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Protocol

from pglab.processes import start
from pglab.tracking.server import MirrorError

GRACE = 1.0  # seconds that the process has beyond the timeout to say itself what is wrong


class Parcel(Protocol):
    """What can be sent to the process, to be uploaded by it."""

    def deliver(self, api: Any, folder: Path, timeout: float) -> None:
        """Uploads it.

        Args:
            api: a `wandb.Api`.
            folder: where the client's own files go.
            timeout: seconds that it may take.

        Raises:
            MirrorError: the server did not take everything.
        """
        ...


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

    def begin(self, parcel: Parcel) -> None:
        """Has a run uploaded; `result` says how it went."""
        self.connection.send(parcel)
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


def serve(descriptor: int) -> None:
    """Answers the parent, until it is gone or something cannot be done."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    connection = Connection(descriptor)
    try:
        _answer(connection)
    except EOFError:
        return
    except BaseException as error:
        connection.send((_explained(error), None))


def _answer(connection: Connection) -> None:
    folder, timeout = connection.recv()
    import wandb

    api = wandb.Api(timeout=math.ceil(timeout))
    connection.send(("", (api.settings["base_url"], api.settings["entity"] or api.default_entity)))
    while True:
        connection.recv().deliver(api, Path(folder), timeout)
        connection.send(("", None))


def _explained(error: BaseException) -> str:
    """One line about what went wrong."""
    lines = str(error).splitlines() or [""]
    if isinstance(error, MirrorError):
        return lines[0]
    answer = getattr(error.__cause__, "response", None)
    if "error 401" in lines[0] or (answer and answer.http_status in (401, 403)):
        return "it does not accept the API key; set WANDB_API_KEY, or `wandb login --relogin`"
    if isinstance(error, TimeoutError) or "deadline exceeded" in lines[0] or "in time" in lines[0]:
        return f"it could not be reached, or took nothing, in time ({lines[-1]})"
    return f"{type(error).__name__}: {lines[0]}"
