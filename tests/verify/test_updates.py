"""The mean update over every batch: held against one worked out by hand, and shown by the command."""

from dataclasses import replace
from functools import partial
from io import StringIO
from itertools import product

import numpy as np
import pytest
import torch
from rich.console import Console

from pglab.algorithms import objectives as o
from pglab.algorithms.heads import Softmax
from pglab.algorithms.losses import Estimator
from pglab.algorithms.weightings import RewardToGo
from pglab.envs.finite import corridor
from pglab.envs.problems import contextual_bandit, random_mdp
from pglab.models.networks import Tabular
from pglab.models.parameters import Gaussian
from pglab.training.arm import Arm, BatchSize
from pglab.training.bundle import Shapes
from pglab.training.natural import Natural
from pglab.training.reuse import Epochs
from pglab.training.rollout import Waves
from pglab.training.trust_region import TrustRegion
from pglab.training.update import ONE_STEP
from pglab.verify.estimator import Finding
from pglab.verify.measure import Pipeline
from pglab.verify.report import show
from pglab.verify.setting import solve
from pglab.verify.updates import mean_updates
from tests.verify.test_verify import found, verify

RATE, EPISODES = 0.8, 3


def on(mdp, **changes):
    """A setting, and its pipeline."""
    arm = Arm(
        RewardToGo(1.0), Gaussian(0.5), partial(torch.optim.SGD, lr=RATE), Estimator("episodes"),
        BatchSize(episodes=EPISODES), 1.0, updates=1, seeds=[4], objective=o.Ratio(), rule=Epochs(1, 1),
    )  # fmt: skip
    shapes = Shapes(mdp, Softmax(), Tabular(), Waves(32), torch.device("cpu"))
    setting = solve(shapes, replace(arm, **changes), "problem", seed=4)
    return setting, Pipeline.begin(setting.shapes, setting.arm, 4)


def by_hand(theta, rewards, epochs, clip):
    """E[Δθ], E[KL] and the mean clipped share over the batches of a bandit, in every order, with minibatches of one."""
    old = np.exp(theta) / np.exp(theta).sum()
    moved, kl, clipped = np.zeros(2), 0.0, 0.0
    for batch in product((0, 1), repeat=EPISODES):
        chance, now = np.prod(old[list(batch)]), theta.copy()
        for _ in range(epochs):
            pi = np.exp(now) / np.exp(now).sum()
            ratio = pi / old
            pulls = [a for a in batch if not (ratio[a] > 1 + clip and rewards[a] > 0)]
            pulls = [a for a in pulls if not (ratio[a] < 1 - clip and rewards[a] < 0)]
            now = now + RATE * sum(rewards[a] * ratio[a] * (np.eye(2)[a] - pi) for a in pulls) / EPISODES
        pi = np.exp(now) / np.exp(now).sum()
        moved += chance * (now - theta)
        kl += chance * (old * np.log(old / pi)).sum()
        clipped += chance * np.mean([abs(pi[a] / old[a] - 1) > clip for a in batch])
    return moved, kl, clipped


@pytest.mark.parametrize(("objective", "clip"), [(o.Ratio(), np.inf), (o.Clip(0.2), 0.2)], ids=["ratio", "clip"])
def test_the_mean_update_is_that_of_every_batch_by_hand(objective, clip):
    rewards = np.array([1.0, -0.5])
    setting, pipeline = on(contextual_bandit([rewards.tolist()]), objective=objective)
    theta, gradient = pipeline.state["policy/parameters"][0, :2].double().numpy(), setting.gradient
    for update in mean_updates(setting, pipeline, [1, 4, 10]):
        moved, kl, clipped = by_hand(theta, rewards, update.epochs, clip)
        assert (update.batches, update.steps) == (4, update.epochs)
        along = moved @ gradient / (RATE * update.epochs * gradient @ gradient)
        assert update.relative_bias == pytest.approx(along - 1, abs=1e-5)
        assert update.cosine == pytest.approx(moved @ gradient / np.linalg.norm(moved) / np.linalg.norm(gradient))
        assert update.kl == pytest.approx(kl, rel=1e-4)
        assert update.clip_fraction == (None if np.isinf(clip) else pytest.approx(clipped))
        plain, _, _ = by_hand(theta, rewards, update.epochs, np.inf)
        adds = np.linalg.norm(moved - plain) / np.linalg.norm(plain)
        assert update.clip_adds == (None if np.isinf(clip) else pytest.approx(adds, abs=1e-5))
        assert update.epochs == 1 or adds > 0.1 or np.isinf(clip)


@pytest.mark.parametrize("reduction", ["episodes", "sum"])
def test_one_step_on_the_whole_batch_has_the_mean_of_its_estimate_and_later_ones_have_not(reduction):
    mdp = random_mdp(1, states=2, actions=2, branching=1, end=0.3, horizon=2)
    setting, pipeline = on(mdp, estimator=Estimator(reduction))
    first, fourth = mean_updates(setting, pipeline, [1, 4])
    assert first.relative_bias == pytest.approx(0.0, abs=1e-4)
    assert first.cosine == pytest.approx(1.0, abs=1e-7)
    assert abs(fourth.relative_bias) > 0.01
    assert fourth.cosine < 1 - 1e-5


def test_a_natural_step_leads_along_the_natural_gradient_and_one_by_the_own_batch_nearly_so():
    mdp, off = random_mdp(1, states=2, actions=2, branching=1, end=0.3, horizon=2), []
    for step in (Natural(exact=True), Natural(), TrustRegion()):
        setting, pipeline = on(mdp, rule=ONE_STEP, step_rule=step, objective=o.Ratio())
        (update,) = mean_updates(setting, pipeline, [1, 4])
        assert (update.epochs, update.steps, update.relative_bias) == (1, 1, None)
        off.append(1 - update.natural_cosine)
    exact, batch, scaled = off
    assert abs(exact) < 1e-12
    assert 1e-5 < batch < 1e-3 < scaled < 1e-2  # a batch is scaled by its own length of step, too
    assert mean_updates(*on(mdp, rule=ONE_STEP), [1]) == []


def test_where_batches_are_too_many_or_used_once_there_is_no_mean_update():
    assert mean_updates(*on(corridor(50)), [1]) == []
    setting, pipeline = on(contextual_bandit([[1.0, 0.0]]))
    adam = replace(setting, arm=replace(setting.arm, optimizer=partial(torch.optim.Adam, lr=0.1)))
    (update,) = mean_updates(adam, replace(pipeline, arm=adam.arm), [1])
    assert update.relative_bias is None
    once = replace(setting, arm=replace(setting.arm, rule=type("Once", (), {})()))
    assert mean_updates(once, pipeline, [1]) == []


@pytest.mark.parametrize("width", [60, 120])
def test_the_report_shows_the_mean_updates_below_the_verdict(width):
    setting, pipeline = on(contextual_bandit([[1.0, -0.5]]), objective=o.Clip(0.2))
    updates = mean_updates(setting, pipeline, [1, 10])
    console = Console(record=True, width=width, file=StringIO())
    show([Finding("surrogate=clip", (), "unbiased", "its mean is ∇J", [], [], updates)], console)
    shown = console.export_text()
    assert "mean update over all 4 different batches of 3 episodes" in shown
    (row,) = (line.split() for line in shown.splitlines() if line.split()[:4] == ["problem", "4", "10", "10"])
    assert row[4] == f"{updates[1].cosine:.4f}"
    assert float(row[5]) == pytest.approx(100 * updates[1].relative_bias, rel=0.01)
    assert float(row[7]) == pytest.approx(100 * updates[1].clip_fraction, rel=0.01)
    assert "the clip changes the mean update after 10 epochs by" in " ".join(shown.split())


@pytest.mark.slow
def test_the_command_shows_the_mean_update_after_some_epochs(tmp_path):
    few = ("seeds=1", "effort.batches=100", "effort.cosine_episodes=[]", "workers=1", "effort.epochs=[1,3]")
    done = verify(tmp_path, "surrogate=clip", "reuse=epochs", "env=contextual_bandit", "network=tabular", *few)
    assert done.returncode == 0, done.stdout + done.stderr
    (finding,) = found(tmp_path).values()
    assert finding["verdict"] == "unbiased"
    assert [(row["epochs"], row["steps"]) for row in finding["updates"]] == [(1, 4), (3, 12)]
    first, third = finding["updates"]
    assert 0 > first["relative_bias"] > third["relative_bias"]
    assert f"mean update over all {first['batches']:,} different batches of 4 episodes" in done.stdout
