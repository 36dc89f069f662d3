"""The W&B client: opening runs at a place, and asking the server what it holds."""

import hashlib
import json
import os
import shutil
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import wandb

LOOK_AGAIN = 0.2  # seconds between the first two looks at what the server holds
# Variables with which an agent or a launcher tells the client which run is the process's own: none of ours is.
OF_ANOTHER_RUN = (
    "CONFIG_PATHS", "DESCRIPTION", "DISABLED", "FORK_FROM", "JOB_TYPE", "LAUNCH", "MODE", "NAME", "NOTES", "RESUME",
    "RUN_", "SERVICE", "SWEEP_", "TAGS",
)  # fmt: skip
# Rebuilt from files, a run has no use for the machine and the packages of the process that uploads it.
SETTINGS = {
    "console": "off", "disable_git": True, "save_code": False, "x_disable_meta": True, "x_disable_stats": True,
    "x_save_requirements": False,
}  # fmt: skip


class MirrorError(Exception):
    """W&B did not take a run: why, in one line."""


@dataclass(frozen=True)
class Place:
    """The destination of runs: a project of an entity on a server; offline there is no server, and maybe no entity."""

    server: str
    entity: str | None
    project: str

    def __str__(self) -> str:
        return f"{self.server}/{self.entity}/{self.project}"


class Client:
    """One place, seen by a client.

    Args:
        api: a `wandb.Api`; None: runs are written to files for a later `wandb sync`.
        folder: where the client's own files go, in the place of earlier ones of the same run.
        timeout: seconds that the server may take for one run.
    """

    def __init__(self, place: Place, api: Any, folder: Path, timeout: float) -> None:
        self.place, self.folder, self.timeout = place, folder, timeout
        self._api = api
        self._earlier: dict[str, list[Path]] = defaultdict(list)
        for left in folder.glob("wandb/*run-*-*"):
            self._earlier[left.name.rpartition("-")[2]].append(left)

    @property
    def online(self) -> bool:
        return self._api is not None

    def open(self, about: Mapping[str, Any]) -> "wandb.Run":
        """Opens a run, or goes on with the one that the server has under its id.

        Args:
            about: its `id`, `name` and whatever else `wandb.init` is to be told of it.
        """
        wandb = imported()
        bounds = {"init_timeout": self.timeout, "finish_timeout": self.timeout, "finish_timeout_raises": True}
        run = wandb.init(
            **about,
            project=self.place.project,
            entity=self.place.entity,
            mode="online" if self.online else "offline",
            dir=str(self.folder),
            resume="allow" if self.online else None,
            reinit="create_new",
            settings=wandb.Settings(**SETTINGS, **(bounds if self.online else {})),
        )
        for earlier in self._earlier.pop(about["id"], []):
            shutil.rmtree(earlier, ignore_errors=True)
        self._earlier[about["id"]].append(Path(run.dir).parent)
        return run

    def held(self, run: str) -> Any:
        """The run that the server has under an id; None where there is none."""
        from wandb.errors import CommError

        self._api.flush()  # it would give the same answer again
        try:
            return self._api.run(f"{self.place.entity}/{self.place.project}/{run}")
        except CommError as error:
            if isinstance(error.exc, ValueError):
                return None
            raise

    def search(self, **config: Any) -> Any:
        """A run with these values in its configuration, whatever its id; None where there is none."""
        wanted = {f"config.{name}": value for name, value in config.items()}
        try:
            return next(iter(self._api.runs(f"{self.place.entity}/{self.place.project}", wanted, lazy=False)), None)
        except ValueError:  # there is no such project yet
            return None


def id_of(*parts: str | int) -> str:
    """An id that is the same for the same parts: W&B takes nothing twice under one id."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


def imported() -> Any:
    """The client's library, silent, and told of no run that is the process's own."""
    os.environ["WANDB_SILENT"] = "true"
    for name in list(os.environ):
        if name.startswith(tuple(f"WANDB_{one}" for one in OF_ANOTHER_RUN)):
            del os.environ[name]
    import wandb

    return wandb


def check_arrived(lacks: Callable[[], str], last: float) -> None:
    """Looks until the server lacks nothing: a client that it turned away for good ends without an error.

    Args:
        lacks: what the server does not have of what it was sent, in words.
        last: the monotonic time after which it is not looked again.

    Raises:
        MirrorError: it lacks something to the end.
    """
    wait = LOOK_AGAIN
    while (problem := lacks()) and time.monotonic() + wait < last:
        time.sleep(wait)
        wait = min(2 * wait, 2.0)
    if problem:
        raise MirrorError(problem)


def explained(error: BaseException) -> str:
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
