"""Surrogate objectives: the loss whose gradient a batch gives, from log π and the weights Ψ.

With r = π(a|s) / π_old(a|s), where π_old is the policy that played the batch, all of them have the
gradient of `Surrogate` at θ = θ_old; they differ in what they say of steps away from it.
"""

from dataclasses import dataclass
from typing import ClassVar, Protocol

import torch
from torch import Tensor


@dataclass(frozen=True)
class Seen:
    """A surrogate's view of b stretches of n steps, each of one run.

    Attributes:
        log_prob: log π(a_t|s_t) of the policy that learns, `[b, n]`, differentiable.
        psi: Ψ_t, its reduction included, `[b, n]`, without gradient.
        old_log_prob: log π_old(a_t|s_t), `[b, n]`; None where nobody asks for it.
        kl: KL(π_old(·|s_t) ‖ π(·|s_t)) in nats, `[b, n]`, differentiable; None where nobody asks for it.
        weight: the reduction's factor on each step, `[b, 1]` or `[b, n]`.
        strength: the coefficient of each run as it is now, `[b, 1]`; see `Objective`.
        sequence_log_ratio: log s = (1/T) Σ_t log r_t of the episode that each step belongs to, `[b, n]`, without
            gradient; None where nobody asks for it.
    """

    log_prob: Tensor
    psi: Tensor
    old_log_prob: Tensor | None = None
    kl: Tensor | None = None
    weight: Tensor | None = None
    strength: Tensor | None = None
    sequence_log_ratio: Tensor | None = None

    @property
    def sequence_ratio(self) -> Tensor:
        """s, `[b, n]`; at each step of an episode its gradient has that step's share, so that they add up to ∇s."""
        assert self.sequence_log_ratio is not None
        return self.sequence_log_ratio.exp() * (self.log_prob - self.log_prob.detach()).exp()

    @property
    def ratio(self) -> Tensor:
        """r_t, `[b, n]`."""
        assert self.old_log_prob is not None
        return (self.log_prob - self.old_log_prob).exp()


class Objective(Protocol):
    """A frozen dataclass that turns log π and Ψ into the loss of each step, `[b, n]`.

    Objectives that are equal (`==`) are computed together, the others one after another, so that
    arms with different ones train in one bundle. The trainer leaves out the steps of padding, adds
    up the rest over each run's batch and subtracts the entropy bonus; Ψ has its reduction (a mean
    over steps or episodes, or the sum) in it. The loss of a step must depend on that step alone.

    Optional attributes:
        uses_old_log_prob, uses_kl, uses_sequence_ratio: true where it compares with the policy that played the
            batch. That costs a pass of the network over the batch; the last one, one more for each step.
        strength: the name of the field with its coefficient (a clip range, the weight of a
            penalty), which a schedule may change.
        adapt: a method (strength `[k]`, KL of the update `[k]`) → strength for the next update, which
            a run then keeps.
        bias: as a weighting has it.
    """

    def __call__(self, seen: Seen) -> Tensor: ...


def uses_old_log_prob(objective: Objective) -> bool:
    """Tells whether an objective wants log π of the policy that played the batch."""
    return getattr(objective, "uses_old_log_prob", False)


def uses_kl(part: object) -> bool:
    """Tells whether an objective, or a step rule, wants the divergence from the policy that played the batch."""
    return getattr(part, "uses_kl", False)


def uses_sequence_ratio(objective: Objective) -> bool:
    """Tells whether an objective wants the mean log ratio of whole episodes."""
    return getattr(objective, "uses_sequence_ratio", False)


def strength_of(objective: Objective) -> float:
    """Its coefficient before any schedule; 0 where it has none."""
    name = getattr(objective, "strength", None)
    return float(getattr(objective, name)) if name else 0.0


@dataclass(frozen=True)
class Surrogate:
    """The policy gradient: -log π(a_t|s_t) Ψ_t.

    Its gradient at θ is minus the estimate of ∇J; its *value* follows nothing.
    """

    def __call__(self, seen: Seen) -> Tensor:
        return -seen.log_prob * seen.psi


@dataclass(frozen=True)
class Ratio:
    """Importance sampling: -r_t Ψ_t, with nothing that keeps r near 1.

    (Schulman et al. 2017, eq. 6, there called conservative policy iteration.)
    """

    uses_old_log_prob: ClassVar[bool] = True

    def __call__(self, seen: Seen) -> Tensor:
        return -seen.ratio * seen.psi


@dataclass(frozen=True)
class Clip:
    """PPO: -min(r_t Ψ_t, clip(r_t, 1 - ε, 1 + ε) Ψ_t), a bound that gives no reward for moving r beyond 1 ± ε.

    A step with Ψ > 0 stops pulling once r > 1 + ε, one with Ψ < 0 once r < 1 - ε; in the wrong direction
    nothing is clipped. (Schulman et al. 2017, eq. 7.)

    Args:
        clip: ε.
        clip_low, clip_high: ε below and above 1, where they are to differ ("clip-higher", Yu et al. 2025); None: ε. A
            schedule changes all in proportion.
    """

    clip: float = 0.2
    clip_low: float | None = None
    clip_high: float | None = None
    uses_old_log_prob: ClassVar[bool] = True
    strength: ClassVar[str] = "clip"

    def __post_init__(self) -> None:
        if not self.clip > 0:
            raise ValueError(f"clip={self.clip} must be above 0 (to clip nothing, choose surrogate=ratio)")
        for key in ("clip_low", "clip_high"):
            if getattr(self, key) is not None and not getattr(self, key) > 0:
                raise ValueError(f"{key}={getattr(self, key)} must be above 0 (null: clip)")

    @property
    def is_symmetric(self) -> bool:
        return self.clip_low is None and self.clip_high is None

    def __call__(self, seen: Seen) -> Tensor:
        return self._clipped(seen.ratio, seen)

    def _clipped(self, ratio: Tensor, seen: Seen) -> Tensor:
        within = seen.strength
        assert within is not None
        below, above = (
            within if of_side is None else within * (of_side / self.clip) for of_side in (self.clip_low, self.clip_high)
        )
        clipped = torch.maximum(torch.minimum(ratio, 1 + above), 1 - below)
        return -torch.minimum(ratio * seen.psi, clipped * seen.psi)


@dataclass(frozen=True)
class SequenceRatio(Clip):
    """GSPO: PPO's clip with one ratio for a whole episode of T steps, s = (Π_t r_t)^(1/T).

    With the mean over each episode (`estimator.reduction=sequences`) it is Σ_i min(s_i Ψ_i, clip(s_i) Ψ_i) / E. At the
    policy that played s = 1, and its gradient is that of `Surrogate`. (Zheng et al. 2025, eq. 5.)
    """

    uses_sequence_ratio: ClassVar[bool] = True

    def __call__(self, seen: Seen) -> Tensor:
        return self._clipped(seen.sequence_ratio, seen)


@dataclass(frozen=True)
class KLPenalty:
    """-r_t Ψ_t + β KL(π_old ‖ π), the divergence of whole distributions. (Schulman et al. 2017, eq. 8.)

    Args:
        beta: β.
    """

    beta: float = 1.0
    uses_old_log_prob: ClassVar[bool] = True
    uses_kl: ClassVar[bool] = True
    strength: ClassVar[str] = "beta"

    def __post_init__(self) -> None:
        if not self.beta >= 0:
            raise ValueError(f"beta={self.beta} must be at least 0")

    def __call__(self, seen: Seen) -> Tensor:
        assert seen.kl is not None
        assert seen.weight is not None
        assert seen.strength is not None
        return -seen.ratio * seen.psi + seen.strength * seen.weight * seen.kl


@dataclass(frozen=True)
class AdaptiveKLPenalty(KLPenalty):
    """The same with β halved after an update whose mean KL is below target / 1.5, and doubled above 1.5 target.

    (Schulman et al. 2017, section 4.)

    Args:
        beta: β of the first update.
        target: KL of an update in nats that is aimed at.
    """

    target: float = 0.01

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.target > 0:
            raise ValueError(f"target={self.target} must be above 0")

    def adapt(self, strength: Tensor, kl: Tensor) -> Tensor:
        """β for the next update, `[k]`, from that of this one and its KL."""
        lower, upper = kl < self.target / 1.5, kl > self.target * 1.5
        return torch.where(lower, strength / 2, torch.where(upper, strength * 2, strength))


SURROGATE = Surrogate()
