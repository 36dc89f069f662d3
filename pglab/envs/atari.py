"""Atari 2600 games (Bellemare et al. 2013), by the Arcade Learning Environment."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box
from gymnasium.wrappers import AtariPreprocessing, FrameStackObservation, TimeLimit

from pglab.envs.games import Buttons, game_id
from pglab.envs.gymnasium import GymnasiumWorld

MISSING = 'the Arcade Learning Environment or OpenCV is not installed: pip install "pglab[atari]"'
GREY = np.array([0.299, 0.587, 0.114])  # of red, green and blue


@dataclass(kw_only=True, eq=False)
class Preprocessing:
    """A game's picture and buttons as a policy has them.

    Attributes:
        frame_skip: frames for which an action is held; a pair [low, high] draws them anew each time, high excluded.
        sticky: probability that a frame repeats the action before it instead (Machado et al. 2018).
        noops: at most so many frames without an action begin a game, how many is drawn.
        life_as_episode: an episode ends with a life; each begins a game of its own.
        fire: a game begins with the fire button, where there is one.
        grey: brightness in place of three colours; False: the red of each point alone, as in "Pong from pixels".
        crop: first row that is kept, and first below that is not; None: all.
        stride: every so many-th row and column.
        size: side of the square that the picture is scaled to, after the larger value of the last two frames; None: as
            the console draws it.
        background: values that are nothing; all others are something, and points become 0 and 1.
        difference: less the picture before, where points are 0 and 1; of the first one nothing.
        stack: pictures that are seen together, the last ones.
        buttons: numbers of those that can be pressed, in order; None: all that the game uses.
    """

    frame_skip: int | Sequence[int] = 4
    sticky: float = 0.0
    noops: int = 30
    life_as_episode: bool = True
    fire: bool = True
    grey: bool = True
    crop: Sequence[int] | None = None
    stride: int = 1
    size: int | None = 84
    background: Sequence[int] = ()
    difference: bool = False
    stack: int = 4
    buttons: Sequence[int] | None = None

    def __post_init__(self) -> None:
        scaled = self.size is not None
        if scaled and not isinstance(self.frame_skip, int):
            raise ValueError(
                f"frame_skip={list(self.frame_skip)}: a number of frames that is drawn goes with size=null"
            )
        if not scaled and (self.noops or self.life_as_episode):
            raise ValueError(
                "noops and life_as_episode go with a size; with size=null set noops=0 life_as_episode=false"
            )
        if scaled and (self.crop or self.stride != 1 or not self.grey):
            raise ValueError("crop, stride and grey=false go with size=null, where the picture is not scaled")
        if self.difference and not self.background:
            raise ValueError("difference=true needs a background: points that are 0 and 1")
        if self.difference and self.stack != 1:
            raise ValueError("difference=true shows two pictures as one: set stack=1")
        for name, least in (("stride", 1), ("stack", 1), ("noops", 0)):
            if getattr(self, name) < least:
                raise ValueError(f"{name}={getattr(self, name)} must be at least {least}")
        if not 0 <= self.sticky < 1:
            raise ValueError(f"sticky={self.sticky} must be at least 0 and below 1")

    def game(self, id: str, max_episode_steps: int | None = None, **kwargs: Any) -> gymnasium.Env:
        """The game as it is seen, through Gymnasium, cut after as many actions."""
        skip = 1 if self.size is not None else self.frame_skip
        plain = gymnasium.make(id, frameskip=1, repeat_action_probability=0.0, **kwargs).unwrapped
        env: gymnasium.Env = _Console(plain, skip, self.sticky)
        if self.size is not None:
            assert isinstance(self.frame_skip, int)
            env = AtariPreprocessing(env, self.noops, self.frame_skip, self.size, self.life_as_episode)
        if self.fire and "FIRE" in _buttons(env):
            env = _Fired(env)
        if self.buttons is not None:
            env = Buttons(env, self.buttons, _buttons(env))
        if self.size is None or self.background:
            env = _Seen(env, self)
        if max_episode_steps is not None:
            env = TimeLimit(env, max_episode_steps)
        return FrameStackObservation(env, self.stack) if self.stack > 1 else env


@dataclass(eq=False)
class AtariWorld(Preprocessing, GymnasiumWorld):
    """A game as a policy sees it.

    Attributes:
        id: its name, such as `Pong`, or an id of Gymnasium's, such as `ALE/Pong-v5`.
        max_episode_steps: cut games after as many actions; None: after 30 minutes of play.
        kwargs: further arguments of `gymnasium.make`.

    Raises:
        ValueError: the emulator is not installed, there is no such game, or the settings do not go together.
    """

    id: str
    max_episode_steps: int | None = None
    kwargs: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        if find_spec("ale_py") is None or find_spec("cv2") is None:
            raise ValueError(MISSING)
        import ale_py

        gymnasium.register_envs(ale_py)
        ale_py.ALEInterface.setLoggerMode(ale_py.LoggerMode.Error)  # else every process greets
        super().__post_init__()
        GymnasiumWorld.__init__(self, game_id(self.id, "ALE/{}-v5"), self.kwargs, self.max_episode_steps)

    def shown(self, kwargs: dict[str, Any]) -> "AtariWorld":
        return replace(self, kwargs=kwargs, max_episode_steps=None)

    def make(self) -> gymnasium.Env:
        return self.game(self.id, **self._kwargs)


class _Console(gymnasium.Wrapper):
    """The emulator: every game begins as the console was one frame after it was switched on.

    Frames are skipped and actions repeated by draws of the generator that a seed begins anew. The emulator would do
    both, too, but then loads the game for each seed, which takes as long as hundreds of steps.
    """

    def __init__(self, env: gymnasium.Env, skip: int | Sequence[int], sticky: float) -> None:
        super().__init__(env)
        self._emulator: Any = env.unwrapped
        self._low, self._high = (skip, skip + 1) if isinstance(skip, int) else skip
        self._sticky, self._last, self._on = sticky, 0, None

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        emulator = self._emulator
        if self._on is None:
            self.env.reset(seed=0)
            self._on = emulator.ale.cloneState()
        gymnasium.Env.reset(emulator, seed=seed)
        emulator.ale.restoreState(self._on)
        emulator.ale.act(0)  # the picture is no part of the state
        self._last = 0
        return emulator._get_obs(), emulator._get_info()

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        emulator, reward = self._emulator, 0.0
        for _ in range(self.np_random.integers(self._low, self._high)):  # draws nothing where there is one number
            if not self._sticky or self.np_random.random() >= self._sticky:
                self._last = action
            reward += emulator.ale.act(emulator._action_set[self._last], 1.0)
        terminated, truncated = emulator.ale.game_over(with_truncation=False), emulator.ale.game_truncated()
        return emulator._get_obs(), reward, terminated, truncated, emulator._get_info()


class _Seen(gymnasium.ObservationWrapper):
    """The picture cropped, thinned out, and beside the one before it."""

    def __init__(self, env: gymnasium.Env, how: Preprocessing) -> None:
        super().__init__(env)
        self._how, self._before = how, np.zeros(0)
        self._something = np.ones(256, np.int8)
        self._something[list(how.background)] = 0
        low, dtype = (0, np.uint8) if not how.background else (-1 if how.difference else 0, np.int8)
        shape = self._shown(np.zeros(env.observation_space.shape or (), np.uint8)).shape
        self.observation_space = Box(low, 1 if how.background else 255, shape, dtype)

    def reset(self, **kwargs: Any) -> tuple[np.ndarray, dict[str, Any]]:
        observation, info = self.env.reset(**kwargs)
        shown = self._shown(observation)
        self._before = shown
        return np.zeros_like(shown) if self._how.difference else shown, info

    def observation(self, observation: np.ndarray) -> np.ndarray:
        shown = self._shown(observation)
        before, self._before = self._before, shown
        return shown - before if self._how.difference else shown

    def _shown(self, picture: np.ndarray) -> np.ndarray:
        how = self._how
        rows = slice(*how.crop) if how.crop else slice(None)
        shown = picture[rows][:: how.stride, :: how.stride]
        if shown.ndim == 3:
            shown = (shown @ GREY).astype(np.uint8) if how.grey else shown[..., 0]
        return self._something[shown] if how.background else shown


class _Fired(gymnasium.Wrapper):
    """Presses the fire button once, at the beginning."""

    def reset(self, **kwargs: Any) -> tuple[Any, dict[str, Any]]:
        observation, info = self.env.reset(**kwargs)
        begun, _, terminated, truncated, _ = self.env.step(_buttons(self.env).index("FIRE"))
        return (observation if terminated or truncated else begun), info


def _buttons(env: gymnasium.Env) -> list[str]:
    return env.unwrapped.get_action_meanings()  # type: ignore[attr-defined]
