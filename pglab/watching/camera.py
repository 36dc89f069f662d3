"""Filming a policy while it learns."""

from collections.abc import Mapping
from itertools import islice

import numpy as np
import torch

from pglab.training.bundle import Shapes
from pglab.watching.episode import WatchedPolicy
from pglab.watching.film import film
from pglab.watching.stage import FILMED, drawn

MOST_PICTURES = 1000  # a longer episode is filmed so far: training waits for the film


def film_policy(shapes: Shapes, parameters: Mapping[str, np.ndarray], seed: int) -> bytes:
    """A GIF of a policy's first episode, the one that `python -m pglab.play` would show.

    Args:
        shapes: of the policy; its world is played, so it must not be the one that trains.
        parameters: of one run, by name.
        seed: of the run.
    """
    policy = shapes.policy()
    flat = policy.model.layout.flatten({name: torch.from_numpy(array) for name, array in parameters.items()})
    with drawn(shapes.world, FILMED) as drawing:
        moments = WatchedPolicy(drawing.world, policy, flat, seed).episode()
        pictures = (drawing.picture(moment.state, moment.action) for moment in islice(moments, MOST_PICTURES))
        return film((picture for picture in pictures if isinstance(picture, np.ndarray)), drawing.fps, ".gif")
