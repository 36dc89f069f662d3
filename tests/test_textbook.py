"""The plain loops that the benchmark compares with."""

import numpy as np
import torch

from pglab.textbook import _gae, textbook_ppo


def test_the_plain_ppo_learns_from_batches_of_four_lanes():
    history = textbook_ppo(updates=8, seed=0)
    assert [steps for steps, _ in history] == [512] * 8
    returns = np.array([mean for _, mean in history])
    assert returns[-3:].mean() > 1.1 * returns[:3].mean()


def test_its_advantages_are_the_sums_that_they_stand_for():
    reward, value = torch.tensor([[1.0], [2.0], [3.0]]), torch.tensor([[0.5], [0.25], [4.0]])
    ended, following = torch.tensor([[0.0], [1.0], [0.0]]), torch.tensor([2.0])
    deltas = [1 + 0.9 * 0.25 - 0.5, 2 - 0.25, 3 + 0.9 * 2 - 4]
    expected = torch.tensor([[deltas[0] + 0.9 * 0.8 * deltas[1]], [deltas[1]], [deltas[2]]])
    torch.testing.assert_close(_gae(reward, value, ended, following, 0.9, 0.8), expected)
