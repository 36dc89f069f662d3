"""Many independent gradient estimates, made by the pipeline that trains."""

from dataclasses import dataclass, replace

import numpy as np
import torch

from pglab.training.arm import Arm, BatchSize
from pglab.training.bundle import Bundle, Shapes
from pglab.training.diagnostics import GradientDiagnostics
from pglab.training.prompts import PromptGroups
from pglab.training.randomness import generator

STEPS_AT_ONCE = 400_000  # environment steps of the batches that are played together, roughly
OF_THE_POINT = ("policy/", "critic/", "memory/")


def drawn(shapes: Shapes, arm: Arm, seed: int) -> dict[str, torch.Tensor]:
    """The policy's initial parameters by name, as a run with this seed begins training."""
    model = shapes.policy().model
    flat = model.draw(arm.init, [generator(seed, "weights")], torch.device("cpu"))
    return {name: part[0] for name, part in model.layout.unflatten(flat).items()}


def reference_of(shapes: Shapes, arm: Arm, seed: int) -> torch.Tensor:
    """Flat parameters of the policy that a penalty compares with at the point of a seed: the next seed's, `[P]`."""
    return shapes.policy().model.draw(arm.init, [generator(seed + 1, "weights")], torch.device("cpu"))[0]


@dataclass(frozen=True)
class Pipeline:
    """An arm at one parameter point: the policy frozen, critic and memory as one batch left them.

    Attributes:
        seed: of the parameters; batches belong to runs with the seeds that follow.
        state: of the point, by name (see `Trainee.state`), one row.
    """

    shapes: Shapes
    arm: Arm
    seed: int
    state: dict[str, torch.Tensor]

    @classmethod
    def begin(cls, shapes: Shapes, arm: Arm, seed: int) -> "Pipeline":
        """At the parameters that the seed draws, after one batch."""
        one = Bundle(shapes, [replace(arm, seeds=[seed])])
        one.refer(reference_of(shapes, arm, seed))
        one.estimates()
        state = {name: part for name, part in one.state()[0].items() if name.startswith(OF_THE_POINT)}
        return cls(shapes, arm, seed, state)

    def with_batch(self, episodes: int) -> "Pipeline":
        """The same with batches of exactly so many episodes, or of as many groups as have them."""
        own = self.arm.batch
        batch = own.with_episodes(episodes) if isinstance(own, PromptGroups) else BatchSize(episodes=episodes)
        return replace(self, arm=replace(self.arm, batch=batch))

    def estimates(self, first: int, count: int, steps: float) -> np.ndarray:
        """The estimate of ∇J from each of the batches first, first + 1, …, `[count, P]`.

        Every batch belongs to a run of its own, with that run's random streams. With
        `reduction=sum` the sum over a batch of n episodes is divided by n.

        Args:
            steps: about how many there are in a batch.
        """
        at_once = max(1, min(count, int(STEPS_AT_ONCE / steps)))
        begins = range(first, first + count, at_once)
        estimates = np.concatenate([self._play(begin, min(at_once, first + count - begin)) for begin in begins])
        if self.arm.estimator.reduction == "sum" and self.arm.batch.episodes:
            estimates /= self.arm.batch.episodes
        return estimates

    def begun(self, first: int, count: int, diagnostics: GradientDiagnostics | None = None) -> Bundle:
        """Runs first, first + 1, … at the point, before their batches."""
        seeds = list(range(self.seed + 1 + first, self.seed + 1 + first + count))
        bundle = Bundle(self.shapes, [replace(self.arm, seeds=seeds)], diagnostics)
        (own,) = bundle.state()
        point = {name: part.expand(count, *part.shape[1:]) if part.dim() else part for name, part in self.state.items()}
        bundle.restore([{**own, **point}])
        bundle.refer(reference_of(self.shapes, self.arm, self.seed))
        return bundle

    def _play(self, first: int, count: int) -> np.ndarray:
        bundle = self.begun(first, count)
        used = sum(int(np.prod(shape)) for shape in self.shapes.policy().model.layout.shapes.values())
        return bundle.estimates()[:, :used].double().cpu().numpy()
