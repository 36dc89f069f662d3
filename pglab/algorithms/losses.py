"""Every choice besides the weighting that turns Ψ and log π into one gradient step."""

from dataclasses import dataclass, replace
from typing import Literal, get_args

import torch
from torch import Tensor

from pglab.algorithms.divergence import FORMS, KLForm

ROUNDINGS = 16  # by which returns may differ and still count as equal

Reduction = Literal["steps", "episodes", "sum", "sequences", "tokens", "budget"]
Truncation = Literal["end", "bootstrap", "diverge"]
Normalize = Literal[False, True, "batch", "minibatch"]


@dataclass(frozen=True)
class Estimator:
    """Everything besides the weighting that changes the estimate of ∇J; all off by default, but for the reduction.

    Attributes:
        reduction: divide the sum over steps by the steps of the batch ("steps", as Spinning Up
            does, or "tokens", its name where steps are tokens), by its episodes ("episodes", an
            unbiased estimate of ∇J) or by nothing ("sum"); or take the mean over the steps of each
            episode and then over episodes ("sequences"), or divide by as many times a fixed number
            of steps as there are episodes ("budget").
        normalize: standardise the weights (mean 0, deviation 1) over the steps of the batch ("batch", or true), or
            of each minibatch ("minibatch").
        discount_states: the factor γ^t on the weight of step t, which belongs to the gradient of the
            discounted objective E[Σ γ^t r_t]; nearly all published code drops it. A weighting that is
            discounted from the start never takes it (see `pglab.algorithms.weightings`).
        entropy_bonus: β ≥ 0 in J + β H(π).
        clip_norm: rescale a run's gradient to at most this Euclidean norm.
        clip_together: the norm is that of the gradients of the policy and of a critic that learns in the same
            minibatches, as one vector; otherwise each is clipped by itself.
        min_episode_length: episodes with fewer steps do not enter the estimate; a batch without
            any other gives no update.
        truncation: an episode cut by the time limit counts as ended ("end"), or its last reward
            is continued by γ V(s_T) of the critic ("bootstrap"), or its run counts as diverged
            ("diverge"): for a problem whose every sensible policy ends its episodes long before.
        budget: steps of an episode that the reduction of that name divides by.
        kl_reference: weight β ≥ 0 of a penalty on the divergence from the policy that the run began with.
        kl_form: which estimate of it, "k1", "k2" or "k3" (see `pglab.algorithms.divergence`).
        kl_in: added to the "loss" of each step and differentiated, or taken off its "reward".
    """

    reduction: Reduction = "steps"
    normalize: Normalize = False
    discount_states: bool = False
    entropy_bonus: float = 0.0
    clip_norm: float | None = None
    clip_together: bool = False
    min_episode_length: int = 0
    truncation: Truncation = "end"
    budget: float = 1.0
    kl_reference: float = 0.0
    kl_form: KLForm = "k3"
    kl_in: Literal["loss", "reward"] = "loss"

    def __post_init__(self) -> None:
        for key, allowed in (("reduction", get_args(Reduction)), ("truncation", get_args(Truncation))):
            if getattr(self, key) not in allowed:
                raise ValueError(f"{key}={getattr(self, key)!r} is not one of {', '.join(allowed)}")
        if self.normalize not in get_args(Normalize):
            raise ValueError(f"normalize={self.normalize!r} is not one of false, batch, minibatch")
        if not self.entropy_bonus >= 0:
            raise ValueError(f"entropy_bonus={self.entropy_bonus} must be at least 0")
        if self.clip_norm is not None and not (type(self.clip_norm) in (int, float) and self.clip_norm > 0):
            raise ValueError(f"clip_norm={self.clip_norm} must be a number above 0 (or null for none)")
        if not self.kl_reference >= 0:
            raise ValueError(f"kl_reference={self.kl_reference} must be at least 0 (0: no penalty)")
        for key, allowed in (("kl_form", FORMS), ("kl_in", ("loss", "reward"))):
            if getattr(self, key) not in allowed:
                raise ValueError(f"{key}={getattr(self, key)!r} is not one of {', '.join(allowed)}")
        if not self.budget > 0:
            raise ValueError(f"budget={self.budget} must be above 0")
        if self.min_episode_length < 0:
            raise ValueError(f"min_episode_length={self.min_episode_length} must be at least 0")

    @property
    def bias(self) -> tuple[str, ...]:
        """Why the estimate's mean is not ∇J (with "sum": a multiple of it), whatever the weighting."""
        return self.bias_where(fixed_steps=False)

    def bias_where(self, fixed_steps: bool) -> tuple[str, ...]:
        """The same, where every batch has equally many steps or where their number is random."""
        by_budget = self.reduction == "budget" and self.budget != 1
        reasons = {
            "the sum is divided by the batch's steps, whose number is random": self.by_steps and not fixed_steps,
            "the sum of each episode is divided by its own length": self.reduction == "sequences",
            "the sum is divided by a budget of steps (∇J times 1 / budget)": by_budget,
            "the weights are standardised over the batch": self.normalize in (True, "batch"),
            "the weights are standardised over each minibatch": self.normalize == "minibatch",
            "the entropy bonus adds its own gradient": self.entropy_bonus > 0,
            f"the penalty {self.kl_form} in the {self.kl_in} adds its own gradient": self.kl_reference > 0,
            "the gradient's norm is clipped": self.clip_norm is not None,
            "short episodes are left out": self.min_episode_length > 1,
            "truncated episodes are continued by the critic": self.truncation == "bootstrap",
        }
        return tuple(reason for reason, applies in reasons.items() if applies)

    def without_bias(self) -> "Estimator":
        """The same with every choice of `bias` off, and γ^t kept."""
        return replace(
            self,
            reduction="sum" if self.reduction == "sum" else "episodes",
            normalize=False,
            discount_states=True,
            entropy_bonus=0.0,
            kl_reference=0.0,
            clip_norm=None,
            min_episode_length=0,
            truncation="end" if self.truncation == "bootstrap" else self.truncation,
        )

    @property
    def by_steps(self) -> bool:
        """Tells whether the sum is divided by the steps of the batch."""
        return self.reduction in ("steps", "tokens")

    @property
    def by_length(self) -> bool:
        """Tells whether each step also has a factor of its episode, 1 / length."""
        return self.reduction == "sequences"

    def simplest(self) -> "Estimator":
        if self.reduction == "tokens":
            return replace(self, reduction="steps")
        return replace(self, reduction="episodes") if self.reduction == "budget" and self.budget == 1 else self

    def scale(self, steps: Tensor, episodes: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
        """The factor on the sum over a run's steps, `[K]`, from its counts `[K]`; see `by_length` for another."""
        if self.reduction == "sum":
            return torch.ones_like(steps, dtype=dtype)
        count = steps if self.by_steps else episodes
        scale = 1.0 / count.clamp(min=1).to(dtype)
        return scale / self.budget if self.reduction == "budget" else scale


def differing(x: Tensor, counts: Tensor, axes: tuple[int, ...]) -> Tensor:
    """Says along some axes, kept with size 1, whether two of the numbers that count differ by more than rounding.

    Equal returns come out of sums in another order with other last bits, and so does their mean: divided by a deviation
    that consists of such bits, they would have weights.
    """
    most = x.masked_fill(~counts, -torch.inf).amax(axes, keepdim=True)
    least = x.masked_fill(~counts, torch.inf).amin(axes, keepdim=True)
    return most - least > ROUNDINGS * torch.finfo(x.dtype).eps * torch.maximum(most.abs(), least.abs())


def standardize(psi: Tensor, mask: Tensor, over: tuple[int, ...] = (-2, -1)) -> Tensor:
    """(Ψ - mean) / (deviation + 1e-8) over the steps of the batch `[..., E, T]`, or other axes; zero off the mask.

    It is zero, too, where all Ψ are the same but for rounding, which is then all that the deviation consists of.
    """
    count = mask.sum(over, keepdim=True).clamp(min=1)
    mean = (psi * mask).sum(over, keepdim=True) / count
    centred = (psi - mean) * mask
    deviation = (centred.square().sum(over, keepdim=True) / count).sqrt()
    return torch.where(differing(psi, mask, over), centred / (deviation + 1e-8), 0.0)
