"""Baselines: what is subtracted from a return to lower the variance of the gradient.

A baseline is a frozen dataclass called with `(batch, returns)`, both of one's own batch; it
returns `[..., E, T]` (or anything that broadcasts to it). Two optional methods make it learn
from earlier batches, never from the one that it is subtracted from:

- `remember(memory, batch, returns) -> memory`: a mapping of `[...]` tensors, empty at first,
  that the next call finds in `batch.memory`;
- `critic(observation, generators, device)` makes a critic that the trainer fits after each update
  (see `pglab.algorithms.critics`): then the next call finds its values in `batch.value`. One that subtracts just these
  has `subtracts_values = True`: the exact mean and variance of its estimate are known (`pglab.verify`).

A baseline that biases the gradient says so in an attribute `bias`: a reason, or a tuple of them.
Where it can be had without, a method `without_bias()` returns it at that setting (see
`pglab.algorithms.weightings`).

"The return of an episode" below is `returns` at its first step: R(τ).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Generator, Tensor

from pglab.algorithms.batch import Batch
from pglab.algorithms.critics import CriticLoss, Loss, NetworkCritic
from pglab.envs.spaces import Space
from pglab.models.model import Model


@dataclass(frozen=True)
class NoBaseline:
    """b = 0."""

    def __call__(self, batch: Batch, returns: Tensor) -> Tensor:
        return torch.zeros_like(returns)


@dataclass(frozen=True)
class Constant:
    """b = `value` at every step: unbiased, whatever the value."""

    value: float

    def simplest(self) -> "Constant | NoBaseline":
        return NoBaseline() if self.value == 0 else self

    def __call__(self, batch: Batch, returns: Tensor) -> Tensor:
        return torch.full_like(returns, self.value)


@dataclass(frozen=True)
class BatchMean:
    """The mean return of the batch's episodes, the episode itself included.

    b = (1/N) Σ_j R(τ_j). Biased: the mean gradient loses E[R(τ) Σ_t ∇log π] / N, which with
    γ = 1 (or Ψ = R(τ) - b) shrinks it by exactly 1 - 1/N.
    """

    whole_episodes: ClassVar[bool] = True
    bias: ClassVar[str] = (
        "the batch mean includes the episode itself (with γ = 1 the mean gradient is ∇J times 1 - 1/N)"
    )

    def without_bias(self) -> "LeaveOneOut":
        return LeaveOneOut()

    def __call__(self, batch: Batch, returns: Tensor) -> Tensor:
        total, episodes = _episode_returns(batch, returns)
        mean = total.sum(-1) / episodes.clamp(min=1)
        return mean[..., None, None].expand_as(returns)


@dataclass(frozen=True)
class LeaveOneOut:
    """The mean return of the *other* episodes: b_i = Σ_{j≠i} R(τ_j) / (N - 1).

    Unbiased. A batch of one episode has no others: b = 0. (Kool et al. 2019.)
    """

    whole_episodes: ClassVar[bool] = True

    def __call__(self, batch: Batch, returns: Tensor) -> Tensor:
        total, episodes = _episode_returns(batch, returns)
        others = total.sum(-1, keepdim=True) - total
        mean = others / (episodes - 1).clamp(min=1)[..., None]
        return mean[..., None].expand_as(returns)


@dataclass(frozen=True)
class RunningMean:
    """The mean return of every episode of the earlier batches; 0 before the first.

    With `include_current` the batch's own episodes count too, as in the gradient bandit of
    Sutton and Barto (2018, Fig. 2.5): then an episode's own return is in its baseline, and
    the estimate is biased.
    """

    include_current: bool = False
    whole_episodes: ClassVar[bool] = True

    @property
    def bias(self) -> tuple[str, ...]:
        return ("the running mean includes the batch itself",) if self.include_current else ()

    def without_bias(self) -> "RunningMean":
        return RunningMean()

    def __call__(self, batch: Batch, returns: Tensor) -> Tensor:
        memory = self.remember(batch.memory, batch, returns) if self.include_current else batch.memory
        if not memory:
            return torch.zeros_like(returns)
        mean = memory["total"] / memory["episodes"].clamp(min=1)
        return mean[..., None, None].to(returns).expand_as(returns)

    def remember(self, memory: Mapping[str, Tensor], batch: Batch, returns: Tensor) -> dict[str, Tensor]:
        total, episodes = _episode_returns(batch, returns)
        total, episodes = total.double().sum(-1), episodes.double()
        if memory:
            total, episodes = memory["total"] + total, memory["episodes"] + episodes
        return {"total": total, "episodes": episodes}


@dataclass(frozen=True)
class Value:
    """A learned critic V(s_t), fitted to the returns by its own optimizer after each update.

    The values in a batch are those of the critic *before* it has seen the batch, without
    gradient, so the estimate stays unbiased. (Sutton and Barto 2018, section 13.4.)

    Args:
        network: the critic's network, one output.
        init: how its parameters are drawn, from a stream of their own.
        optimizer: `params -> torch.optim.Optimizer`.
        fit_steps: gradient steps on the mean loss over the batch after each update (with `fit="after"`).
        fit: when the critic learns: "after" the policy did, or "with_policy", in the same minibatches.
        target: what V(s_t) is fitted to: "returns", G_t; or "lambda_returns", Ψ_t + V(s_t), of a weighting that
            is an advantage, as GAE.
        loss: "mse", "huber" or "clipped" (see `pglab.algorithms.critics.CriticLoss`).
        clip: how far the clipped loss lets V move from what it was when the batch was weighed.
        coefficient: of the critic's loss beside the policy's, where they learn together.
        normalize_targets: the network predicts targets standardised by their running mean and deviation.
    """

    subtracts_values: ClassVar[bool] = True
    network: Any
    init: Any
    optimizer: Any
    fit_steps: int = 10
    fit: Literal["after", "with_policy"] = "after"
    target: Literal["returns", "lambda_returns"] = "returns"
    loss: Loss = "mse"
    clip: float = 0.2
    coefficient: float = 1.0
    normalize_targets: bool = False

    def __post_init__(self) -> None:
        if self.fit_steps < 1:
            raise ValueError(f"fit_steps={self.fit_steps} must be at least 1")
        for key, allowed in (("fit", ("after", "with_policy")), ("target", ("returns", "lambda_returns"))):
            if getattr(self, key) not in allowed:
                raise ValueError(f"{key}={getattr(self, key)!r} is not one of {', '.join(allowed)}")
        if not self.coefficient > 0:
            raise ValueError(f"coefficient={self.coefficient} must be above 0")
        CriticLoss(self.loss, self.clip)

    def critic(self, observation: Space, generators: list[Generator], device: torch.device) -> NetworkCritic:
        """A critic for as many runs as there are generators, which draw its parameters.

        Raises:
            ValueError: the network does not fit the observation.
        """
        model = Model(self.network, observation, 1)
        parameters = model.draw(self.init, generators, device)
        loss = CriticLoss(self.loss, self.clip)
        return NetworkCritic(model, parameters, self.optimizer, self.fit_steps, loss, self.normalize_targets)

    def __call__(self, batch: Batch, returns: Tensor) -> Tensor:
        if batch.value is None:
            raise ValueError("baseline=value needs a batch with the critic's values")
        return batch.value


def _episode_returns(batch: Batch, returns: Tensor) -> tuple[Tensor, Tensor]:
    """R(τ) of each episode `[..., E]`, zero for padding, and the number of episodes `[...]`."""
    exists = batch.mask[..., 0]
    return returns[..., 0] * exists, exists.sum(-1)
