"""The child that follows a study's files and brings to W&B what they show, as a later upload would."""

import math
import os
from multiprocessing.connection import Connection

from pglab.errors import DamagedError
from pglab.store.checkpoints import CHECKPOINTS
from pglab.store.reader import ABOUT, ArmFolder
from pglab.tracking.client import Client, MirrorError, Place, explained, imported
from pglab.tracking.delivery import Delivery
from pglab.tracking.ledger import Ledger
from pglab.tracking.live import Followed
from pglab.tracking.tracked_runs import TrackedRun, runs_of
from pglab.tracking.uploader import account

LOOK = 1.0  # seconds between two looks at the files
UNDER_WAY = 50  # most runs that are shown before they have ended
NICE = 19  # lowest priority: training comes first


def serve(connection: Connection) -> None:
    """Follows until the parent says that all is stored; then brings the rest, and says what went wrong, if anything."""
    os.nice(NICE)
    try:
        problem = _Following(connection.recv(), connection).follow()
    except BaseException as error:
        problem = explained(error)
    connection.send(problem)


class _Following:
    """One study, as far as it was brought."""

    def __init__(self, followed: Followed, connection: Connection) -> None:
        self._followed, self._connection = followed, connection
        self._arms = [ArmFolder(followed.study / arm) for arm in followed.arms]
        self._client = _client(followed)
        self._delivery = Delivery(self._client, follows=True)
        self._ledger = Ledger(followed.study)
        self._known = self._ledger.known(str(self._client.place)) if self._client.online else {}
        self._seen: dict[ArmFolder, list[tuple[str, int]]] = {}  # files, and when they were written
        self._ended: set[str] = set()
        self._problem = ""

    def follow(self) -> str:
        """Looks again and again; returns the first problem, or nothing."""
        stored = False
        while not stored:
            stored = self._connection.poll(LOOK)
            for arm in self._arms:
                self._look(arm, stored)
        imported().teardown()
        return self._problem

    def _look(self, arm: ArmFolder, stored: bool) -> None:
        """Brings what is new of an arm.

        Args:
            stored: nothing more comes.
        """
        names = (ABOUT, *CHECKPOINTS) if self._client.online else (ABOUT,)
        files = [arm.path / name for name in names]
        stamps = [(file.name, file.stat().st_mtime_ns) for file in files if file.exists()]
        if not stamps or (self._seen.get(arm) == stamps and not stored):
            return
        self._seen[arm] = stamps
        try:
            runs = runs_of(arm)
        except (DamagedError, OSError) as error:
            if stored:
                self._problem = self._problem or str(error)
            return
        for run in runs:
            try:
                if self._is_due(run, stored):
                    self._bring(run)
            except MirrorError as error:
                self._problem = self._problem or str(error)

    def _is_due(self, run: TrackedRun, stored: bool) -> bool:
        """The run is to be brought now."""
        seeds, updates = self._followed.arms[run.record.arm]
        known = self._known.get(run.id)
        if run.seed not in seeds or (known and known.version == run.version):
            return False
        if run.status == "running":  # offline nobody watches it
            shown = self._delivery.has(run) or self._delivery.opened < UNDER_WAY
            return self._client.online and shown and not run.rows.empty
        goes_on = run.status == "finished" and len(run.rows) < updates
        return stored or not goes_on

    def _bring(self, run: TrackedRun) -> None:
        self._known[run.id] = self._delivery.bring(run, self._known.get(run.id))
        if self._client.online:
            self._ledger.add(str(self._client.place), {run.id: self._known[run.id]})
        if run.status != "running":
            self._ended.add(run.id)
            self._connection.send(len(self._ended))


def _client(followed: Followed) -> Client:
    """The destination of the runs. Online the server is asked who we are there."""
    logger, timeout = followed.logger, followed.logger["timeout"]
    if logger["mode"] == "offline":
        return Client(Place("", logger["entity"], logger["project"]), None, followed.study, timeout)
    api = imported().Api(timeout=max(1, math.ceil(timeout)))
    server, own = account(api)
    return Client(Place(server, logger["entity"] or own, logger["project"]), api, followed.study, timeout)
