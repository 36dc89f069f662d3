"""Compiled code takes the actions of policies on worlds that it cannot play, and torch's but for rounding."""

from pathlib import Path

import numpy as np
import pytest
import torch

import pglab
from pglab.algorithms.gaussian import Gaussian
from pglab.algorithms.heads import Softmax
from pglab.envs.gymnasium import GymnasiumWorld
from pglab.envs.spaces import Box, Discrete, as_space
from pglab.models.model import Policy
from pglab.models.networks import MLP, Normalized
from pglab.training.greedy import Greedy
from pglab.training.native import NativePolicy, why_not_acting
from pglab.training.native_gradient import by_compiled_code
from pglab.training.native_segments import native_lanes
from pglab.training.segments import Segments
from tests.native.cases import CPU, EVERY_CASE, NATIVE
from tests.slow import first
from tests.training.conftest import make_arm, make_shapes, train  # noqa: F401 (fixtures)

TIES = 1e-3
NATIVELY = {"player": NATIVE, "differentiate": by_compiled_code, "lanes": native_lanes, "policies": NativePolicy}
OUTSIDE = {
    "pushed": {
        "world": GymnasiumWorld("Pendulum-v1", max_episode_steps=30),
        "network": Normalized(MLP((16,)), 10.0),
        "head": Gaussian(clip="action"),
    },
    "counted": {"world": GymnasiumWorld("CartPole-v1", max_episode_steps=30), "network": MLP((8,)), "head": Softmax()},
}


def both(case) -> tuple[Policy, NativePolicy]:
    torchs, arguments = case.policy, (case.network, case.head, case.world.observation, case.world.actions)
    return torchs, NativePolicy.of(*arguments)


def drawn(policy: Policy, runs: int, lanes: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Observations and uniforms."""
    generator, space = torch.Generator().manual_seed(3), policy.model.observation
    if isinstance(space, Discrete):
        obs = torch.randint(space.size, (runs, lanes, 1), generator=generator).float()
    else:
        obs = torch.randn(runs, lanes, space.stored, generator=generator)
    return obs, torch.rand(runs, lanes, *filter(None, [policy.draws]), generator=generator)


@EVERY_CASE
def test_the_actions_are_those_of_torch_but_for_rounding(case):
    of_torch, native = both(case)
    flat = case.parameters([0, 1, 2])
    obs, uniform = drawn(of_torch, 3, 64)
    for wrap in (lambda policy: policy, lambda policy: Greedy(policy, as_space(case.world.actions))):
        ours, theirs = (wrap(policy).acting(flat)(obs, uniform) for policy in (native, of_torch))
        assert ours.dtype == theirs.dtype
        assert ours.shape == theirs.shape
        assert (~torch.isclose(ours.double(), theirs.double(), rtol=1e-4, atol=1e-4)).float().mean() <= TIES


@EVERY_CASE
def test_an_action_keeps_its_bits_whatever_is_computed_beside_it(case):
    _, native = both(case)
    flat = case.parameters([0, 1, 2])
    obs, uniform = drawn(native, 3, 64)
    together = native.acting(flat)(obs, uniform)
    alone = native.acting(flat[1:2])(obs[1:2, 5:6], uniform[1:2, 5:])  # more uniforms than lanes
    assert torch.equal(alone[0, 0], together[1, 5])


def test_more_uniforms_than_observations_change_nothing_by_torch():
    policy = Policy.of(MLP((8,)), Softmax(), Box(4), Discrete(3))
    flat = torch.randn(2, policy.model.layout.size, generator=torch.Generator().manual_seed(0))
    obs, uniform = drawn(policy, 2, 32)
    whole = policy.acting(flat)(obs, uniform)
    assert torch.equal(policy.acting(flat)(obs[:1, :3], uniform), whole[:1, :3])


def test_bytes_double_precision_and_what_has_no_native_form_are_torchs():
    images = Policy.of(MLP((8,)), Softmax(), Box((1, 2, 2), dtype=torch.uint8), Discrete(2))
    assert why_not_acting(images, CPU) == "observations of whole numbers have no native form"
    native = NativePolicy.of(MLP((8,)), Softmax(), Box(4), Discrete(2))
    flat = torch.randn(2, native.model.layout.size, dtype=torch.float64)
    obs, uniform = (x.double() for x in drawn(native, 2, 32))
    expected = native.act(native.model.layout.unflatten(flat), obs, uniform)
    assert torch.equal(native.acting(flat)(obs, uniform), expected)


@pytest.mark.parametrize("batch", first(1, [Segments(2, 24), None]))
@pytest.mark.parametrize("policy", list(OUTSIDE))
def test_runs_on_worlds_without_a_native_form_keep_their_bits_in_any_company(
    make_arm, make_shapes, train, policy, batch  # noqa: F811
):  # fmt: skip
    shapes, how = make_shapes(**OUTSIDE[policy], **NATIVELY), {} if batch is None else {"batch": batch}
    together = train(shapes, [make_arm(seeds=[4, 1], **how), make_arm(seeds=[3], updates=2, **how)])
    alone = train(shapes, [make_arm(seeds=[1], **how)])
    for name, rows in together.parameters()[0].items():
        assert rows[1].tobytes() == alone.parameters()[0][name][0].tobytes(), name


def test_a_study_on_gymnasiums_world_goes_on_and_says_what_plays_it(tmp_path: Path, contents, capfd):
    def run(folder: str, updates: int) -> None:
        ppo = ("experiment=ppo_cleanrl", "env=gymnasium", "env.id=CartPole-v1", "schedule=constant")
        small = (
            "batch.steps=16",
            "reuse.minibatches=2",
            f"updates={updates}",
            "evaluation.episodes=2",
            "logger.mode=disabled",
            "study=s",
            "workers=1",
        )
        pglab.run([*ppo, *small, "backend=native", "seed=0,1", f"results_dir={tmp_path / folder}"])

    run("whole", 4)
    said = "torch plays all arms: GymnasiumWorld has no native form; its policies act by compiled code"
    assert said in capfd.readouterr().out
    run("parts", 2)
    run("parts", 4)
    whole, parts = (contents(tmp_path / folder / "s") for folder in ("whole", "parts"))
    kept = [name for name in whole if name.endswith(("updates.parquet", "evaluation.parquet", "policies.npz"))]
    assert len(kept) == 3
    assert all(whole[name] == parts[name] for name in kept)
    assert np.load(next((tmp_path / "whole").rglob("policies.npz")))
