"""MuJoCo's tasks: what Gymnasium plays, the same bits in any company, one clear error where something is missing."""

import io
import os

import gymnasium
import numpy as np
import pytest
import torch
from PIL import Image

from pglab.build import build_arm, build_shapes
from pglab.cli import compose_runs
from pglab.envs import mujoco as module
from pglab.envs.gymnasium import GymnasiumWorld
from pglab.envs.mujoco import mujoco, tasks
from pglab.envs.world import Box
from pglab.studies.provenance import provenance
from pglab.training.bundle import Bundle
from pglab.watching.camera import film_policy
from tests.mujoco_here import needs_envpool, needs_mujoco, needs_pictures

NO_DRAWS = torch.empty(0)
SHORT = ("env.max_episode_steps=25", "updates=2")
WAYS = {
    "waves": ("experiment=reinforce_mujoco", "batch.steps=60", *SHORT),
    "segments": ("experiment=ppo_continuous", "batch.steps=40", "reuse.minibatches=2", "reuse.epochs=2", *SHORT),
    "trust region": ("experiment=trpo_plus_engstrom", "batch.steps=40", "baseline.fit_steps=2", *SHORT),
}


def bundle(seeds, *overrides):
    (composed,) = compose_runs(overrides)
    return Bundle(build_shapes(composed.settings), [build_arm(composed.settings, seeds)])


def bits(trained, row):
    """Of one run the columns of every update, its evaluation and its policy, as text, in which NaN equals NaN."""
    found = []
    while not trained.finished:
        measures = vars(trained.step()[0][1])
        found.append({name: str(x[row]) for name, x in measures.items() if isinstance(x, np.ndarray)})
    (evaluation,), (parameters,) = trained.evaluate(3), trained.parameters()
    return found, evaluation.returns[row].tolist(), {name: x[row].tobytes() for name, x in parameters.items()}


@needs_mujoco
def test_a_task_is_played_as_gymnasium_plays_it():
    world = mujoco("Hopper-v5", "gymnasium")
    assert (world.observation, world.actions, world.horizon) == (Box(11), Box(3, -1.0, 1.0), 1000)
    seeds, generator = [5, 6], torch.Generator().manual_seed(0)
    actions = torch.rand(40, 1, 2, 3, generator=generator) * 2 - 1
    state, ended = world.reset(torch.tensor([[[seed] for seed in seeds]], dtype=torch.float64) / 2**32), 0
    plain = [gymnasium.make("Hopper-v5") for _ in seeds]
    first = [env.reset(seed=seed)[0] for env, seed in zip(plain, seeds, strict=True)]
    assert np.array_equal(world.observe(state)[0], np.float32(first))
    playing = [True, True]
    for action in actions:
        step = world.step(state, action, NO_DRAWS)
        state = step.state
        assert step.truncated is not None
        for lane, env in enumerate(plain):
            if playing[lane]:
                obs, reward, terminated, truncated, _ = env.step(action[0, lane].numpy())
                assert np.array_equal(world.observe(state)[0, lane], np.float32(obs))
                shown = (step.reward[0, lane], step.terminated[0, lane], step.truncated[0, lane])
                assert shown == (np.float32(reward), terminated, truncated)
                playing[lane] = not (terminated or truncated)
                ended += not playing[lane]
    assert ended == 2
    world.close()


@needs_mujoco
@pytest.mark.parametrize("backend", ["gymnasium", pytest.param("envpool", marks=needs_envpool)])
@pytest.mark.parametrize(
    "way", [pytest.param(way, marks=() if way == "segments" else pytest.mark.slow) for way in WAYS]
)
def test_a_run_has_the_same_bits_alone_fused_and_after_a_stop(way, backend):
    settings = (*WAYS[way], f"env.backend={backend}")
    alone = bits(bundle([1], *settings), 0)
    assert bits(bundle([0, 1, 2], *settings), 1) == alone
    first, second = bundle([1, 2], *settings), bundle([1, 2], *settings)
    first.step()
    second.restore([{name: tensor.clone() for name, tensor in state.items()} for state in first.state()])
    assert bits(second, 0)[1:] == alone[1:]


@needs_mujoco
@needs_pictures
def test_a_policy_is_filmed_without_a_screen_and_nothing_said(monkeypatch):
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "MUJOCO_GL"):
        monkeypatch.delenv(name, raising=False)
    (composed,) = compose_runs(["experiment=ppo_continuous", "env.max_episode_steps=4"])
    trained = bundle([0], "experiment=ppo_continuous", "env.max_episode_steps=4", "batch.steps=8", "updates=1")
    named = {name: rows[0] for name, rows in trained.parameters()[0].items()}
    with Image.open(io.BytesIO(film_policy(build_shapes(composed.settings), named, 0))) as film:
        assert film.n_frames == 5
        beginning = film.convert("RGB").tobytes()
        film.seek(4)
        assert film.convert("RGB").tobytes() != beginning
    assert "MUJOCO_GL" not in os.environ


def test_what_is_missing_is_one_error_with_the_command(monkeypatch):
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r'^MuJoCo is not installed: pip install "pglab\[mujoco\]"$'):
        mujoco("Hopper-v5")


@needs_mujoco
def test_without_envpool_gymnasium_steps_and_asking_for_envpool_is_one_error(monkeypatch):
    monkeypatch.setattr(module, "find_spec", lambda name: None if name == "envpool" else name)
    assert isinstance(mujoco("Hopper-v5"), GymnasiumWorld)
    with pytest.raises(ValueError, match=r'^EnvPool is not installed: pip install "pglab\[envpool\]", or leave '):
        mujoco("Hopper-v5", "envpool")
    with pytest.raises(ValueError, match=r"^backend='brax' is not one of auto, gymnasium, envpool$"):
        mujoco("Hopper-v5", "brax")


@needs_mujoco
@pytest.mark.parametrize("id", ["CartPole-v1", "Nonsense-v0"])
def test_an_id_of_something_else_is_refused_with_the_tasks_that_there_are(id):
    assert {"Hopper-v5", "Walker2d-v5", "HalfCheetah-v5", "Ant-v5"} <= set(tasks())
    with pytest.raises(ValueError, match=f"{id} is none of Gymnasium's tasks for MuJoCo: Ant-v5, .*Hopper-v5"):
        mujoco(id)


@needs_mujoco
def test_the_version_of_mujoco_belongs_to_the_provenance_of_its_arms_alone():
    on, off = (compose_runs([f"env={env}", "head=gaussian"])[0].settings for env in ("mujoco", "pendulum"))
    assert provenance(on)["mujoco"] == __import__("mujoco").__version__
    assert "mujoco" not in provenance(off)


@needs_mujoco
def test_what_mujoco_warns_of_is_said_once_and_leaves_no_file(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    mujoco("HalfCheetah-v5", "gymnasium")  # whose model has a deprecated attribute
    for _ in range(2):
        module._warned("Nan, Inf or huge value in QACC")
    assert capfd.readouterr() == ("", "MuJoCo: Nan, Inf or huge value in QACC\n")
    assert list(tmp_path.iterdir()) == []
