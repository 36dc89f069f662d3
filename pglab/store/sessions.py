"""A command that trains on a cluster, in the study's folder while it lasts: its key, its address, its workers."""

import contextlib
import json
import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pglab.store.atomic import write
from pglab.store.lock import LOCK, claimed, holder

FOLDER, LOGS = "cluster", "logs"
SHARDS = "runs.jsonl"  # in the logs
KEY, ABOUT = "key.pem", "about.json"


@dataclass(frozen=True)
class WorkerRecord:
    """A worker of a command.

    Attributes:
        name: for people.
        host: the machine that it is on.
        log: the name of its file in `logs/`.
        runs: that it trains: seeds by the name of their arm; empty while it waits.
        env_steps_per_second: of its latest updates.
    """

    name: str
    host: str
    log: str
    runs: dict[str, list[int]]
    env_steps_per_second: float = 0.0


@dataclass(frozen=True)
class ShardRecord:
    """Runs that a worker has begun to train.

    Attributes:
        time: when, as in its log.
        worker: for people.
        log: the name of its file in `logs/`.
        update: the first one that a run went on from.
        runs: seeds by the name of their arm's folder.
    """

    time: str
    worker: str
    log: str
    update: int
    runs: dict[str, list[int]]


@dataclass(frozen=True)
class SessionRecord:
    """A command that is at work on a study, or was until now.

    Attributes:
        address: where its workers dial in.
        cluster: what starts them.
        wanted: how many it asked for.
        workers: that are here.
    """

    address: str
    cluster: str
    wanted: int
    workers: tuple[WorkerRecord, ...] = ()


class Session:
    """The folder of one command, from its beginning to `close`; those of commands that are gone are taken away."""

    def __init__(self, study: Path) -> None:
        self.study = study
        self.folder = study / FOLDER / f"{socket.gethostname()}-{os.getpid()}"
        for earlier in _folders(study):
            if holder(earlier) is None:
                shutil.rmtree(earlier, ignore_errors=True)
        self._lock = ExitStack()
        self._lock.enter_context(claimed(self.folder))
        self.folder.chmod(0o700)

    @property
    def key(self) -> Path:
        """The file for its key."""
        return self.folder / KEY

    @property
    def logs(self) -> Path:
        """Where the output of workers is kept, also when the command has ended."""
        (self.study / LOGS).mkdir(exist_ok=True)
        return self.study / LOGS

    def write(self, record: SessionRecord) -> None:
        """Says how things are; that it cannot be written is no reason to stop."""
        with contextlib.suppress(OSError):
            write(self.folder / ABOUT, json.dumps(asdict(record)).encode())

    def note(self, shard: ShardRecord) -> None:
        """Keeps who trains which runs, so that their log is found."""
        with contextlib.suppress(OSError), open(self.logs / SHARDS, "a") as file:
            file.write(json.dumps(asdict(shard)) + "\n")

    def close(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        with contextlib.suppress(OSError):
            self.folder.parent.rmdir()
        self._lock.close()


def shards_of(study: Path) -> Iterator[ShardRecord]:
    """Yields which worker has trained which runs of a study, in order."""
    file = study / LOGS / SHARDS
    for line in file.read_text().splitlines() if file.is_file() else ():
        with contextlib.suppress(ValueError, TypeError):  # the last one may be half written
            yield ShardRecord(**json.loads(line))


def sessions(study: Path) -> Iterator[tuple[Path, SessionRecord]]:
    """Yields the folder of each command that trains a study on a cluster now, and how it is; the latest last."""
    for folder in sorted(_folders(study), key=lambda folder: (folder / LOCK).stat().st_mtime):
        if holder(folder) is None:
            continue
        try:
            told: dict[str, Any] = json.loads((folder / ABOUT).read_bytes())
            workers = tuple(WorkerRecord(**one) for one in told.pop("workers"))
            yield folder, SessionRecord(**told, workers=workers)
        except (OSError, ValueError, TypeError, KeyError):  # it has only begun, or just ended
            continue


def _folders(study: Path) -> list[Path]:
    inside = study / FOLDER
    return [one for one in inside.iterdir() if (one / LOCK).exists()] if inside.is_dir() else []
