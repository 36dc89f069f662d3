"""The workers of a command, written down: who they are, what they train, how fast, and what they print."""

import contextlib
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pglab.results.incomplete import named_seeds
from pglab.store.sessions import Session, SessionRecord, ShardRecord, WorkerRecord
from pglab.studies.cluster.announcement import Announcement
from pglab.studies.messages import Job, Updated
from pglab.studies.plan import Shard

EVERY = 2.0  # seconds between two times that it is written
WINDOW = 10.0  # seconds over which speed is measured


@dataclass
class _Row:
    runs: dict[str, list[int]] = field(default_factory=dict)
    steps: float = 0.0  # in the window
    since: float = field(default_factory=time.monotonic)  # the window's beginning
    speed: float = 0.0


class Roster:
    """Written to the study's folder while a command trains, for `python -m pglab.study` to read.

    Args:
        session: the place of the command.
        record: its address and engine.
        names: of the plan's arms.
        folders: of the same arms.
    """

    def __init__(self, session: Session, record: SessionRecord, names: Sequence[str], folders: Sequence[str]) -> None:
        self._session, self._record, self._names, self._folders = session, record, names, folders
        self._rows: dict[Announcement, _Row] = {}
        self._written = -EVERY

    @property
    def study(self) -> Path:
        return self._session.study

    @property
    def logs(self) -> Path:
        return self._session.logs

    def joined(self, who: Announcement) -> None:
        self._rows[who] = _Row()
        self._note(who, f"{who.name}, {', '.join(f'{key} {value}' for key, value in who.made.items())}")

    def left(self, who: Announcement) -> None:
        self._rows.pop(who, None)
        self._note(who, "gone")

    def begins(self, who: Announcement, shard: Shard, job: Job) -> None:
        row = self._rows[who]
        row.runs = {self._names[number]: list(seeds) for number, seeds in shard.arms}
        starts = sorted({part.saved.update for part in job.slices})
        runs = {self._folders[number]: list(seeds) for number, seeds in shard.arms}
        self._session.note(ShardRecord(_now(), who.name, _log(who), starts[0], runs))
        told = "; ".join(f"{arm}: {named_seeds(seeds)}" for arm, seeds in row.runs.items())
        self._note(who, f"trains from update {' and '.join(map(str, starts))}: {told}")

    def rests(self, who: Announcement) -> None:
        self._rows[who].runs = {}
        self._rows[who].speed = 0.0
        self._note(who, "waits")

    def trained(self, who: Announcement, event: Updated) -> None:
        """Takes note of updates, for the speed: each counts as many steps as its runs have made on average."""
        row, now = self._rows[who], time.monotonic()
        row.steps += sum(
            len(columns["update"]) * columns["env_steps"].sum() / max(columns["update"].sum(), 1)
            for _, columns in event.measures
        )
        if now - row.since >= WINDOW or not row.speed:
            row.speed = float(row.steps / max(now - row.since, 1e-3))
        if now - row.since >= WINDOW:
            row.steps, row.since = 0.0, now

    def printed(self, who: Announcement, content: bytes) -> None:
        with contextlib.suppress(OSError), open(self._session.logs / _log(who), "ab") as log:
            log.write(content)

    def write(self, now: float) -> None:
        """Writes it, unless it was written just now."""
        if now - self._written < EVERY:
            return
        self._written = now
        workers = tuple(
            WorkerRecord(who.name, who.host, _log(who), row.runs, row.speed) for who, row in self._rows.items()
        )
        record = self._record
        self._session.write(SessionRecord(record.address, record.cluster, record.wanted, workers))

    def close(self) -> None:
        self._session.close()

    def _note(self, who: Announcement, text: str) -> None:
        self.printed(who, f"[{_now()}] {text}\n".encode())


def _now() -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S")


def _log(who: Announcement) -> str:
    """The name of a worker's log: `HOST-PROCESS.log`."""
    host = re.sub(r"[^\w.-]", "_", who.host)
    return f"{host}-{who.process}.log"
