"""The gradient of `backend=native`: the policy gradient of counted actions by compiled code, all others by torch."""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import torch

from pglab.algorithms.heads import Sigmoid, Softmax
from pglab.algorithms.objectives import Surrogate
from pglab.native.gradients import SLOPES, policy_gradients, sigmoid_slopes, softmax_slopes
from pglab.native.lanes import Kind
from pglab.training.gradient import Gradient
from pglab.training.native import compiled, parameters_of, rows, why_not
from pglab.training.update import Lesson, by_torch

HEADS = {Softmax: softmax_slopes, Sigmoid: sigmoid_slopes}


def by_compiled_code(lesson: Lesson) -> Gradient:
    """The gradient of a lesson, by compiled code where that has it."""
    if not _has(lesson):
        return by_torch(lesson)
    policy, parameters = lesson.policy, lesson.parameters
    form, k = compiled(lesson.world, policy), len(parameters)
    flat = rows(policy, parameters)
    count = np.zeros(k, dtype=np.int64)
    steps = lesson.episodes.steps(k)
    count[lesson.runs] = steps[lesson.runs]
    gradient = np.empty_like(flat)
    loss, entropy = np.empty(k, np.float32), np.empty(k, np.float32)
    gradients = _gradients(form.kind, HEADS[type(policy.head)])
    gradients(
        flat, form.sizes, form.clip, np.cumsum(steps) - steps, count, lesson.episodes.obs.numpy().reshape(-1),
        policy.model.observation.stored, lesson.episodes.action.numpy(), lesson.weights.psi.numpy(),
        lesson.weights.entropy.numpy(), gradient, loss, entropy,
    )  # fmt: skip
    mean = torch.from_numpy(entropy / np.maximum(count, 1).astype(np.float32))
    return Gradient(parameters_of(policy, gradient), torch.from_numpy(loss), mean)


def _has(lesson: Lesson) -> bool:
    """Tells whether there is compiled code for a lesson: the plain policy gradient over a whole batch."""
    weights, policy = lesson.weights, lesson.policy
    plain = type(lesson.objective) is Surrogate and lesson.steps.position is None
    parts = (weights.anchor, weights.share, weights.centre)
    if not plain or any(part is not None for part in parts) or (weights.each is not None and weights.entropy.any()):
        return False
    if type(policy.head) not in HEADS or why_not(lesson.world, policy) is not None:
        return False
    return compiled(lesson.world, policy).kind.activation in SLOPES


@cache
def _gradients(kind: Kind, slopes: Callable[..., Any]) -> Callable[..., Any]:
    return policy_gradients(kind.activation, kind.counted, kind.standardized, slopes)
