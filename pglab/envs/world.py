"""The contract of an environment that is played in many lanes at once."""

from typing import Any, NamedTuple, Protocol, runtime_checkable

from torch import Tensor

from pglab.envs.spaces import Box, Discrete, Space

__all__ = [
    "Box",
    "Discrete",
    "Drawn",
    "Heavy",
    "OneStep",
    "Parking",
    "Prompted",
    "Ranked",
    "Replayable",
    "State",
    "Step",
    "World",
]

State = tuple[Tensor, ...]


class Step(NamedTuple):
    """The consequence of an action in every lane.

    `truncated` is for a world that cuts episodes by a rule of its own; None where only
    `horizon` does. Such a world must stand still after it, so that its last observation stays.
    """

    state: State
    reward: Tensor
    terminated: Tensor
    truncated: Tensor | None = None


@runtime_checkable
class Parking(Protocol):
    """A world whose lanes cost time one by one, so that it is worth saying which may stop."""

    def park(self, state: State, alive: Tensor) -> None:
        """Lanes `[...]` where `alive` is false will not be looked at again."""
        ...


@runtime_checkable
class Preparing(Protocol):
    """A world in which it takes time to begin an episode, so that it is worth saying which lanes will."""

    def prepare(self, begins: Tensor) -> None:
        """Of the coming `reset` only lanes `[B, C]` where `begins` is true will be played."""
        ...


@runtime_checkable
class Heavy(Protocol):
    """A world whose lanes hold so much memory that only some should play at once.

    Attributes:
        most_lanes: so many are begun together where episodes are played in waves, of one run or several.
    """

    most_lanes: int


class World(Protocol):
    """An environment as pure functions of tensors; `[...]` are the lanes.

    All randomness comes in as uniforms in [0, 1): `reset_draws` of them to begin an episode and
    `step_draws` for each step. A world is stepped on after an episode's end, for as long as lanes
    beside it play; what it returns then is ignored, and it must not raise. Between steps lanes
    may be left out or change places: all that one needs is in its state.

    Attributes:
        observation: `Box(D)` or `Discrete(D)`.
        actions: `Discrete(A)` or `Box(D, low, high)`; a plain whole number A stands for Discrete(A).
        horizon: steps after which an episode is truncated, or None.
    """

    observation: Space
    actions: Space | int
    horizon: int | None
    reset_draws: int
    step_draws: int

    def reset(self, uniform: Tensor) -> State:
        """First states from uniforms `[..., reset_draws]` (double precision): tensors that begin with `[...]`."""
        ...

    def observe(self, state: State) -> Tensor:
        """Observations `[..., D]` (an index as `[..., 1]`), single precision."""
        ...

    def step(self, state: State, action: Tensor, uniform: Tensor) -> Step:
        """One step with actions `[...]` (of a Box `[..., D]`) and uniforms `[..., step_draws]`."""
        ...


@runtime_checkable
class Drawn(World, Protocol):
    """A world that is another problem in each run, the same in all its episodes, evaluation included.

    The first `problem_draws` of the `reset_draws` uniforms that `reset` takes are the run's: with
    the same of these, it must return the same problem.
    """

    problem_draws: int


@runtime_checkable
class Prompted(World, Protocol):
    """A world whose episodes begin at one of several prompts, so that several can be played from the same one.

    The first `prompt_draws` of the `reset_draws` uniforms that `reset` takes (after `problem_draws`, where it has such)
    choose the prompt: with the same of these, it must return the same prompt. Whatever else they may say of an episode
    is shared by a group, too (`batch=groups`).
    """

    prompt_draws: int


@runtime_checkable
class Ranked(World, Protocol):
    """A world whose best known return is declared, so that scores on it can be normalised.

    A normalised score is 0 for uniformly random play, which is measured, and 1 for this return. Finite MDPs are
    solved, and need not say it.

    Attributes:
        best_return: undiscounted, of an episode; None where it is not known.
        best_source: in words, where that comes from.
    """

    best_return: float | None
    best_source: str


@runtime_checkable
class Replayable(World, Protocol):
    """A world whose lanes cannot be copied, but played again (`batch=segments`)."""

    def replayed(self) -> Any:
        """The same in lanes that go on, as `pglab.envs.replayed.Replayed`."""
        ...


@runtime_checkable
class OneStep(World, Protocol):
    """A world of one-step episodes that knows the best action: diagnostics count how often it is taken."""

    def best_action(self, state: State) -> Tensor:
        """The action with the highest mean reward in each first state, `[...]`."""
        ...
