"""Many independent gradient estimates, made by the pipeline that trains."""

from dataclasses import replace

import numpy as np
import torch

from pglab.training.arm import Arm
from pglab.training.bundle import Bundle, Shapes

STEPS_AT_ONCE = 400_000  # environment steps of the batches that are played together, roughly
CRITIC_AND_MEMORY = ("critic/", "memory/", "policy/")


class Pipeline:
    """One arm at one parameter point: the policy frozen, critic and memory as one earlier batch left them.

    Attributes:
        state: everything of the point, by name (see `ArmState.state`), with one row.
    """

    def __init__(self, shapes: Shapes, arm: Arm, seed: int) -> None:
        self._shapes, self._arm, self._next_seed = shapes, arm, seed + 1
        one = Bundle(shapes, [replace(arm, seeds=[seed])])
        one.estimates()
        self.state = {name: part for name, part in one.state()[0].items() if name.startswith(CRITIC_AND_MEMORY)}

    def estimates(self, batches: int, steps: float) -> np.ndarray:
        """The estimate of ∇J from each of so many new batches of about so many steps, `[batches, P]`.

        Every batch belongs to a run of its own, with that run's random streams. With
        `reduction=sum` the sum over a batch of n episodes is divided by n.
        """
        at_once = max(1, min(batches, int(STEPS_AT_ONCE / steps)))
        parts = [self._play(min(at_once, batches - done)) for done in range(0, batches, at_once)]
        scale = 1.0
        if self._arm.estimator.reduction == "sum" and self._arm.batch.episodes:
            scale = 1.0 / self._arm.batch.episodes
        return scale * np.concatenate(parts)

    def _play(self, count: int) -> np.ndarray:
        seeds = list(range(self._next_seed, self._next_seed + count))
        self._next_seed += count
        bundle = Bundle(self._shapes, [replace(self._arm, seeds=seeds)])
        (own,) = bundle.state()
        rows = {name: part.expand(count, *part.shape[1:]) if part.dim() else part for name, part in self.state.items()}
        bundle.restore([{**own, **rows}])
        return bundle.estimates()[:, : self.parameters].double().cpu().numpy()

    @property
    def parameters(self) -> int:
        """P, the padding of the flat row left out."""
        shapes = self._shapes.policy().model.layout.shapes.values()
        return sum(int(np.prod(shape)) for shape in shapes)

    @property
    def named(self) -> dict[str, torch.Tensor]:
        """The policy's parameters by name, each of its own shape."""
        layout = self._shapes.policy().model.layout
        return {name: part[0] for name, part in layout.unflatten(self.state["policy/parameters"]).items()}
