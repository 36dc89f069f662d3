"""What is asked of a W&B server, whatever is uploaded there."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

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

    def of(self, run: str) -> str:
        """The path of a run there."""
        return f"{self.entity}/{self.project}/{run}"

    def logger(self) -> dict[str, Any]:
        """The settings of a logger that writes there."""
        return {"mode": "online", "project": self.project, "entity": self.entity}


def within(timeout: float) -> dict[str, Any]:
    """The settings of a client that gives up after so many seconds."""
    return {**CLIENT, "init_timeout": timeout, "finish_timeout": timeout, "finish_timeout_raises": True}


def held(api: Any, path: str) -> Any:
    """The run that the server has under a path; None where there is none."""
    from wandb.errors import CommError

    api.flush()  # it would give the same answer again
    try:
        return api.run(path)
    except CommError as error:
        if isinstance(error.exc, ValueError):
            return None
        raise


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
