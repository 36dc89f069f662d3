import math

import pytest
import torch

from pglab.envs.bandit import Bandit
from pglab.envs.world import Discrete

ANGLES, RADII = 64, 4096


def grid():
    """Midpoints of a lattice on the unit square, `[RADII·ANGLES, 2]`: a mean over them is an integral."""
    radius, angle = ((torch.arange(n, dtype=torch.float64) + 0.5) / n for n in (RADII, ANGLES))
    return torch.cartesian_prod(radius, angle)


def play(world, actions, uniform):
    state = world.reset(torch.empty(len(actions), 0, dtype=torch.float64))
    return world.step(state, actions, uniform)


def test_without_noise_an_action_earns_its_mean_and_the_episode_is_over():
    step = play(Bandit([1.0, 0.7, 0.0]), torch.tensor([2, 0, 1, 1]), torch.rand(4, 2, generator=torch.Generator()))
    assert torch.equal(step.reward, torch.tensor([0.0, 1.0, 0.7, 0.7]))
    assert step.terminated.all()
    assert step.truncated is None


def test_the_noise_is_standard_normal():
    noise = play(Bandit([0.0, 0.0], noise=1.0), torch.zeros(len(grid()), dtype=torch.int64), grid()).reward.double()
    # The angles integrate exactly; the midpoints of -log(1 - u) fall short by log(2) / (2 RADII).
    assert noise.mean().item() == pytest.approx(0, abs=1e-9)
    assert noise.square().mean().item() == pytest.approx(1 - math.log(2) / (2 * RADII), abs=1e-6)
    assert noise.pow(3).mean().item() == pytest.approx(0, abs=1e-9)
    assert noise.pow(4).mean().item() == pytest.approx(3, abs=0.01)
    for z in (-3.0, -2.0, -1.0, -0.5, 0.5, 1.0, 2.0, 3.0):
        below = 0.5 * (1 + math.erf(z / math.sqrt(2)))
        assert (noise < z).double().mean().item() == pytest.approx(below, abs=1 / RADII)


def test_the_noise_is_scaled_and_added_to_the_mean_of_the_action():
    uniform = torch.rand(100, 2, generator=torch.Generator().manual_seed(0))
    action = torch.arange(100) % 2
    standard = play(Bandit([0.0, 0.0], noise=1.0), action, uniform).reward
    scaled = play(Bandit([4.0, -2.0], noise=0.5), action, uniform).reward
    assert torch.equal(scaled, torch.tensor([4.0, -2.0])[action] + 0.5 * standard)


def test_the_extreme_uniforms_give_finite_rewards():
    edges = torch.cartesian_prod(*[torch.tensor([0.0, 0.5, 1 - 2.0**-24])] * 2)
    assert play(Bandit([0.0, 0.0], noise=1.0), torch.zeros(9, dtype=torch.int64), edges).reward.isfinite().all()


def test_the_world_says_what_it_is():
    world = Bandit([1.0, 0.7, 0.0])
    assert (world.observation, world.actions, world.horizon) == (Discrete(1), Discrete(3), 1)
    state = world.reset(torch.empty(2, 3, world.reset_draws, dtype=torch.float64))
    assert torch.equal(world.observe(state), torch.zeros(2, 3, 1))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"means": [1.0]}, r"means=\[1.0\] must name at least 2 actions"),
        ({"means": [1.0, 0.0], "noise": -0.5}, "noise=-0.5 must be at least 0"),
        ({"means": [1.0, 0.0], "noise": float("nan")}, "noise=nan must be at least 0"),
    ],
)
def test_a_bandit_without_a_choice_or_with_negative_noise_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Bandit(**options)
