"""Using a batch more than once: epochs of shuffled minibatches, as PPO does."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from pglab.training.episodes import Steps
from pglab.training.gradient import Gradient
from pglab.training.randomness import fold_in
from pglab.training.update import Lesson


@dataclass(frozen=True)
class Epochs:
    """Several passes over the batch, each in minibatches of steps, a step of the optimizer for each.

    Every epoch shuffles the steps anew, by a stream of the run's own seed; a single minibatch is the batch
    in its own order. A minibatch stands for the whole batch: its sum is scaled up by their steps.

    Args:
        epochs: passes over the batch.
        minibatches: parts of each pass, as equal in size as they can be.
        stop_kl: end a run's update after the epoch whose mean KL(π_old ‖ π) is above it, in nats; null: never.
        recompute: weigh the batch anew before each further epoch, with the critic as it is by then.
    """

    epochs: int = 4
    minibatches: int = 4
    stop_kl: float | None = None
    recompute: bool = False

    def __post_init__(self) -> None:
        for key in ("epochs", "minibatches"):
            if getattr(self, key) < 1:
                raise ValueError(f"{key}={getattr(self, key)} must be at least 1")
        if self.stop_kl is not None and not self.stop_kl > 0:
            raise ValueError(f"stop_kl={self.stop_kl} must be above 0 (null: never stop)")

    def __call__(self, lesson: Lesson) -> Gradient:
        if self.stop_kl is not None:
            lesson = lesson.remembering()
        shown, lesson_now = None, lesson
        for epoch in range(self.epochs):
            if epoch and self.recompute:
                weights, critics = lesson.weigh()
                lesson_now = replace(lesson_now, weights=weights, critics=critics)
            for part in self.parts(lesson_now, epoch):
                estimate = part.estimate()
                part.step(estimate)
                shown = estimate if shown is None else shown
            lesson.passed(lesson_now.runs)
            if self.stop_kl is not None:
                go_on = (lesson_now.kl() <= self.stop_kl).cpu().numpy()
                lesson_now = lesson_now.of_runs(lesson_now.runs[go_on[lesson_now.runs]])
        assert shown is not None
        return shown

    def first(self, lesson: Lesson) -> Gradient:
        """The estimate of the first minibatch of an update."""
        return next(self.parts(lesson, 0)).estimate()

    def parts(self, lesson: Lesson, epoch: int) -> Iterator[Lesson]:
        """The minibatches of an epoch, in order."""
        if self.minibatches == 1:
            yield lesson
            return
        k = len(lesson.diverged)
        run, total = lesson.runs, lesson.episodes.steps(k)[lesson.runs]
        order = shuffled(lesson, epoch)
        start = np.cumsum(total) - total
        for number in range(self.minibatches):
            first, last = (total * place // self.minibatches for place in (number, number + 1))
            length = last - first
            within = np.arange(length.sum()) - np.repeat(np.cumsum(length) - length, length)
            chosen = order[torch.from_numpy(np.repeat(start + first, length) + within).to(order.device)]
            padding = chosen.new_full((1,), len(lesson.episodes.reward) - 1)
            share = np.ones(k)
            share[run] = total / np.maximum(length, 1)
            steps = Steps(run, length, torch.cat((chosen, padding)), lesson.steps.numbers)
            part = replace(lesson, steps=steps)
            weights = lesson.weights.of_part(torch.from_numpy(share).float(), lesson.standardized, part.blocks())
            yield replace(part, weights=weights)


def shuffled(lesson: Lesson, epoch: int) -> Tensor:
    """The positions of all steps of the lesson's runs, run by run, in the order of an epoch, `[Σ]`.

    Step i of a run comes in the order of a key that is a function of (seed, update, epoch, i).
    """
    k, device = len(lesson.diverged), lesson.parameters.device
    steps = lesson.episodes.steps(k)
    start = np.cumsum(steps) - steps
    rows, length = lesson.runs, steps[lesson.runs]
    row = np.repeat(rows, length)
    within = np.arange(length.sum()) - np.repeat(np.cumsum(length) - length, length)
    of_epoch = fold_in(lesson.shuffling, torch.tensor(epoch, device=device))
    keys = fold_in(of_epoch[torch.from_numpy(row).to(device)], torch.from_numpy(within).to(device)).cpu().numpy()
    order = np.lexsort((keys, row))
    return torch.from_numpy((np.repeat(start[rows], length) + within)[order]).to(device)
