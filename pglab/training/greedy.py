"""The policy that takes the most probable action of another."""

from dataclasses import dataclass

import torch
from torch import Tensor

from pglab.envs.spaces import Discrete, Space
from pglab.models.model import Acts, Model, Policy


@dataclass(frozen=True)
class Greedy:
    """A policy that takes the most probable action, the first of equals; where actions are numbers, their medians.

    A median is what a uniform of ½ leads to: of `gaussian` the mean, of `tanh_gaussian` the tanh of one.

    Attributes:
        policy: of which the probabilities are.
        actions: their space.
    """

    policy: Policy
    actions: Space

    @property
    def model(self) -> Model:
        return self.policy.model

    @property
    def draws(self) -> int | None:
        return self.policy.draws

    def acting(self, flat: Tensor) -> Acts:
        """What takes the greedy actions of rows `[B, P]` of parameters, whatever the uniforms (see `Policy.acting`)."""
        if not isinstance(self.actions, Discrete):
            acts = self.policy.acting(flat)
            return lambda obs, uniform: acts(obs, torch.full_like(uniform, 0.5))
        weights = self.model.laid_out(flat)
        return lambda obs, uniform: self._most_probable(self.model(weights, obs))

    def _most_probable(self, outputs: Tensor) -> Tensor:
        every = torch.arange(self.actions.size, device=outputs.device).expand(*outputs.shape[:-1], -1)
        return torch.stack([self.policy.head.log_prob(outputs, one) for one in every.unbind(-1)], -1).argmax(-1)

    def taken(self, action: Tensor) -> Tensor:
        return self.policy.taken(action)
