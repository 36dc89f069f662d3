"""Critics: value functions that learn from each batch, after it was used or in the same minibatches."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import torch
from torch import Tensor
from torch.nn.functional import huber_loss

from pglab.algorithms.running import Running
from pglab.models.model import Model
from pglab.models.optimizers import Rows

Loss = Literal["mse", "huber", "clipped"]


@dataclass(frozen=True)
class Stretch:
    """Stretches of consecutive steps, one a row, of which a run may have several.

    Attributes:
        rows: the run of each stretch, as a row of the critic, `[b]`.
        obs: s_t, `[b, n, D]`.
        target: what V(s_t) is fitted to, `[b, n]`, zero where there is no step.
        old: V(s_t) as it was when the batch was weighed, `[b, n]`.
        mask: where there is a step, `[b, n]`.
    """

    rows: Tensor
    obs: Tensor
    target: Tensor
    old: Tensor
    mask: Tensor


class Critic(Protocol):
    """V(s) of the k runs of an arm, a row each; a baseline with a method `critic` makes one.

    The method is `critic(observation, generators, device)`: the space of what is observed, a random
    generator for each run, where to compute. Batches then carry the values in `batch.value`, as the
    earlier batches have left the critic. A row's numbers must not depend on the other rows; shapes
    and order of the stretches do not (`pglab.bits`).

    One that is to learn in the policy's own minibatches (its baseline has `fit="with_policy"`) has
    three more methods: `observe(batch)`, once before the first minibatch; `gradient(batch)`, of its
    loss, `[k, P]`; and `step(gradient, may_change)`, one step down it.
    """

    def values(self, rows: Tensor, obs: Tensor) -> Tensor:
        """V `[b, n]` of observations `[b, n, D]`, those of run `rows[i]` in the i-th, without gradient."""
        ...

    def fit(self, batch: Sequence[Stretch]) -> None:
        """Learns from the batches of the runs that have a stretch in it; other rows stay as they are."""
        ...

    def state(self) -> Mapping[str, Tensor]:
        """Everything that learning changes, by name."""
        ...

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Takes the place of the critic whose `state` it was."""
        ...


@dataclass(frozen=True)
class CriticLoss:
    """The loss of a step, whose mean over a run's steps a critic descends.

    - `mse`: ½ (V - G)².
    - `huber`: the same within 1 of G, linear beyond (Huber 1964).
    - `clipped`: the larger of `mse` of V and of V moved no further than `clip` from V_old (PPO's baselines code;
      Engstrom et al. 2020).
    """

    kind: Loss = "mse"
    clip: float = 0.2

    def __post_init__(self) -> None:
        if self.kind not in ("mse", "huber", "clipped"):
            raise ValueError(f"loss={self.kind!r} is not one of mse, huber, clipped")
        if not self.clip > 0:
            raise ValueError(f"clip={self.clip} must be above 0")

    def __call__(self, value: Tensor, target: Tensor, old: Tensor) -> Tensor:
        """Of V, G and V_old, `[b, n]` each."""
        if self.kind == "huber":
            return huber_loss(value, target, reduction="none")
        loss = 0.5 * (value - target).square()
        if self.kind == "clipped":
            moved = old + (value - old).clamp(-self.clip, self.clip)
            loss = torch.maximum(loss, 0.5 * (moved - target).square())
        return loss


class NetworkCritic:
    """A network with an optimizer of its own, fitted by gradient steps on the mean loss over a run's steps.

    With `normalize` the network predicts (G - μ) / σ, with μ and σ of all targets that the run has met so far.

    Attributes:
        table, start: parameters `[T, P]` of all critics that are computed together with it, and its first row there.
    """

    def __init__(
        self,
        model: Model,
        parameters: Tensor,
        optimizer: Any,
        fit_steps: int,
        loss: CriticLoss = CriticLoss(),
        normalize: bool = False,
    ) -> None:
        self._model, self._fit_steps, self._loss, self._make = model, fit_steps, loss, optimizer
        self._rows = Rows(parameters, optimizer, model.fixed)
        self.table, self.start = self._rows.parameters, 0
        self._targets = Running(len(parameters), 1, parameters.device) if normalize else None

    @property
    def optimizer(self) -> Rows:
        """Its steps, of which a schedule may change the rate."""
        return self._rows

    @property
    def program(self) -> tuple[Model, CriticLoss] | None:
        """Of critics with the same one, gradients can be computed together; None: of this one alone."""
        return (self._model, self._loss) if self._targets is None else None

    def move(self, table: Tensor, start: int) -> None:
        """Has its parameters lie in a table `[T, P]` from a row on; before its first step."""
        own = table[start : start + len(self._rows.parameters)]
        own.copy_(self._rows.parameters)
        self.table, self.start, self._rows = table, start, Rows(own, self._make, self._model.fixed)

    def values(self, rows: Tensor, obs: Tensor) -> Tensor:
        with torch.no_grad():
            predicted = self._model(self._model.layout.unflatten(self._rows.parameters[rows]), obs)[..., 0]
        if self._targets is None:
            return predicted
        mean, deviation = self._scale(rows)
        return mean + deviation * predicted

    def set_buffers(self, values: Mapping[str, Tensor]) -> None:
        """Writes what its network has beside its parameters, a row for each run."""
        if hasattr(self._model.network, "buffers"):
            self._model.set_buffers(self._rows.parameters, values)

    def fit(self, batch: Sequence[Stretch]) -> None:
        self.observe(batch)
        for _ in range(self._fit_steps):
            self.step(self.gradient(batch), _steps(batch, self._rows.parameters) > 0)

    def observe(self, batch: Sequence[Stretch]) -> None:
        """Takes the targets of a batch into their running mean and deviation."""
        if self._targets:
            self._targets.add((part.rows, part.target[..., None], part.mask) for part in batch)

    def gradient(self, batch: Sequence[Stretch]) -> Tensor:
        """The gradient of each run's loss, `[k, P]`; zero for runs without a step."""
        return self._gradient(self._rows.parameters, batch)

    def gradients(self, batch: Sequence[Stretch]) -> Tensor:
        """The same of all critics of its table, `[T, P]`, whose rows the batch names."""
        return self._gradient(self.table, batch)

    def _gradient(self, parameters: Tensor, batch: Sequence[Stretch]) -> Tensor:
        layout = self._model.layout
        weight = (1.0 / _steps(batch, parameters).clamp(min=1)).float()
        gradient = torch.zeros_like(parameters)
        for part in batch:
            leaves = layout.leaves(parameters[part.rows])
            target, old = self._scaled(part.rows, part.target), self._scaled(part.rows, part.old)
            each = self._loss(self._model(leaves, part.obs)[..., 0], target, old)
            loss = (torch.where(part.mask, each, 0.0).sum(-1) * weight[part.rows]).sum()
            gradient.index_add_(0, part.rows, layout.gradient(loss, leaves))
        return gradient

    def step(self, gradient: Tensor, may_change: Tensor) -> Tensor:
        """One step down a gradient `[k, P]` for the runs where `may_change` `[k]`; returns which took it."""
        return self._rows.step(gradient, may_change)

    def state(self) -> dict[str, Tensor]:
        return self._rows.state() | ({"targets_seen": self._targets.state()} if self._targets else {})

    def restore(self, state: Mapping[str, Tensor]) -> None:
        own = dict(state)
        if self._targets:
            self._targets.restore(own.pop("targets_seen"))
        self._rows.restore(own)

    def _scale(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """μ and σ of the runs, `[b, 1]` each."""
        assert self._targets
        return self._targets.mean[rows].float(), self._targets.deviation[rows].float()

    def _scaled(self, rows: Tensor, target: Tensor) -> Tensor:
        if not self._targets:
            return target
        mean, deviation = self._scale(rows)
        return (target - mean) / deviation


def _steps(batch: Sequence[Stretch], parameters: Tensor) -> Tensor:
    """Steps of each row of the parameters, `[k]`."""
    steps = torch.zeros(len(parameters), dtype=torch.float64, device=parameters.device)
    for part in batch:
        steps.index_add_(0, part.rows, part.mask.sum(-1).double())
    return steps
