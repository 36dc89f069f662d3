"""What is drawn is the state that the policy saw: the picture that Gymnasium has of the same steps."""

import os
from collections.abc import Callable, Iterator
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch

from pglab.algorithms.heads import Softmax
from pglab.envs.acrobot import Acrobot
from pglab.envs.bandit import Bandit
from pglab.envs.cartpole import CartPole
from pglab.envs.finite import corridor, frozen_lake
from pglab.envs.gymnasium import GymnasiumWorld
from pglab.envs.mountain_car import MountainCar, MountainCarContinuous
from pglab.envs.pendulum import Pendulum
from pglab.envs.problems import toy_text
from pglab.errors import InputError
from pglab.models.model import Policy
from pglab.models.networks import MLP
from pglab.models.parameters import Gaussian
from pglab.training.randomness import fold_in, generator, stream_keys, uniforms
from pglab.watching.episode import WatchedPolicy
from pglab.watching.stage import FILMED, can_be_drawn, check_drawn, drawn
from tests.training.test_action_spaces import Gaussian as GaussianHead

CPU = torch.device("cpu")
SOFTMAX = Softmax()


@pytest.fixture(autouse=True)
def headless(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")


@pytest.fixture
def stepped() -> Iterator[Callable[..., Any]]:
    """Gymnasium environments to be stepped beside an episode."""
    made = []

    def make(id: str, **kwargs: Any) -> Any:
        made.append(gymnasium.make(id, render_mode=FILMED, **kwargs))
        made[-1].reset(seed=0)
        return made[-1]

    yield make
    for env in made:
        env.close()


def hold_against(world: Any, env: Any, begin: Callable[[tuple], None], longest: int = 40, head: Any = SOFTMAX) -> None:
    """Plays an episode, makes its steps in `env`, too, and compares the pictures."""
    policy = Policy.of(MLP((8,)), head, world.observation, world.actions)
    parameters = policy.model.draw(Gaussian(0.5), [generator(0, "weights")], CPU)[0]
    seen = set()
    with drawn(world, FILMED) as drawing:
        for moment in WatchedPolicy(drawing.world, policy, parameters, 0).episode():
            if moment.action is None:
                begin(tuple(part.flatten()[0].item() for part in moment.state if part.numel() == 1))
            else:
                env.step(moment.action)
            picture = drawing.picture(moment.state, moment.action)
            np.testing.assert_array_equal(picture, env.render())
            seen.add(picture.tobytes())
            if moment.t == longest:
                break
    assert moment.t > 3
    assert len(seen) > 2


def test_cartpole_looks_as_gymnasiums_does_after_the_same_steps(stepped):
    env = stepped("CartPole-v1")
    hold_against(CartPole(), env, lambda state: setattr(env.unwrapped, "state", np.array(state)))


@pytest.mark.parametrize(
    ("world", "head"),
    [
        (Acrobot(), SOFTMAX),
        (MountainCar(), SOFTMAX),
        (MountainCarContinuous(), GaussianHead()),
        (Pendulum(), GaussianHead()),
    ],
    ids=["acrobot", "mountain_car", "mountain_car_continuous", "pendulum"],
)
def test_classic_control_looks_as_gymnasiums_does_after_the_same_steps(stepped, world, head):
    env = stepped(world.twin.id)
    hold_against(world, env, lambda state: setattr(env.unwrapped, "state", np.array(state)), head=head)


@pytest.mark.parametrize(
    ("world", "id", "kwargs"),
    [
        (frozen_lake(is_slippery=False), "FrozenLake-v1", {"is_slippery": False}),
        (frozen_lake("8x8", is_slippery=False), "FrozenLake-v1", {"is_slippery": False, "map_name": "8x8"}),
        (toy_text("CliffWalking-v1"), "CliffWalking-v1", {}),
        (toy_text("Taxi-v4"), "Taxi-v4", {}),
    ],
    ids=["4x4", "8x8", "CliffWalking", "Taxi"],
)
def test_tables_look_as_the_environment_they_are_from(stepped, world, id: str, kwargs: dict):
    env = stepped(id, **kwargs)
    hold_against(world, env, lambda state: setattr(env.unwrapped, "s", state[0]))


def test_a_gymnasium_environment_shows_itself(stepped):
    env = stepped("Acrobot-v1")
    key = fold_in(stream_keys([0], "watched_first_states", CPU), torch.tensor(0))
    seed = int(uniforms(key, 1, torch.float64) * 2**32)
    hold_against(GymnasiumWorld("Acrobot-v1"), env, lambda _: env.reset(seed=seed), longest=8)


@pytest.mark.parametrize("world", [corridor(), Bandit([0.0, 1.0])], ids=["corridor", "bandit"])
def test_what_has_no_picture_is_refused_with_those_that_have(world):
    assert not can_be_drawn(world, FILMED)
    with pytest.raises(InputError, match=r"--video f\.gif: this environment has no picture; .* cartpole.* frozenlake"):
        check_drawn(world, FILMED, "--video f.gif")


def test_a_window_needs_a_screen(monkeypatch: pytest.MonkeyPatch):
    check_drawn(CartPole(), "human", "--render human")
    for name in ("SDL_VIDEODRIVER", "DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("sys.platform", "linux")
    with pytest.raises(InputError, match=r"--render human: there is no screen here; --video FILE\.gif"):
        check_drawn(CartPole(), "human", "--render human")


def test_filming_asks_for_no_screen_and_leaves_the_environment_as_it_was(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SDL_VIDEODRIVER", "x11")
    monkeypatch.delenv("PYGAME_HIDE_SUPPORT_PROMPT", raising=False)
    before = dict(os.environ)
    with drawn(CartPole(), FILMED) as drawing:
        assert os.environ["SDL_VIDEODRIVER"] == "dummy"
        state = CartPole().reset(torch.full((1, 1, 4), 0.5, dtype=torch.float64))
        assert np.shape(drawing.picture(state, None)) == (400, 600, 3)
    assert dict(os.environ) == before
