"""The gradient of `backend=native`: the policy gradient of counted actions by compiled code, all others by torch."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pglab.algorithms.heads import Sigmoid, Softmax
from pglab.algorithms.objectives import Surrogate
from pglab.envs.world import World
from pglab.models.model import Policy
from pglab.models.native import NativeMLP
from pglab.native.acting import Acting
from pglab.native.gradients import SLOPES, policy_gradients, sigmoid_slopes, softmax_slopes
from pglab.native.vector import WIDTH
from pglab.training.episodes import Episodes
from pglab.training.gradient import Gradient
from pglab.training.native import compiled, parameters_of, play_natively, rows, why_not, why_not_acting
from pglab.training.native_segments import native_lanes
from pglab.training.randomness import Streams
from pglab.training.rollout import Target
from pglab.training.segments import Segments
from pglab.training.update import Lesson, by_torch

CPU = torch.device("cpu")
HEADS = {Softmax: softmax_slopes, Sigmoid: sigmoid_slopes}


def by_compiled_code(lesson: Lesson) -> Gradient:
    """The gradient of a lesson, by compiled code where that has it."""
    if not _has(lesson):
        return by_torch(lesson)
    psi, beta = lesson.weights.psi, lesson.weights.entropy
    return _computed(lesson.policy, lesson.parameters, lesson.episodes, psi, beta, lesson.runs)


def prepare(world: World, policy: Policy, batch: Any) -> None:
    """Has everything compiled that plays a policy on a world and differentiates it, as far as there is code for it."""
    network, parameters = policy.model.network, torch.zeros(1, policy.model.layout.size)
    if isinstance(network, NativeMLP):
        leaves = policy.model.layout.leaves(parameters.repeat(2, 1))
        policy.model(leaves, torch.zeros(2, WIDTH, world.observation.stored)).sum().backward()
    if why_not_acting(policy, CPU):
        return
    one, shown = np.ones(1, np.int64), world.observation.stored
    keys = Streams.of([0], "", CPU)
    if why_not(world, policy, CPU):
        policy.acting(parameters)(torch.zeros(1, 1, shown), torch.zeros(1, 1, *filter(None, [policy.draws])))
    else:  # whole episodes, which an evaluation has in any case
        play_natively(world, policy, parameters, keys, Target(0 * one, one), np.full(1, np.nan))
        if isinstance(batch, Segments):
            lanes = native_lanes(replace(batch, steps=1), world, keys, policy)
            lanes.play(policy, parameters, keys, one > 0)
    if not isinstance(batch, Segments) and _differentiates(policy):
        nothing = torch.zeros(2)
        episode = Episodes(
            run=0 * one, length=one, terminated=one > 0, truncated=one < 0, last_obs=torch.zeros(1, shown),
            obs=torch.zeros(2, shown), action=nothing.long(), reward=nothing,
        )  # fmt: skip
        _computed(policy, parameters, episode, nothing, nothing[:1], np.arange(1))


def _computed(
    policy: Policy, parameters: Tensor, episodes: Episodes, psi: Tensor, beta: Tensor, runs: np.ndarray
) -> Gradient:
    """The gradient of Σ_t -log π(a_t|s_t) Ψ_t - β H, for some runs."""
    form, k = compiled(policy), len(parameters)
    flat = rows(policy, parameters)
    count, steps = np.zeros(k, dtype=np.int64), episodes.steps(k)
    count[runs] = steps[runs]
    gradient, loss, entropy = np.empty_like(flat), np.empty(k, np.float32), np.empty(k, np.float32)
    gradients = _gradients(form.kind, HEADS[type(policy.head)])
    gradients(
        flat, form.sizes, form.clip, np.cumsum(steps) - steps, count, episodes.obs.numpy().reshape(-1),
        policy.model.observation.stored, episodes.action.numpy(), psi.numpy(), beta.numpy(), gradient, loss, entropy,
    )  # fmt: skip
    mean = torch.from_numpy(entropy / np.maximum(count, 1).astype(np.float32))
    return Gradient(parameters_of(policy, gradient), torch.from_numpy(loss), mean)


def _has(lesson: Lesson) -> bool:
    """Tells whether there is compiled code for a lesson: the plain policy gradient over a whole batch."""
    weights = lesson.weights
    plain = type(lesson.objective) is Surrogate and lesson.steps.position is None
    parts = (weights.anchor, weights.share, weights.centre)
    if not plain or any(part is not None for part in parts) or (weights.each is not None and weights.entropy.any()):
        return False
    if why_not_acting(lesson.policy, lesson.parameters.device):
        return False
    return _differentiates(lesson.policy)


def _differentiates(policy: Policy) -> bool:
    """Tells of a policy that acts by compiled code whether it is differentiated by it, too."""
    return type(policy.head) in HEADS and compiled(policy).kind.activation in SLOPES


@cache
def _gradients(acting: Acting, slopes: Callable[..., Any]) -> Callable[..., Any]:
    return policy_gradients(acting.activation, acting.counted, acting.standardized, slopes)
