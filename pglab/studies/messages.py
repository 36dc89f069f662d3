"""Orders to a worker, and the events that it reports: plain arrays, so that no parent needs torch."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from pglab.store.states import Saved

WITHOUT_A_WORD = "the worker process ended without a word (killed, or out of memory?)"


@dataclass(frozen=True)
class Check:
    """Settings of arms whose components are to be built and tried for fit.

    Attributes:
        settings: of the arms.
        stored: identities of arms that are stored, of which the programs are asked for as well.
    """

    settings: tuple[Mapping[str, Any], ...]
    stored: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True)
class Checked:
    """The fault of the first arm that could not be trained, if any, or the program of each, and of each stored one.

    Programs are texts, equal for arms that are one program: what is built of them has the same simplest form.

    Attributes:
        by_torch: of each arm that is asked for under `backend=native`, why torch computes it; empty where compiled
            code does, None where nobody asks.
        sizes: of each arm, where there is only to be a plan.
    """

    problem: str | None
    programs: tuple[str, ...] = ()
    by_torch: tuple[str | None, ...] = ()
    sizes: tuple["Size", ...] = ()


@dataclass(frozen=True)
class Size:
    """Bytes of everything that an update changes in a run of an arm, and of a step of its batches."""

    run: int
    step: int


@dataclass(frozen=True)
class Slice:
    """Runs of one arm that have made the same number of updates.

    Attributes:
        number: of the arm in the plan.
        saved: what the runs go on from; with update 0 and no state, from the beginning.
        filmed: the seed of which episodes are to be filmed, if any of these is.
    """

    number: int
    settings: Mapping[str, Any]
    saved: Saved
    filmed: int | None = None


@dataclass(frozen=True)
class Job:
    """A shard to train.

    Attributes:
        every: seconds between two reports of updates; 0: each at once.
    """

    slices: tuple[Slice, ...]
    every: float = 0.0


@dataclass(frozen=True)
class Leave:
    """An order to end: at once where there is nothing to do, else after the next update, with a checkpoint."""


@dataclass(frozen=True)
class Updated:
    """Updates: of each slice in training its arm's number and what its runs showed, by update."""

    measures: list[tuple[int, dict[str, np.ndarray]]]


@dataclass(frozen=True)
class Film:
    """An episode of a run's policy as it was after an update: a video's content, or why there is none."""

    number: int
    seed: int
    update: int
    content: bytes
    problem: str


@dataclass(frozen=True)
class Checkpoint:
    """The states that the runs of a shard could go on from: of each slice its arm's number and state."""

    saved: list[tuple[int, Saved]]


@dataclass(frozen=True)
class Result:
    """The end of a slice's runs."""

    number: int
    saved: Saved
    evaluation: dict[str, np.ndarray] | None
    parameters: dict[str, np.ndarray]


@dataclass(frozen=True)
class Done:
    """A shard was trained and evaluated."""

    results: list[Result]


@dataclass(frozen=True)
class Failed:
    """A shard raised.

    Attributes:
        traceback: all of it.
        own: without the frames that are not in a file of the user's; empty where none is.
    """

    traceback: str
    own: str = ""

    @property
    def shown(self) -> str:
        """The part of it that a person is shown."""
        return self.own or self.traceback


@dataclass(frozen=True)
class Lost:
    """A shard whose worker is gone: it can go on from its last checkpoint elsewhere.

    Attributes:
        told: the worker was told to go, as a scheduler does; nothing that it trained is to blame.
    """

    told: bool = False


Event = Updated | Film | Checkpoint | Done | Failed | Lost
