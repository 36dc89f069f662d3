"""Lessons in which a step is to be taken, and a weighting with a critic."""

from functools import partial

import numpy as np
import torch

from pglab.algorithms import baselines as b
from pglab.algorithms import objectives as o
from pglab.algorithms import weightings as w
from pglab.models.networks import MLP
from pglab.models.parameters import PyTorchDefault
from pglab.training.arm import BatchSize
from pglab.training.bundle import Bundle
from pglab.training.trust_region import TrustRegion


def gae(**changes):
    critic = b.Value(MLP((8,)), PyTorchDefault(), partial(torch.optim.Adam, lr=1e-2), fit_steps=2, **changes)
    return w.GeneralizedAdvantage(0.97, 0.9, critic)


def lesson_of(bundle):
    kept = bundle._kept(bundle._arms, bundle._play(bundle._arms))
    ((_, lesson),) = bundle._lessons(bundle._arms, kept, *bundle._weigh(bundle._arms, kept))
    return lesson


def small_lesson(make_arm, make_shapes, **changes):
    plain = {"batch": BatchSize(steps=20), "seeds": [0, 1, 2], "objective": o.Ratio(), "step_rule": TrustRegion()}
    return lesson_of(Bundle(make_shapes(network=MLP((3,))), [make_arm(**{**plain, **changes})]))


def dense_fisher(lesson, row):
    """1/n Σ_t Σ_a π ∇log π ∇log πᵀ, written out in double precision, `[P, P]`."""
    steps = np.repeat(lesson.episodes.run, lesson.episodes.length) == row
    obs, layout = lesson.episodes.obs[:-1][torch.from_numpy(steps)], lesson.policy.model.layout
    leaf = lesson.parameters[row].double().requires_grad_()
    named = {name: part[None] for name, part in layout.unflatten(leaf).items()}
    log_pi = lesson.policy.model(named, obs[None].double())[0].log_softmax(-1)
    fisher = torch.zeros(len(leaf), len(leaf), dtype=torch.float64)
    for each in log_pi.flatten():
        (score,) = torch.autograd.grad(each, leaf, retain_graph=True)
        fisher += each.detach().exp() * torch.outer(score, score)
    return fisher / len(obs)
