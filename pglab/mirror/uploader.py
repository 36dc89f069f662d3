"""A process of its own that uploads runs, one after the other, and can be given up at any time."""

import math
import shutil
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pandas as pd

from pglab.results.load import MEASURES
from pglab.studies.process import start
from pglab.studies.wandb_run import Description, begin, columns_of, end, log

GRACE = 1.0  # seconds that the process has beyond the timeout to say itself what is wrong
LOOK_AGAIN = 0.2  # seconds between the first two looks at what the server holds
# Rebuilt from files, a run has no use for the machine and the packages of the upload.
CLIENT = {"x_disable_meta": True, "x_save_requirements": False}


class MirrorError(Exception):
    """W&B did not take a run: why, in one line."""


@dataclass(frozen=True)
class Place:
    """Where runs go."""

    server: str
    entity: str
    project: str

    def __str__(self) -> str:
        return f"{self.server}/{self.entity}/{self.project}"


@dataclass(frozen=True)
class Upload:
    """One run, with all that W&B is to have of it."""

    place: Place
    described: Description
    rows: pd.DataFrame
    status: str
    diverged_at: int | None
    final_return: float | None
    films: dict[int, Path]


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
        self._process, self.connection = start(__name__, {}, **quiet)
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

    def begin(self, upload: Upload) -> None:
        """Has a run uploaded; `result` says how it went."""
        self.connection.send(upload)
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
        _upload(api, connection.recv(), Path(folder), timeout)
        connection.send(("", None))


def _upload(api: Any, upload: Upload, folder: Path, timeout: float) -> None:
    place, last = upload.place, time.monotonic() + timeout
    path = f"{place.entity}/{place.project}/{upload.described.id}"
    _check_same(upload, _held(api, path))
    logger = {"mode": "online", "project": place.project, "entity": place.entity}
    columns = columns_of({str(name): column.to_numpy() for name, column in upload.rows.items()})
    bounds = {"init_timeout": timeout, "finish_timeout": timeout, "finish_timeout_raises": True}
    run = begin(upload.described, columns, logger, folder, **CLIENT, **bounds)
    log(run, _records(upload.rows), upload.films)
    end(run, upload.status, upload.diverged_at, upload.final_return)
    # A client that the server turned away for good ends without an error.
    wait = LOOK_AGAIN
    while (problem := _missing(upload, _held(api, path))) and time.monotonic() + wait < last:
        time.sleep(wait)
        wait = min(2 * wait, 2.0)
    if problem:
        raise MirrorError(problem)


def _held(api: Any, path: str) -> Any:
    """The run that the server has under a path; None where there is none."""
    from wandb.errors import CommError

    api.flush()  # it would give the same answer again
    try:
        return api.run(path)
    except CommError as error:
        if isinstance(error.exc, ValueError):
            return None
        raise


def _check_same(upload: Upload, held: Any) -> None:
    """Raises MirrorError where the server's run holds numbers that ours does not."""
    if held is None or "update" not in held.summary:
        return
    last = held.summary["update"]
    ours = _records(upload.rows[upload.rows["update"] == last])
    differing = [
        name
        for name in MEASURES
        for here in [float(ours[0][name]) if ours else math.nan]
        for there in [float(held.summary.get(name, here))]
        if not (math.isclose(here, there, rel_tol=1e-6) or (here != here and there != there))
    ]
    if differing or not ours:
        what = f"another {differing[0]} at" if ours else "more than is here:"
        raise MirrorError(
            f"run {upload.described.id} of {upload.described.arm},seed={upload.described.seed} has {what} update "
            f"{last}, from another training; delete it there, or choose another --project"
        )


def _records(rows: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(name): value for name, value in row.items()} for row in rows.to_dict("records")]


def _missing(upload: Upload, held: Any) -> str:
    """What the server does not have of a run that it was sent."""
    rows = held.historyLineCount if held else 0
    if rows < len(upload.rows):
        return f"it holds {rows} of the {len(upload.rows)} rows that it was sent"
    status = held.summary.get("status") if held else None
    return "" if status == upload.status else f"it holds status {status} where {upload.status} was sent"


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
