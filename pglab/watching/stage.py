"""Stages on which an episode is drawn: a window, a film, or nowhere."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from ctypes.util import find_library

from pglab.envs.drawing import Drawable, Drawing
from pglab.envs.world import World
from pglab.errors import InputError

DRAWN = (
    "cartpole, cartpole_v0, acrobot, mountain_car, mountain_car_continuous, pendulum, frozenlake, toy_text, "
    "mujoco, atari, doom, minatar and those of env=gymnasium that Gymnasium draws"
)
FILMED = "rgb_array"  # Gymnasium's name for pictures as arrays


def can_be_drawn(world: World, mode: str) -> bool:
    """Tells if a world has pictures of this kind."""
    return isinstance(world, Drawable) and mode in world.render_modes


def check_drawn(world: World, mode: str, asked: str) -> None:
    """Raises InputError where a world has no pictures of this kind, or there is no screen to show them.

    Args:
        asked: what needs the pictures, in words.
    """
    if not can_be_drawn(world, mode):
        raise InputError(f"{asked}: this environment has no picture; there are pictures of {DRAWN}")
    if mode == "human" and not _has_screen():
        raise InputError(f"{asked}: there is no screen here; --video FILE.gif films without one")


@contextmanager
def drawn(world: World, mode: str) -> Iterator[Drawing]:
    """A drawing of a world, closed at last.

    Films are made without a screen, also where there is one: by SDL's dummy driver, and for MuJoCo by EGL or else
    OSMesa, unless MUJOCO_GL says which.
    """
    assert isinstance(world, Drawable)
    wanted = {"PYGAME_HIDE_SUPPORT_PROMPT": "1"} | (_screenless() if mode == FILMED else {})
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        drawing = world.drawing(mode)
        try:
            yield drawing
        finally:
            drawing.close()
    finally:
        for name, value in before.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value


def _screenless() -> dict[str, str]:
    """The variables that have pictures made without a screen."""
    libraries = {"egl": "EGL", "osmesa": "OSMesa"} if sys.platform == "linux" and "MUJOCO_GL" not in os.environ else {}
    found = [name for name, library in libraries.items() if find_library(library)]
    return {"SDL_VIDEODRIVER": "dummy"} | ({"MUJOCO_GL": found[0]} if found else {})


def _has_screen() -> bool:
    """Tells if a window could be opened; a driver that was chosen by hand is taken at its word."""
    if "SDL_VIDEODRIVER" in os.environ:
        return True
    if sys.platform == "linux" and not {"DISPLAY", "WAYLAND_DISPLAY"} & os.environ.keys():
        return False
    os.environ["PYGAME_HIDE_SUPPORT_PROMPT"] = "1"
    import pygame

    try:
        pygame.display.init()
        return pygame.display.get_driver() not in ("offscreen", "dummy")
    except pygame.error:
        return False
    finally:
        pygame.display.quit()
