"""The mean update of an arm over every batch that a small problem can give, beside ∇J.

The estimate that the first step of an update follows may be unbiased; the steps after it go on from where it led,
with the same batch. So the update rule itself is run, on every batch, from the same parameters.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations_with_replacement
from typing import Any

import numpy as np
import torch

from pglab.algorithms.objectives import Clip
from pglab.envs.finite import FiniteMDP
from pglab.exact.enumeration import Trajectories
from pglab.training.arm import Arm, BatchSize
from pglab.training.bundle import Bundle
from pglab.training.diagnostics import GradientDiagnostics
from pglab.training.episodes import Episodes
from pglab.training.natural import exact_natural_gradient
from pglab.training.prompts import PromptGroups
from pglab.training.update import FIRST_ORDER
from pglab.verify.measure import Pipeline
from pglab.verify.parts import FEW_EPISODES
from pglab.verify.sample import cosine_to
from pglab.verify.setting import Setting

MOST_BATCHES = 20_000  # on which the update rule is run
AT_ONCE = 2048
NO_CLIP = 1e6  # a range in which every ratio lies


@dataclass(frozen=True)
class MeanUpdate:
    """The mean of an update Δθ over all batches of a problem.

    Attributes:
        problem, seed: where.
        episodes: in a batch.
        batches: how many different ones there are, whatever the order of their episodes.
        epochs, steps: passes over the batch, and steps of the optimizer in all of them.
        cosine: between E[Δθ] and ∇J.
        relative_bias: of E[Δθ] along ∇J, beside as many steps along ∇J itself: E[Δθ]·∇J / (η m ‖∇J‖²) - 1 for m
            steps of plain gradient ascent at the rate η; None for other optimizers.
        kl: mean KL(π_old ‖ π) of the update in nats.
        clip_fraction: mean share of steps with a ratio beyond the clip range; None where there is none.
        clip_adds: ‖E[Δθ] - E[Δθ without the clip]‖ / ‖E[Δθ without the clip]‖; None where nothing is clipped.
        natural_cosine: between E[Δθ] and the natural gradient F⁻¹∇J; None where steps follow the gradient.
    """

    problem: str
    seed: int
    episodes: int
    batches: int
    epochs: int
    steps: int
    cosine: float
    relative_bias: float | None
    kl: float
    clip_fraction: float | None
    clip_adds: float | None
    natural_cosine: float | None


def mean_updates(setting: Setting, pipeline: Pipeline, epochs: Sequence[int]) -> list[MeanUpdate]:
    """The mean update after each of several numbers of epochs, where the batches can be enumerated; otherwise none.

    An arm that uses its batch once is asked where its step is another than along the estimate. Batches have the arm's
    number of episodes, or a few whole ones where it cuts them by steps. Minibatches are shuffled anew for every
    batch, once.
    """
    arm = setting.arm
    episodes = arm.batch.episodes or FEW_EPISODES
    again = hasattr(arm.rule, "epochs")
    if not (again or arm.step_rule != FIRST_ORDER) or arm.estimator.truncation == "bootstrap":
        return []
    trajectories = setting.solved.trajectories(MOST_BATCHES)
    if trajectories is None or not _is_one_group(arm, trajectories):
        return []
    kinds = len(trajectories.probability)
    if math.comb(kinds + episodes - 1, episodes) > MOST_BATCHES:
        return []
    chosen = np.array(list(combinations_with_replacement(range(kinds), episodes)))
    probability = trajectories.probability[chosen].prod(-1) * [_orders(batch) for batch in chosen]
    numbers = epochs if again else [1]
    return [_mean_update(setting, pipeline, trajectories, chosen, probability, number) for number in numbers]


def _is_one_group(arm: Arm, trajectories: Trajectories) -> bool:
    """Tells whether the order of a batch's episodes is of no account: they are of one group, or of none."""
    if getattr(arm.weighting, "uses_greedy", False):
        return False  # nobody has played the greedy episode
    one_prompt = len(np.unique(trajectories.state[:, 0])) == 1
    return not isinstance(arm.batch, PromptGroups) or (arm.batch.prompts == 1 and one_prompt)


def _mean_update(
    setting: Setting,
    pipeline: Pipeline,
    trajectories: Trajectories,
    chosen: np.ndarray,
    probability: np.ndarray,
    epochs: int,
) -> MeanUpdate:
    rule: Any = setting.arm.rule
    own = setting.arm.batch
    batch = own if isinstance(own, PromptGroups) else BatchSize(episodes=chosen.shape[1])
    rule = replace(rule, epochs=epochs) if hasattr(rule, "epochs") else rule
    arm = replace(setting.arm, rule=rule, batch=batch, updates=1)
    mean, kl, share = _mean_change(setting, arm, pipeline, trajectories, chosen, probability)
    steps, plain = epochs * getattr(rule, "minibatches", 1), None
    if isinstance(arm.objective, Clip):
        unclipped = replace(arm, objective=replace(arm.objective, clip=NO_CLIP, clip_low=None, clip_high=None))
        plain, _, _ = _mean_change(setting, unclipped, pipeline, trajectories, chosen, probability)
    return MeanUpdate(
        problem=setting.problem,
        seed=setting.seed,
        episodes=chosen.shape[1],
        batches=len(chosen),
        epochs=epochs,
        steps=steps,
        cosine=float(cosine_to(mean[None], setting.gradient)[0]),
        relative_bias=_relative_bias(arm, mean / steps, setting.gradient),
        kl=kl,
        clip_fraction=None if math.isnan(share) else share,
        clip_adds=None if plain is None else float(np.linalg.norm(mean - plain) / np.linalg.norm(plain)),
        natural_cosine=_natural_cosine(setting, pipeline, mean) if arm.step_rule != FIRST_ORDER else None,
    )


def _natural_cosine(setting: Setting, pipeline: Pipeline, mean: np.ndarray) -> float | None:
    world = setting.shapes.world
    if not isinstance(world, FiniteMDP):
        return None
    parameters = pipeline.state["policy/parameters"][0]
    natural = exact_natural_gradient(world, setting.shapes.policy(), parameters, setting.arm.gamma)
    return float(cosine_to(mean[None], natural)[0])


def _mean_change(
    setting: Setting, arm: Arm, pipeline: Pipeline, trajectories: Trajectories, chosen: np.ndarray, chance: np.ndarray
) -> tuple[np.ndarray, float, float]:
    """E[Δθ], `[P]`, and the mean KL and share of clipped steps, of an arm on every batch."""
    total, kl, clipped = 0.0, 0.0, 0.0
    for first in range(0, len(chosen), AT_ONCE):
        some, own = chosen[first : first + AT_ONCE], chance[first : first + AT_ONCE]
        change, measures = _updated(setting, replace(pipeline, arm=arm), packed(trajectories, some), first)
        total, kl = total + own @ change, kl + float(own @ measures.kl)
        clipped += float(own @ measures.clip_fraction)
    return np.asarray(total), kl, clipped


def _updated(setting: Setting, pipeline: Pipeline, batches: Episodes, first: int) -> tuple[np.ndarray, Any]:
    """Δθ of an update of runs first, first + 1, … from a batch each, `[R, P]`, and its measures."""
    shapes = replace(setting.shapes, player=Given(batches))
    diagnostics = GradientDiagnostics(every=1, epochs=True, exact_states=0)
    bundle = replace(pipeline, shapes=shapes).begun(first, int(batches.run[-1]) + 1, diagnostics)
    before = _flat(bundle)
    ((_, measures),) = bundle.step()
    return _flat(bundle) - before, measures


@dataclass(frozen=True)
class Given:
    """A player that has played already."""

    episodes: Episodes

    def __call__(self, *asked: Any) -> Episodes:
        return self.episodes


def packed(trajectories: Trajectories, chosen: np.ndarray) -> Episodes:
    """Batches of episodes, of which `chosen` `[R, E]` has the numbers, as those of R runs."""
    number = chosen.ravel()
    length = trajectories.length[number]
    episode, step = np.repeat(number, length), np.concatenate([np.arange(n) for n in length])

    def along(table: np.ndarray, dtype: torch.dtype) -> torch.Tensor:
        return torch.tensor(np.append(table[episode, step], 0), dtype=dtype)

    symbol = along(trajectories.symbol, torch.float32)[:, None]
    ends = (trajectories.terminated, trajectories.truncated)
    terminated, truncated = (np.any(table, -1)[number] for table in ends)
    return Episodes(
        run=np.repeat(np.arange(len(chosen)), chosen.shape[1]),
        length=length,
        terminated=terminated,
        truncated=truncated,
        last_obs=torch.zeros(len(number), 1),  # of the state after the last step nobody asks
        obs=symbol,
        action=along(trajectories.action, torch.int64),
        reward=along(trajectories.reward, torch.float32),
    )


def _orders(batch: np.ndarray) -> int:
    """The number of different orders of a batch's episodes."""
    _, equal = np.unique(batch, return_counts=True)
    return math.factorial(len(batch)) // math.prod(map(math.factorial, equal.tolist()))


def _flat(bundle: Bundle) -> np.ndarray:
    """The policies' parameters, `[R, P]`, double precision."""
    (named,) = bundle.parameters()
    return np.concatenate([part.reshape(len(part), -1) for part in named.values()], 1).astype(float)


def _relative_bias(arm: Arm, per_step: np.ndarray, gradient: np.ndarray) -> float | None:
    settings, square = getattr(arm.optimizer, "keywords", {}), float(gradient @ gradient)
    plain = getattr(arm.optimizer, "func", None) is torch.optim.SGD and set(settings) == {"lr"}
    if not plain or arm.step_rule != FIRST_ORDER or square == 0:
        return None
    times = arm.batch.episodes if arm.estimator.reduction == "sum" else 1
    return float(per_step @ gradient / (settings["lr"] * times * square)) - 1
