"""MinAtar's games, small forms of five of Atari's (Young and Tian 2019)."""

from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box

from pglab.envs.games import game_id
from pglab.envs.gymnasium import GymnasiumWorld

MISSING = 'MinAtar is not installed: pip install "pglab[minatar]"'
POINT = 16  # pixels of a film along each side of a point


@dataclass(eq=False)
class MinAtarWorld(GymnasiumWorld):
    """A game whose picture is 10 × 10 points in a channel for each kind of thing, 1 where there is one.

    Attributes:
        id: its name, such as `Breakout`, or an id of Gymnasium's, such as `MinAtar/Breakout-v1`.
        sticky: probability that a step repeats the action before it instead.
        ramping: games become harder while they are played, those that can.
        minimal: only the actions that do something in this game; False: all six.
        max_episode_steps: cut games after as many steps; None: never.
        kwargs: further arguments of `gymnasium.make`.

    Raises:
        ValueError: MinAtar is not installed, there is no such game, or `sticky` is no such probability.
    """

    id: str
    sticky: float = 0.1
    ramping: bool = True
    minimal: bool = True
    max_episode_steps: int | None = None
    kwargs: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        if find_spec("minatar") is None:
            raise ValueError(MISSING)
        from minatar.gym import register_envs

        if "MinAtar/Breakout-v1" not in gymnasium.registry:
            register_envs()
        if not 0 <= self.sticky < 1:
            raise ValueError(f"sticky={self.sticky} must be at least 0 and below 1")
        GymnasiumWorld.__init__(self, game_id(self.id, "MinAtar/{}-v1"), self.kwargs, self.max_episode_steps)

    def shown(self, kwargs: dict[str, Any]) -> "MinAtarWorld":
        return replace(self, kwargs=kwargs, max_episode_steps=None)

    def make(self) -> gymnasium.Env:
        given: dict[str, Any] = {"sticky_action_prob": self.sticky, "difficulty_ramping": self.ramping}
        given |= {"use_minimal_action_set": self.minimal, "disable_env_checker": True}
        return _Seen(gymnasium.make(self.id, **{**given, **self._kwargs}))


class _Seen(gymnasium.ObservationWrapper):
    """The channels first, as whole numbers; a game knows nothing of the one before it."""

    def __init__(self, env: gymnasium.Env) -> None:
        super().__init__(env)
        nothing = self.observation(np.zeros(env.observation_space.shape or (), bool))
        self.observation_space = Box(0, 1, nothing.shape, np.int8)

    def reset(self, **kwargs: Any) -> tuple[np.ndarray, dict[str, Any]]:
        self.unwrapped.game.last_action = 0  # type: ignore[attr-defined]  # which a sticky first step would repeat
        return super().reset(**kwargs)

    def observation(self, observation: np.ndarray) -> np.ndarray:
        return np.moveaxis(observation, -1, 0).astype(np.int8)

    def render(self) -> Any:
        drawn = self.env.render()
        if self.render_mode != "rgb_array":
            return drawn
        return (np.asarray(drawn) * 255).astype(np.uint8).repeat(POINT, 0).repeat(POINT, 1)
