"""A penalty on the distance from a reference policy: the one that a run began with."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from pglab.algorithms.divergence import FORMS, kl_estimate
from pglab.models.model import Policy
from pglab.training.anchor import Anchor
from pglab.training.episodes import Episodes
from pglab.training.trainee import Trainee


def log_probs(policy: Policy, parameters: Tensor, episodes: Episodes) -> Tensor:
    """log π(a_t|s_t) of each packed step under policies `[K, P]`, `[S + 1]`, without gradient; 0 for padding."""
    found = torch.zeros_like(episodes.reward)
    with torch.no_grad():
        for rows, index in episodes.blocks():
            outputs = policy.model(policy.model.layout.unflatten(parameters[rows]), episodes.obs[index])
            found[index] = policy.head.log_prob(outputs, episodes.action[index])
    found[-1] = 0.0
    return found


def anchored(
    policy: Policy, parameters: Tensor, reference: Tensor, training: Sequence[Trainee], episodes: Episodes
) -> tuple[Episodes, Anchor]:
    """The batches with the penalty in the reward of the arms that want it there, and the reference at their steps.

    Args:
        parameters, reference: of the policies that played and of their references, `[K, P]`.
    """
    of_reference, own = log_probs(policy, reference, episodes), log_probs(policy, parameters, episodes)
    reward = episodes.reward.clone()
    row = torch.from_numpy(np.append(np.repeat(episodes.run, episodes.length), -1)).to(reward.device)
    for trainee in training:
        estimator = trainee.arm.estimator
        if estimator.kl_reference and estimator.kl_in == "reward":
            mine = (row >= trainee.rows.start) & (row < trainee.rows.stop)
            reward[mine] -= estimator.kl_reference * kl_estimate(estimator.kl_form, own[mine], of_reference[mine])
    weight = torch.zeros(len(parameters), len(FORMS), device=reward.device)
    return replace(episodes, reward=reward), Anchor(of_reference, weight)
