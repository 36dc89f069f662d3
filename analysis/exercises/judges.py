"""The judges of the exercises: each a `check_…` that says what is wrong, or nothing."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from pglab.algorithms.baselines import LeaveOneOut
from pglab.algorithms.batch import Batch
from pglab.algorithms.gaussian import TanhGaussian
from pglab.algorithms.returns import rewards_to_go
from pglab.envs.spaces import Box
from pglab.testing import check_baseline, check_head, check_weighting
from pglab.testing.batches import random_batch

SOLVED, WRONG = 0, 1  # exit statuses


def judged(check: Callable[[Any], None], answer: Any) -> int:
    """Says what a judge finds; returns the exit status."""
    try:
        check(answer)
    except NotImplementedError as hole:
        print(f"not yet: {hole}")
    except AssertionError as wrong:
        print(f"not yet: {wrong}")
    else:
        print("solved")
        return SOLVED
    return WRONG


def check_reward_to_go(weighting: Any) -> None:
    """Judges a weighting: it keeps the contract, its mean is ∇J, and no reward of the past is in it."""
    batch = random_batch(episodes=3, steps=5, seed=0, dtype=torch.float64)
    found = _called(weighting, batch)
    if torch.allclose(found, found[..., :1] * batch.mask):
        raise AssertionError("every step has the weight of the first: rewards of the past are in it, too")
    known = rewards_to_go(batch.reward, 1.0)
    if not torch.allclose(found, known):
        raise AssertionError(
            f"Ψ of rewards {_numbers(batch.reward[0])} is {_numbers(found[0])}, and should be {_numbers(known[0])}"
        )
    check_weighting(weighting)


def check_leave_one_out(baseline: Any) -> None:
    """Judges a baseline: it keeps the contract, is unbiased, and is the mean of the other episodes' returns."""
    batch = random_batch(episodes=4, steps=3, seed=0, dtype=torch.float64)
    returns = rewards_to_go(batch.reward, 1.0)
    found, known = baseline(batch, returns).expand_as(returns), LeaveOneOut()(batch, returns)
    check_baseline(baseline)
    if not torch.allclose(found, known):
        raise AssertionError(
            f"of returns {_numbers(returns[:, 0])} the baselines are {_numbers(found[:, 0])}, and should be "
            f"{_numbers(known[:, 0])}: of each episode the mean of the others"
        )


def check_tanh_gaussian(log_prob: Callable[[Tensor, Tensor, Tensor], Tensor]) -> None:
    """Judges log π of a tanh-Gaussian: a density that integrates to one, with a score that has the mean zero."""

    class Head(TanhGaussian):
        def log_prob(self, outputs: Tensor, action: Tensor) -> Tensor:
            mean, log_sigma = outputs.chunk(2, -1)
            return log_prob(action, mean, log_sigma)

    check_head(Head(), Box(1, -1.0, 1.0))


def check_clip(loss: Callable[[Tensor, Tensor, Tensor, float], Tensor]) -> None:
    """Judges PPO's clipped loss: where it pulls, and where it lets go."""
    for psi in (2.0, -2.0):
        for ratio in (0.5, 0.9, 1.0, 1.1, 1.5):
            log_prob = torch.tensor(ratio, dtype=torch.float64).log().requires_grad_()
            old, weight = torch.zeros((), dtype=torch.float64), torch.tensor(psi, dtype=torch.float64)
            (slope,) = torch.autograd.grad(loss(log_prob, old, weight, 0.2), log_prob, allow_unused=True)
            found = 0.0 if slope is None else float(slope)
            gone = (psi > 0 and ratio > 1.2) or (psi < 0 and ratio < 0.8)
            known = 0.0 if gone else -ratio * psi
            if abs(found - known) > 1e-9:
                why = "has gone far enough" if gone else "is π_old" if ratio == 1 else "has gone the wrong way"
                raise AssertionError(
                    f"where Ψ = {psi:g} and π/π_old = {ratio:g} the policy {why}: the slope of the loss over log π is "
                    f"{found:g}, and should be {known:g}"
                )


def check_group_weighting(weighting: Any) -> None:
    """Judges a weighting of groups: its mean is ∇J without a declared bias, and it still compares with the group."""
    if getattr(weighting, "bias", ()):
        raise AssertionError("declaring a bias excuses it; here it has to go")
    batch = random_batch(episodes=4, steps=3, seed=0, dtype=torch.float64)
    alike = replace(batch, reward=torch.ones_like(batch.reward), mask=torch.ones_like(batch.mask))
    if not torch.allclose(weighting(alike), torch.zeros_like(batch.reward)):
        raise AssertionError("in a group of equal returns some weight is not 0: nothing is compared any more")
    check_weighting(weighting)


def _called(component: Any, batch: Batch) -> Tensor:
    found = component(batch)
    if not isinstance(found, Tensor) or found.shape != batch.reward.shape:
        shape = list(found.shape) if isinstance(found, Tensor) else type(found).__name__
        raise AssertionError(f"Ψ must be like the rewards, {list(batch.reward.shape)}; it is {shape}")
    return found


def _numbers(x: Tensor) -> str:
    return "[" + ", ".join(f"{value:.2f}" for value in x.flatten().tolist()) + "]"
