"""Weightings: what multiplies every ∇log π(a_t|s_t) in the policy gradient.

    ∇J(θ) = E[ Σ_t Ψ_t ∇log π_θ(a_t|s_t) ]      (Schulman et al. 2016, eq. 1)

A weighting is a frozen dataclass called with a `Batch`; it returns Ψ `[..., E, T]` with no
gradient attached and zeros after the end of each episode. One that needs a baseline holds it
in a field named `baseline`; one whose mean is not ∇J says why in an attribute `bias`, a reason or
a tuple of them (see `declared_bias`). Where it can be had without, a method `without_bias()` beside
`bias` returns it at that setting (λ = 1): `pglab.verify` measures this too, so that what is declared
excuses nothing else.

The factor γ^t of the discounted objective's gradient is no part of a weighting: the trainer puts it
on any of them (`estimator.discount_states`, see `discounted`). A weighting that is discounted from
the start of the episode, as the total return is, says so in an attribute `discounted_from_start`,
and never takes the factor. One that means nothing on a piece of an episode (see `pglab.training.segments`)
says so in a true attribute `whole_episodes`, and so does such a baseline.

A weighting whose Ψ is a function of the rewards alone may have a method `packed`, which returns the same bits for
episodes that lie end to end (`pglab.algorithms.packed`): most of the time that weights take is then saved.

A weighting or baseline that at some setting gives the bits of another one that is simpler returns that from an
optional method `simplest()`, and itself at any other setting: arms that are the same by it are trained once.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

from torch import Tensor

from pglab.algorithms.baselines import NoBaseline
from pglab.algorithms.batch import Batch
from pglab.algorithms.packed import PackedEpisodes
from pglab.algorithms.returns import (
    discount_powers,
    discounted_sum,
    rewards_to_go,
    total_returns,
)

Baseline = Callable[[Batch, Tensor], Tensor]


def declared_bias(component: Any) -> tuple[str, ...]:
    """Why a component's estimates do not have mean ∇J, as it says itself; empty: they have."""
    reasons = getattr(component, "bias", ())
    return (reasons,) if isinstance(reasons, str) else tuple(reasons)


def discounted_from_start(weighting: Any) -> bool:
    """Tells whether Ψ_t counts rewards as seen from the start of the episode, so that it never takes γ^t."""
    return getattr(weighting, "discounted_from_start", False)


def discounted(weighting: Any, psi: Tensor, gamma: float) -> Tensor:
    """γ^t Ψ_t of a weighting's Ψ `[..., T]`; Ψ itself where it is discounted from the start."""
    return psi if discounted_from_start(weighting) else psi * discount_powers(psi.shape[-1], gamma, psi)


def unbiased_setting(component: Any) -> Any:
    """The component without what it declares, where it offers that; otherwise the component itself."""
    offered = getattr(component, "without_bias", None)
    return offered() if offered is not None and declared_bias(component) else component


@dataclass(frozen=True)
class TotalReturn:
    """The return of the whole episode at every step: Ψ_t = R(τ) = Σ_k γ^k r_k.

    Unbiased for the discounted objective, and the noisiest of all: rewards earned before an
    action carry no information about it. (Williams 1992; Spinning Up, "simplest policy
    gradient".)
    """

    gamma: float
    discounted_from_start: ClassVar[bool] = True
    whole_episodes: ClassVar[bool] = True

    def __call__(self, batch: Batch) -> Tensor:
        return (total_returns(batch.reward, self.gamma) * batch.mask).detach()

    def packed(self, episodes: PackedEpisodes) -> Tensor:
        return episodes.total(episodes.reward, self.gamma)


@dataclass(frozen=True)
class RewardToGo:
    """The return from the action on: Ψ_t = G_t = Σ_{k≥t} γ^{k-t} r_k.

    With γ < 1 it is unbiased for the discounted objective only under the factor γ^t.
    (Sutton and Barto 2018, section 13.3.)
    """

    gamma: float

    def __call__(self, batch: Batch) -> Tensor:
        return (rewards_to_go(batch.reward, self.gamma) * batch.mask).detach()

    def packed(self, episodes: PackedEpisodes) -> Tensor:
        return episodes.to_go(episodes.reward, self.gamma)


@dataclass(frozen=True)
class ExponentSlip:
    """WRONG ON PURPOSE: Ψ_t = Σ_{k≥t} γ^{r_k} r_k, the discount raised to the reward, not to the delay.

    Where every reward is 1, as on CartPole, it is γ times the undiscounted reward-to-go: a smaller
    learning rate, and no discount at all. Kept because published code has it, which knows no γ^t either.
    """

    gamma: float
    discounted_from_start: ClassVar[bool] = True

    @property
    def bias(self) -> tuple[str, ...]:
        return ("the discount is raised to the reward, not to the delay",) if self.gamma < 1 else ()

    def simplest(self) -> "ExponentSlip | RewardToGo":
        return RewardToGo(self.gamma) if self.gamma == 1 else self

    def __call__(self, batch: Batch) -> Tensor:
        return (rewards_to_go(self.gamma**batch.reward * batch.reward, 1.0) * batch.mask).detach()

    def packed(self, episodes: PackedEpisodes) -> Tensor:
        return episodes.to_go(self.gamma**episodes.reward * episodes.reward, 1.0)


@dataclass(frozen=True)
class ReturnMinusBaseline:
    """A return less a baseline: Ψ_t = G_t - b_t (or R(τ) - b_t with `returns="total"`).

    Unbiased where b_t depends on neither a_t nor what follows it.
    (Sutton and Barto 2018, section 13.4.)
    """

    gamma: float
    baseline: Baseline
    returns: Literal["rtg", "total"] = "rtg"

    def __post_init__(self) -> None:
        if self.returns not in ("rtg", "total"):
            raise ValueError(f"returns={self.returns!r} is not one of 'rtg', 'total'")

    @property
    def bias(self) -> tuple[str, ...]:
        return declared_bias(self.baseline)

    @property
    def discounted_from_start(self) -> bool:
        return self.returns == "total"

    @property
    def whole_episodes(self) -> bool:
        return self.returns == "total"

    def without_bias(self) -> "ReturnMinusBaseline":
        return replace(self, baseline=unbiased_setting(self.baseline))

    def simplest(self) -> "ReturnMinusBaseline | RewardToGo | TotalReturn":
        if not isinstance(self.baseline, NoBaseline):
            return self
        return TotalReturn(self.gamma) if self.returns == "total" else RewardToGo(self.gamma)

    def __call__(self, batch: Batch) -> Tensor:
        returns_of = total_returns if self.returns == "total" else rewards_to_go
        returns = returns_of(batch.reward, self.gamma)
        return ((returns - self.baseline(batch, returns)) * batch.mask).detach()


@dataclass(frozen=True)
class GeneralizedAdvantage:
    """GAE(γ, λ): Ψ_t = Σ_{k≥t} (γλ)^{k-t} δ_k with δ_t = r_t + γ V(s_{t+1}) - V(s_t).

    V is the chosen baseline, zero after the end of the episode. With λ = 1 the sum telescopes
    to G_t - V(s_t); with λ < 1 it is biased unless V is the true value function.
    (Schulman et al. 2016, eq. 16.)
    """

    gamma: float
    lam: float
    baseline: Baseline

    def __post_init__(self) -> None:
        if not 0.0 <= self.lam <= 1.0:
            raise ValueError(f"lam={self.lam} is outside [0, 1]")

    @property
    def bias(self) -> tuple[str, ...]:
        short = ("λ < 1 trusts a value function that is not the true one",) if self.lam < 1 else ()
        return short + declared_bias(self.baseline)

    def without_bias(self) -> "GeneralizedAdvantage":
        return replace(self, lam=1.0, baseline=unbiased_setting(self.baseline))

    def simplest(self) -> "GeneralizedAdvantage | RewardToGo":
        return RewardToGo(self.gamma) if self.lam == 1 and isinstance(self.baseline, NoBaseline) else self

    def __call__(self, batch: Batch) -> Tensor:
        value = self.baseline(batch, rewards_to_go(batch.reward, self.gamma)) * batch.mask
        next_value = value.roll(-1, dims=-1)
        next_value[..., -1] = 0.0
        delta = batch.reward + self.gamma * next_value - value
        return (discounted_sum(delta, self.gamma * self.lam) * batch.mask).detach()
