"""A learned value function for the runs of one arm."""

import numpy as np
import torch
from torch import Tensor

from pglab.algorithms.baselines import Value
from pglab.envs.world import Observation
from pglab.models.model import Model
from pglab.models.optimizers import Rows
from pglab.training.blocks import step_blocks
from pglab.training.episodes import Episodes
from pglab.training.randomness import generator


class Critic:
    """V(s) of k runs: a network, an optimizer and a stream of initial weights of its own."""

    def __init__(self, baseline: Value, observation: Observation, seeds: list[int], device: torch.device) -> None:
        self._model = Model(baseline.network, observation, 1)
        self._fit_steps = baseline.fit_steps
        generators = [generator(seed, "critic_weights") for seed in seeds]
        self.rows = Rows(self._model.draw(baseline.init, generators, device), baseline.optimizer)

    def values(self, run: np.ndarray, length: np.ndarray, obs: Tensor) -> Tensor:
        """V of packed observations `[S + 1, D]` of whole stretches of k runs: `[S + 1]`, zero at S."""
        values = torch.zeros(len(obs), device=obs.device)
        with torch.no_grad():
            for rows, index in step_blocks(run, length, obs.device):
                weights = self._model.layout.unflatten(self.rows.parameters[rows])
                values[index] = self._model(weights, obs[index])[..., 0]
        values[-1] = 0.0
        return values

    def fit(self, episodes: Episodes, returns: Tensor, may_change: Tensor) -> None:
        """Gradient steps on ½·mean (V(s_t) - G_t)² over each run's steps.

        Args:
            returns: G_t of each packed step, `[S + 1]`.
            may_change: runs that take the steps, boolean `[k]`.
        """
        layout, device = self._model.layout, returns.device
        blocks = list(step_blocks(episodes.run, episodes.length, device))
        steps = np.bincount(episodes.run, weights=episodes.length, minlength=len(may_change))
        weight = torch.from_numpy(0.5 / np.maximum(steps, 1)).float().to(device)
        for _ in range(self._fit_steps):
            gradient = torch.zeros_like(self.rows.parameters)
            for rows, index in blocks:
                leaves = layout.leaves(self.rows.parameters[rows])
                error = self._model(leaves, episodes.obs[index])[..., 0] - returns[index]
                error = torch.where(index < len(returns) - 1, error, 0.0)
                loss = (error.square().sum(-1) * weight[rows]).sum()
                gradient.index_add_(0, rows, layout.gradient(loss, leaves))
            self.rows.step(gradient, may_change)
