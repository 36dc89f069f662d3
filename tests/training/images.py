"""A world that is looked at: a dot in a picture, which is to be moved to the right."""

from dataclasses import dataclass

import torch

from pglab.envs.spaces import Box
from pglab.envs.world import Step

SIDE = 36


@dataclass(frozen=True)
class Dot:
    """A bright point of four by four in a dark picture; action 1 moves it to the right, 0 to the left.

    Each step earns its place, from 0 on the left to 1 on the right; at either end an episode may end.
    """

    horizon = 24
    reset_draws, step_draws = 1, 1
    observation, actions = Box((1, SIDE, SIDE), dtype=torch.uint8), 2

    def reset(self, uniform):
        return (torch.floor(2 + uniform[..., 0] * (SIDE // 4 - 4)).float(),)

    def observe(self, state):
        column = torch.arange(SIDE) // 4 == state[0][..., None]
        row = torch.arange(SIDE) // 4 == SIDE // 8
        return (row[:, None] * column[..., None, :] * torch.tensor(255, dtype=torch.uint8)).flatten(-2)

    def step(self, state, action, uniform):
        place = (state[0] + 2 * action - 1).clamp(0, SIDE // 4 - 1)
        at_an_end = (place == 0) | (place == SIDE // 4 - 1)
        return Step((place,), place / (SIDE // 4 - 1), at_an_end & (uniform[..., 0] < 0.2))
