"""W&B while a study trains: a child follows the study's files, and training never waits for it."""

import contextlib
import shlex
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pglab.processes import start

FEW = 12  # runs that are always brought completely
SHARE = 0.1  # of the time that a command has taken, which more offline runs may take after it
HURRY = 0.1  # seconds for it after a Ctrl-C: all that is stored can be uploaded later


@dataclass(frozen=True)
class Followed:
    """The order to a child.

    Attributes:
        study: its folder.
        arms: by name, of the runs to be followed, their seeds and how many updates they are to make.
        logger: the settings of the group `logger`.
    """

    study: Path
    arms: Mapping[str, tuple[Sequence[int], int]]
    logger: Mapping[str, Any]


class Follower:
    """The parent's end; it does nothing where `logger.mode=disabled`, or where no run is to be trained."""

    def __init__(self, followed: Followed) -> None:
        self._followed = followed
        self._runs = sum(len(seeds) for seeds, _ in followed.arms.values())
        self._brought, self._problem = 0, "its process ended early"
        self._process: subprocess.Popen | None = None

    def start(self) -> None:
        """Starts the child."""
        if self._followed.logger["mode"] == "disabled" or not self._runs:
            return
        self._began = time.monotonic()
        # A Ctrl-C must not reach the client's own service; the client's warnings are nobody's.
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "start_new_session": True}
        self._process, self._connection = start("pglab.tracking.follow", {}, **quiet)
        self._listening = threading.Thread(target=self._listen, daemon=True)
        self._listening.start()
        with contextlib.suppress(OSError):  # that it is gone shows in the end
            self._connection.send(self._followed)

    def finish(self, interrupted: bool) -> str | None:
        """Gives the child time for what it has not brought, now that all is stored; returns what a person should know.

        A few runs are waited for, up to `logger.timeout`. Many of them may take a tenth of the time that the
        command has taken so far: the files are the truth, and one command uploads the rest of them later.
        """
        if self._process is None:
            return None
        offline = self._followed.logger["mode"] == "offline"
        patience = self._followed.logger["timeout"]
        if interrupted:
            patience = HURRY
        elif offline and self._runs > FEW:
            patience = min(patience, SHARE * (time.monotonic() - self._began))
        # Who presses Ctrl-C now has seen enough of W&B, and all is stored.
        with contextlib.suppress(OSError, KeyboardInterrupt):
            self._connection.send("all is stored")
            self._listening.join(patience)
        late = self._listening.is_alive()
        self.stop()
        upload = f"`python -m pglab.mirror {shlex.quote(str(self._followed.study))}`"
        if offline and late:
            count = f"{self._brought} of {self._runs} runs are written"
            return f"W&B, offline: {count}; {upload} uploads all of them from the local files"
        problem = "it did not end in time" if late else self._problem
        if problem:
            lost = f"warning: W&B has an incomplete mirror ({problem})"
            return f"{lost}; the local results are complete, and {upload} completes it"
        return f"W&B, offline: upload with {upload}" if offline else None

    def stop(self) -> None:
        """Ends the child at once."""
        if self._process:
            self._process.kill()
            self._process.wait()
            self._listening.join(HURRY)
            self._connection.close()

    def _listen(self) -> None:
        """Takes down how many runs have been brought, and at last the child's problem, if any."""
        try:
            while isinstance(said := self._connection.recv(), int):
                self._brought = said
            self._problem = said
        except (EOFError, OSError):
            return
