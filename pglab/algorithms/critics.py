"""Critics: value functions that learn from each batch after it was used."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from pglab.models.model import Model
from pglab.models.optimizers import Rows


@dataclass(frozen=True)
class Stretch:
    """Stretches of consecutive steps, one a row, of which a run may have several.

    Attributes:
        rows: the run of each stretch, as a row of the critic, `[b]`.
        obs: s_t, `[b, n, D]`.
        returns: G_t, `[b, n]`, zero where there is no step.
        mask: where there is one, `[b, n]`.
    """

    rows: Tensor
    obs: Tensor
    returns: Tensor
    mask: Tensor


class Critic(Protocol):
    """V(s) of the k runs of an arm, a row each; a baseline with a method `critic` makes one.

    The method is `critic(observation, generators, device)`: the space of what is observed, a random
    generator for each run, where to compute. Batches then carry the values in `batch.value`, as the
    earlier batches have left the critic. A row's numbers must not depend on the other rows; shapes
    and order of the stretches do not (`pglab.bits`).
    """

    def values(self, rows: Tensor, obs: Tensor) -> Tensor:
        """V `[b, n]` of observations `[b, n, D]`, those of run `rows[i]` in the i-th, without gradient."""
        ...

    def fit(self, batch: Sequence[Stretch]) -> None:
        """Learns from the batches of the runs that have a stretch in it; other rows stay as they are."""
        ...

    def state(self) -> Mapping[str, Tensor]:
        """Everything that `fit` changes, by name."""
        ...

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Takes the place of the critic whose `state` it was."""
        ...


class NetworkCritic:
    """A network with an optimizer of its own, fitted by gradient steps on ½·mean (V(s_t) - G_t)² over a run's steps."""

    def __init__(self, model: Model, parameters: Tensor, optimizer: Any, fit_steps: int) -> None:
        self._model, self._fit_steps = model, fit_steps
        self._rows = Rows(parameters, optimizer)

    def values(self, rows: Tensor, obs: Tensor) -> Tensor:
        with torch.no_grad():
            return self._model(self._model.layout.unflatten(self._rows.parameters[rows]), obs)[..., 0]

    def fit(self, batch: Sequence[Stretch]) -> None:
        parameters, layout = self._rows.parameters, self._model.layout
        steps = torch.zeros(len(parameters), dtype=torch.float64, device=parameters.device)
        for part in batch:
            steps.index_add_(0, part.rows, part.mask.sum(-1).double())
        weight = (0.5 / steps.clamp(min=1)).float()
        for _ in range(self._fit_steps):
            gradient = torch.zeros_like(parameters)
            for part in batch:
                leaves = layout.leaves(parameters[part.rows])
                error = torch.where(part.mask, self._model(leaves, part.obs)[..., 0] - part.returns, 0.0)
                loss = (error.square().sum(-1) * weight[part.rows]).sum()
                gradient.index_add_(0, part.rows, layout.gradient(loss, leaves))
            self._rows.step(gradient, steps > 0)

    def state(self) -> dict[str, Tensor]:
        return self._rows.state()

    def restore(self, state: Mapping[str, Tensor]) -> None:
        self._rows.restore(state)
