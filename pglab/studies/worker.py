"""A process that trains shards, seen from inside.

It has one thread of arithmetic: that keeps the bits of a sum the same, lets shards train side by
side, and lets the parent stop one at any moment, whatever a user's component is doing.
"""

import time
import traceback
from collections.abc import Collection, Iterator, Mapping
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any

import numpy as np

from pglab.errors import InputError
from pglab.settings import identity, used
from pglab.store.states import Saved
from pglab.studies.messages import (
    Check,
    Checked,
    Checkpoint,
    Done,
    Failed,
    Film,
    Job,
    Leave,
    Lost,
    Result,
    Size,
    Updated,
)
from pglab.studies.provenance import foreign_targets
from pglab.studies.tracebacks import own_part

if TYPE_CHECKING:
    from pglab.training.bundle import Bundle
    from pglab.training.measures import Measures

CHECKPOINT_SECONDS = 30.0  # at most between two checkpoints; a tenth of a run comes first where it is shorter


def serve(connection: Connection) -> None:
    """Carries out one order after another until the parent is gone, or says to leave."""
    import torch

    torch.set_num_threads(1)
    while True:
        try:
            order = connection.recv()
        except (EOFError, OSError):
            return
        if isinstance(order, Leave):
            return
        try:
            answer = _check(order) if isinstance(order, Check) else _train(order, connection)
        except BaseException as error:
            answer = Failed(traceback.format_exc(), own_part(error))
        try:
            connection.send(answer)
        except OSError:
            return
        if isinstance(answer, Lost):
            return


def _check(order: Check) -> Checked:
    from pglab.build import build_component, check_components, simplest, size_of, why_by_torch
    from pglab.watching.stage import FILMED, check_drawn

    try:
        for settings in order.settings:
            check_components(settings)
            if every := settings["render_every"]:
                check_drawn(build_component(settings, "env"), FILMED, f"render_every={every}")
    except InputError as error:
        return Checked(str(error))
    asked = [used(simplest(identity(settings))) for settings in order.settings]
    by_torch = tuple(why_by_torch(settings) for settings in order.settings)
    trusted = {name.partition(".")[0] for settings in order.settings for name in foreign_targets(settings)}
    sizes = tuple(Size(*size_of(settings)) for settings in order.settings if settings["plan"])
    return Checked(None, (*asked, *(_program(stored, trusted) for stored in order.stored)), by_torch, sizes)


def _program(stored: Mapping[str, Any], trusted: Collection[str]) -> str:
    """The program of a stored arm; of one that this version or this command could not build, as it is written.

    Args:
        trusted: modules of parts that are built for the command itself.
    """
    from pglab.build import simplest
    from pglab.trust import check_trusted

    try:
        check_trusted(stored, trusted)
        return used(simplest(stored))
    except Exception:
        return used(stored)


def _train(job: Job, connection: Connection) -> Done | Lost:
    import torch

    from pglab.build import build_arm, build_diagnostics, build_shapes
    from pglab.training.bundle import Bundle

    settings = job.slices[0].settings
    arms = [build_arm(part.settings, part.saved.seeds) for part in job.slices]
    bundle = Bundle(build_shapes(settings), arms, build_diagnostics(settings))
    states = bundle.state()
    for number, part in enumerate(job.slices):
        if part.saved.state:
            states[number] = {name: torch.from_numpy(array.copy()) for name, array in part.saved.state.items()}
    bundle.restore(states)

    def saved() -> list[Saved]:
        return [
            Saved(int(state["counters/update"]), part.saved.seeds, {name: x.cpu().numpy() for name, x in state.items()})
            for part, state in zip(job.slices, bundle.state(), strict=True)
        ]

    def checkpoint() -> Checkpoint:
        return Checkpoint([(part.number, s) for part, s in zip(job.slices, saved(), strict=True)])

    reports = _Reports(connection, job.every)
    tenths = [max(1, -(-part.settings["updates"] // 10)) for part in job.slices]
    checkpointed = time.monotonic()
    while not bundle.finished:
        measured = bundle.step()
        reports.add([(job.slices[arm].number, measures.columns()) for arm, measures in measured])
        for film in _films(job, bundle, measured):
            reports.send(film)
        passed = any(int(measures.update[0]) % tenths[arm] == 0 for arm, measures in measured)
        if not bundle.finished and (passed or time.monotonic() - checkpointed >= CHECKPOINT_SECONDS):
            reports.send(checkpoint())
            checkpointed = time.monotonic()
        if connection.poll() and not bundle.finished:  # an order while there is one: to leave
            reports.send(checkpoint())
            return Lost(told=True)
    reports.flush()
    how = settings["evaluation"]
    evaluations = bundle.evaluate(**how) if how["episodes"] else [None] * len(arms)
    ended = zip(job.slices, saved(), evaluations, bundle.parameters(), strict=True)
    return Done(
        [
            Result(part.number, state, vars(evaluation) if evaluation else None, parameters)
            for part, state, evaluation, parameters in ended
        ]
    )


class _Reports:
    """Updates on their way to the parent, together where they follow each other fast."""

    def __init__(self, connection: Connection, every: float) -> None:
        self._connection, self._every = connection, every
        self._kept: dict[int, list[dict[str, np.ndarray]]] = {}
        self._sent = time.monotonic()

    def add(self, measured: list[tuple[int, dict[str, np.ndarray]]]) -> None:
        for number, columns in measured:
            self._kept.setdefault(number, []).append(columns)
        if time.monotonic() - self._sent >= self._every:
            self.flush()

    def send(self, event: Film | Checkpoint) -> None:
        """Sends something else after the updates that led to it."""
        self.flush()
        self._connection.send(event)

    def flush(self) -> None:
        if self._kept:
            self._connection.send(Updated([(number, _joined(kept)) for number, kept in self._kept.items()]))
        self._kept, self._sent = {}, time.monotonic()


def _joined(kept: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Rows of several updates as those of one."""
    return kept[0] if len(kept) == 1 else {name: np.concatenate([one[name] for one in kept]) for name in kept[0]}


def _films(job: Job, bundle: "Bundle", measured: "list[tuple[int, Measures]]") -> Iterator[Film]:
    """An episode of each run that is to be filmed after this update, with its policy as it is now."""
    every = job.slices[0].settings["render_every"]
    for arm, measures in measured:
        part, update = job.slices[arm], int(measures.update[0])
        seed = part.filmed
        if not every or update % every or seed is None or seed not in measures.seed:
            continue
        row = part.saved.seeds.index(seed)
        named = {name: rows[row] for name, rows in bundle.parameters()[arm].items()}
        yield Film(part.number, seed, update, *_film(part.settings, named, seed))


def _film(settings: Mapping[str, Any], parameters: Mapping[str, np.ndarray], seed: int) -> tuple[bytes, str]:
    """A film of a run's policy, or why there is none: pictures are not worth a run.

    Args:
        settings: of the arm; a world of its own is made from them, as training has another.
        parameters: of one run, by name.
    """
    from pglab.build import build_shapes
    from pglab.watching.camera import film_policy

    try:
        return film_policy(build_shapes({**settings, "device": "cpu"}), parameters, seed), ""
    except Exception as error:
        return b"", f"{type(error).__name__}: {error}"
