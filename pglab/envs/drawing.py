"""Pictures of a world, drawn by Gymnasium.

A world that can be drawn has two more attributes: `render_modes`, which of Gymnasium's modes it knows
(`rgb_array`, `human`, `ansi`), and `drawing(mode)`, which makes a `Drawing`. So does one of your own.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol, runtime_checkable

import gymnasium
import numpy as np

from pglab.envs.world import State

Action = int | list[float] | None  # an index, or the numbers of a Box; None before the first step
Picture = np.ndarray | str | None  # `[height, width, 3]` bytes; a text (`ansi`); nothing where a window shows it
FRAMES_PER_SECOND = 30.0  # where an environment does not say


class Drawing(Protocol):
    """A world in play with its pictures.

    Attributes:
        world: what to play (a `World`), so that its states can be drawn.
        fps: pictures a second, as the environment is meant to be seen.
    """

    world: Any
    fps: float

    def picture(self, state: State, action: Action) -> Picture:
        """The first lane of `state`, and what was done to come there (None: it is the first state)."""
        ...

    def close(self) -> None:
        """Closes its window and lets go of what it holds."""
        ...


@runtime_checkable
class Drawable(Protocol):
    """A world that can be drawn."""

    @property
    def render_modes(self) -> tuple[str, ...]: ...

    def drawing(self, mode: str) -> Drawing: ...


@dataclass(frozen=True)
class Twin:
    """A Gymnasium environment with the states of a world: it draws the very state that it is given.

    It is never stepped, so that no difference in rounding or randomness can grow between what the policy
    saw and what is drawn.

    Attributes:
        id: registered id.
        put: sets its state, from one lane and the last action.
        kwargs: of `gymnasium.make`.
    """

    id: str
    put: Callable[[Any, State, Action], None]
    kwargs: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def render_modes(self) -> tuple[str, ...]:
        return render_modes(gymnasium.make(self.id, **self.kwargs))

    def drawing(self, world: Any, mode: str) -> Drawing:
        """Pictures of a `World` with these states."""
        return _DrawnByTwin(world, gymnasium.make(self.id, **self.kwargs, render_mode=mode).unwrapped, self.put)


class _DrawnByTwin:
    def __init__(self, world: Any, env: gymnasium.Env, put: Callable[[Any, State, Action], None]) -> None:
        self.world, self.fps = world, frames_per_second(env)
        self._env, self._put = env, put

    def picture(self, state: State, action: Action) -> Picture:
        self._put(self._env, tuple(part.flatten()[0].cpu() for part in state), action)
        return as_picture(self._env.render())

    def close(self) -> None:
        self._env.close()


def render_modes(env: gymnasium.Env) -> tuple[str, ...]:
    """The modes that a Gymnasium environment says it has."""
    return tuple(env.metadata.get("render_modes") or ())


def frames_per_second(env: gymnasium.Env) -> float:
    """At which a Gymnasium environment is meant to be seen."""
    return float(env.metadata.get("render_fps") or FRAMES_PER_SECOND)


def as_picture(rendered: Any) -> Picture:
    """The picture in what `gymnasium.Env.render` returned."""
    return rendered if rendered is None or isinstance(rendered, str) else np.asarray(rendered, dtype=np.uint8)
