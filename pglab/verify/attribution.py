"""The bias of an estimate, choice by choice: what each adds to the exact mean of the unbiased one."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from torch import Tensor

from pglab.algorithms.weightings import declared_bias, discounted_from_start
from pglab.training.arm import Arm
from pglab.verify.expected import expected
from pglab.verify.parts import without_bias
from pglab.verify.sample import cosine_to
from pglab.verify.setting import Setting
from pglab.verify.solved import Solved

COLLINEAR = 1e-8  # relative: a mean this close to a multiple of ∇J is one, but for rounding


@dataclass(frozen=True)
class Share:
    """The part of a bias that one choice adds to what the choices before it make of ∇J.

    Attributes:
        choice: which; `none` for the mean that the others are added to, with everything that is declared off.
        along: of what it adds to the mean, along ∇J: Δm·∇J / ‖∇J‖².
        aside: the rest of what it adds, relative to ‖∇J‖.
        factor: m·∇J / ‖∇J‖² of the mean m with it and the choices before it.
        cosine: between that mean and ∇J.
    """

    choice: str
    along: float
    aside: float
    factor: float
    cosine: float


def scale_of(mean: np.ndarray | None, gradient: np.ndarray) -> float | None:
    """c where a mean is c ∇J with c > 0, and None where it is not, or not known."""
    square = float(gradient @ gradient)
    if mean is None or not square:
        return None
    scale = float(mean @ gradient) / square
    return scale if scale > 0 and np.linalg.norm(mean - scale * gradient) <= COLLINEAR * np.linalg.norm(mean) else None


def attribution(setting: Setting, state: Mapping[str, Tensor], critic: Any) -> list[Share]:
    """The bias in parts, in the order in which the choices are made; empty where a mean is not known exactly.

    Args:
        state, critic: of the point, see `pglab.verify.expected.expected`.
    """
    gradient = setting.gradient
    square = float(gradient @ gradient)
    if not setting.bias or not square:
        return []
    shares, before = [], np.zeros_like(gradient)
    for choice, arm, solved in _one_by_one(setting):
        known = expected(arm, solved, state, critic)
        if known is None:
            return []
        added = known.mean - before
        along = float(added @ gradient) / square
        aside = float(np.linalg.norm(added - along * gradient)) / square**0.5
        cosine = float(cosine_to(known.mean[None], gradient)[0])
        shares.append(Share(choice, along, aside, float(known.mean @ gradient) / square, cosine))
        before = known.mean
    return shares


def _one_by_one(setting: Setting) -> Iterator[tuple[str, Arm, Solved]]:
    """The estimator without all that it declares, and with one choice more each time until it is itself."""
    plain = setting.with_unbiased_head()
    alone = replace(without_bias(setting.arm), batch=setting.arm.batch)
    yield "none", alone, plain.solved
    if plain is not setting:
        yield "head", alone, setting.solved
    for choice, arm in _choices(setting.arm, alone):
        yield choice, arm, setting.solved


def _choices(arm: Arm, now: Arm) -> Iterator[tuple[str, Arm]]:
    """The choices of an arm, one more each time."""
    parts = getattr(arm.weighting, "parts", None)
    if parts is not None:
        for choice, weighting in parts():
            now = replace(now, weighting=weighting)
            yield choice, now
    elif declared_bias(arm.weighting):
        now = replace(now, weighting=arm.weighting)
        yield "weighting", now
    if now.rewards != arm.rewards:
        now = replace(now, rewards=arm.rewards)
        yield "rewards", now
    kept = arm.estimator.discount_states or arm.gamma == 1 or discounted_from_start(arm.weighting)
    for choice, keys, there in (
        ("factor γ^t", ("discount_states",), not kept),
        ("aggregation", ("reduction", "budget"), arm.estimator.reduction != now.estimator.reduction),
        ("normalisation", ("normalize",), bool(arm.estimator.normalize)),
        ("entropy bonus", ("entropy_bonus",), arm.estimator.entropy_bonus > 0),
        ("KL form", ("kl_reference", "kl_form", "kl_in"), arm.estimator.kl_reference > 0),
        ("clip", ("clip_norm",), arm.estimator.clip_norm is not None),
        ("short episodes", ("min_episode_length",), arm.estimator.min_episode_length > 1),
        ("truncation", ("truncation",), arm.estimator.truncation == "bootstrap"),
    ):
        if there:
            changed = {key: getattr(arm.estimator, key) for key in keys}
            now = replace(now, estimator=replace(now.estimator, **changed))
            yield choice, now
