"""From a plan to the pool of its cluster: all that can be wrong shows before anything is written."""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

from pglab.store.sessions import Session, SessionRecord
from pglab.studies.cluster.address import Address
from pglab.studies.cluster.engines import Worker, engine_of
from pglab.studies.cluster.key import make_key
from pglab.studies.cluster.pool import ClusterPool
from pglab.studies.cluster.roster import Roster
from pglab.studies.plan import Plan
from pglab.studies.provenance import together


class Door:
    """An engine and a socket that listens, to which nobody answers before it is opened.

    As a context it is closed where it was not opened.

    Args:
        cluster: the settings of the group.

    Raises:
        InputError: there is no such engine, or nothing can listen at the address.
    """

    def __init__(self, cluster: Mapping[str, Any]) -> None:
        self._engine = engine_of(cluster)
        asked = cluster["address"]
        self._listener, self._address = (Address.of_here() if asked is None else Address.read(str(asked))).listen()
        self._opened = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if not self._opened:
            self._listener.close()

    def open(self, plan: Plan, say: Callable[[str], None]) -> ClusterPool:
        """Makes a key in the study's folder, which can be written to, and has the workers started.

        Raises:
            InputError: they cannot be.
        """
        self._opened = True
        session = Session(plan.folder)
        make_key(session.key)
        here = tuple(str(Path(place or ".").resolve()) for place in sys.path)
        worker = Worker(self._address, session.key.resolve(), session.logs.resolve(), here, Path.cwd())
        record = SessionRecord(str(self._address), type(self._engine).__name__, plan.workers)
        roster = Roster(session, record, plan.names, [arm.name for arm in plan.arms])
        trained = together(arm.settings for arm in plan.arms)
        pool = ClusterPool(self._engine, plan.workers, self._listener, worker, trained, roster, say)
        try:
            pool.open()
        except BaseException:
            pool.stop()
            raise
        say(f"Workers dial in at {self._address}; `python -m pglab.worker {plan.folder}` is one more.")
        return pool
