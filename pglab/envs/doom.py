"""Scenarios of Doom by ViZDoom (Kempka et al. 2016)."""

import os
import shlex
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar

import gymnasium
import numpy as np
from gymnasium.spaces import Box
from PIL import Image

from pglab.envs.games import Buttons, game_id
from pglab.envs.gymnasium import GymnasiumWorld

MISSING = 'ViZDoom is not installed: pip install "pglab[doom]"'


@dataclass(eq=False)
class DoomWorld(GymnasiumWorld):
    """A scenario as a policy sees it.

    Each game is a process of its own, with about 10 MB of memory. An episode that comes to the scenario's limit of time
    is truncated; its last picture stays, as ViZDoom shows none afterwards.

    Attributes:
        id: its name, such as `Basic`, or an id of Gymnasium's, such as `VizdoomBasic-v1`.
        frame_skip: frames for which an action is held, 35 of which are a second.
        screen: height and width of the picture that the game draws.
        crop: first row that is kept and first below that is not; then the same of columns, if given; None: all.
        size: height and width that the picture is scaled to by taking means; None: as it is.
        grey: brightness in place of three colours.
        stack: pictures that are seen together, the last ones.
        together: at most so many buttons are pressed at once.
        buttons: numbers of the choices of buttons that there are, in order; None: all, 0 is to press none.
        max_episode_steps: cut games after as many actions; None: where the scenario does.
        kwargs: further arguments of `gymnasium.make`, such as `doom_skill`.

    Raises:
        ValueError: ViZDoom is not installed, there is no such scenario, or a setting is not allowed.
    """

    id: str
    frame_skip: int = 4
    screen: Sequence[int] = (120, 160)
    crop: Sequence[int] | None = None
    size: Sequence[int] | None = (60, 80)
    grey: bool = True
    stack: int = 4
    together: int = 1
    buttons: Sequence[int] | None = None
    max_episode_steps: int | None = None
    kwargs: dict[str, Any] | None = None
    most_lanes: ClassVar[int] = 64  # games that are played at once

    def __post_init__(self) -> None:
        if find_spec("vizdoom") is None:
            raise ValueError(MISSING)
        os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
        import vizdoom.gymnasium_wrapper  # registers the scenarios

        for name in ("frame_skip", "stack", "together"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)} must be at least 1")
        drawn = [name[4:].split("X") for name in vizdoom.ScreenResolution.__members__]
        sizes = sorted([int(height), int(width)] for width, height in drawn)
        if list(self.screen) not in sizes:
            raise ValueError(f"screen={list(self.screen)} is not one of {', '.join(map(str, sizes))}")
        if self.size is not None and (len(self.size) != 2 or min(self.size) < 1):
            raise ValueError(f"size={list(self.size)} must be a height and a width of at least 1")
        self._kept = self._rows_and_columns()
        GymnasiumWorld.__init__(self, game_id(self.id, "Vizdoom{}-v1"), self.kwargs, self.max_episode_steps)
        self.fps /= self.frame_skip

    def shown(self, kwargs: dict[str, Any]) -> "DoomWorld":
        return replace(self, kwargs=kwargs, max_episode_steps=None)

    def make(self) -> gymnasium.Env:
        height, width = self.screen
        given: dict[str, Any] = {"screen_resolution": f"RES_{width}X{height}", "screen_format": "RGB24"}
        given |= {"frame_skip": self.frame_skip, "max_buttons_pressed": self.together}
        env = gymnasium.make(self.id, **{**given, **self._kwargs})
        seen = _Seen(env, self)
        return seen if self.buttons is None else Buttons(seen, self.buttons, _choices(env))

    def pictured(self, screen: np.ndarray) -> np.ndarray:
        """Returns the image `[channels, height, width]` that is observed of a screen `[height, width, 3]`."""
        image = Image.fromarray(np.ascontiguousarray(screen[self._kept]))
        if self.size is not None:
            image = image.resize((self.size[1], self.size[0]), Image.Resampling.BOX)
        picture = np.asarray(image.convert("L") if self.grey else image)
        return picture[None] if self.grey else np.moveaxis(picture, -1, 0)

    def _rows_and_columns(self) -> tuple[slice, slice]:
        """The part of the screen that is kept."""
        crop = list(self.crop or (0, self.screen[0]))
        ends = (*crop, 0, self.screen[1]) if len(crop) == 2 else crop
        within = len(ends) == 4 and all(
            0 <= first < end <= length for first, end, length in zip(ends[::2], ends[1::2], self.screen, strict=True)
        )
        if not within:
            raise ValueError(f"crop={crop} must be rows from and to, then columns if given, within {list(self.screen)}")
        return slice(*ends[:2]), slice(*ends[2:])


class _Seen(gymnasium.Wrapper):
    """The last pictures, on top of each other `[stack * channels, height, width]`."""

    def __init__(self, env: gymnasium.Env, how: DoomWorld) -> None:
        super().__init__(env)
        self._how, self._screen = how, np.zeros((*how.screen, 3), np.uint8)
        self._pictures: deque[np.ndarray] = deque(maxlen=how.stack)
        channels, height, width = how.pictured(self._screen).shape
        self.observation_space = Box(0, 255, (how.stack * channels, height, width), np.uint8)

    def reset(self, **kwargs: Any) -> tuple[np.ndarray, dict[str, Any]]:
        with _begun(self._game):
            observation, info = self.env.reset(**kwargs)
        self._look(observation["screen"])
        self._pictures.extend([self._pictures[-1]] * self._how.stack)
        return np.concatenate(self._pictures), info

    def step(self, action: Any) -> tuple[np.ndarray, Any, bool, bool, dict[str, Any]]:
        observation, reward, ended, truncated, info = self.env.step(action)
        if not ended:
            self._look(observation["screen"])
        late = ended and self._game.is_episode_timeout_reached()
        return np.concatenate(self._pictures), reward, ended and not late, truncated, info

    def render(self) -> Any:
        return self._screen if self.render_mode == "rgb_array" else self.env.render()

    def _look(self, screen: np.ndarray) -> None:
        self._screen = screen
        self._pictures.append(self._how.pictured(screen))

    @property
    def _game(self) -> Any:
        return self.unwrapped.game  # type: ignore[attr-defined]


def _choices(env: gymnasium.Env) -> list[str]:
    """The buttons that are pressed by each action, in words."""
    plain: Any = env.unwrapped
    names = [button.name for button in plain.game.get_available_buttons()]
    return [
        " and ".join(name for name, down in zip(names, pressed, strict=True) if down) or "none"
        for pressed in plain.button_map
    ]


# Runs the engine in a folder that goes, where it hears no Ctrl-C, holds no file of ours, and ends with who began it.
LAUNCH = """
import ctypes, os, sys
os.chdir(sys.argv[1])
os.setsid()
os.closerange(3, 4096)
ctypes.CDLL(None).prctl(1, 9)  # PR_SET_PDEATHSIG, SIGKILL
os.execv(sys.argv[2], sys.argv[2:])
"""
SHARED = "/dev/shm/ViZDoom"  # memory that an engine shares with us


@contextmanager
def _begun(game: Any) -> Iterator[None]:
    """Has an engine that is begun in this context read and leave no files, and on Linux end whenever we do.

    An engine is a process that waits for orders: by itself it would go on waiting where we are killed, and its memory
    would stay. Weapons do not swing with the steps of who holds them, as that goes on from one game to the next.
    """
    if game.is_running():
        yield
        return
    game.add_game_args("+movebob 0")
    game.set_doom_config_path(os.devnull)
    if sys.platform != "linux":
        yield
        return
    from vizdoom import exe_path as engine

    with TemporaryDirectory(prefix="pglab-", ignore_cleanup_errors=True) as folder:
        program = Path(folder, "vizdoom")
        program.write_text(f'#!/bin/sh\nexec {shlex.join([sys.executable, "-ISc", LAUNCH, folder, engine])} "$@"\n')
        program.chmod(0o700)
        game.set_vizdoom_path(str(program))
        yield
        game.set_vizdoom_path(engine)
    for mapped in Path("/proc/self/maps").read_text().splitlines():
        name = mapped.partition(SHARED)[2]
        if name and not name.endswith(" (deleted)"):
            Path(SHARED + name).unlink(missing_ok=True)  # it lives on for as long as it is used
