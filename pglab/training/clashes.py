"""Choices that cannot go together, and why."""

from collections.abc import Iterator
from itertools import chain
from typing import Any

from pglab.algorithms.objectives import uses_kl, uses_old_log_prob, uses_sequence_ratio
from pglab.algorithms.rewards import RAW
from pglab.envs.finite import FiniteMDP
from pglab.envs.spaces import Discrete, as_space
from pglab.envs.world import Parking, Prompted, Replayable
from pglab.models.networks import Normalized
from pglab.training.arm import Arm
from pglab.training.bundle import Shapes
from pglab.training.departure import is_distribution
from pglab.training.prompts import PromptGroups, group_of
from pglab.training.reuse import Epochs
from pglab.training.segments import Segments
from pglab.training.update import FIRST_ORDER


def clash(shapes: Shapes, arm: Arm) -> str | None:
    """The first pair of choices that cannot go together, in a line that says what to do; None: there is none."""
    return next(
        chain(
            _of_critics(arm), _of_updates(shapes, arm), _of_steps(shapes, arm), _of_segments(shapes, arm),
            _of_groups(shapes, arm), _of_lengths(arm), _of_references(shapes, arm),
        ),
        None,
    )  # fmt: skip


def _of_critics(arm: Arm) -> Iterator[str]:
    estimator, baseline = arm.estimator, arm.baseline
    if estimator.truncation == "bootstrap" and not arm.has_critic:
        yield (
            "estimator.truncation=bootstrap needs a learned critic: "
            "choose baseline=value and a weighting that uses it (baseline or gae)"
        )
    if estimator.clip_together and not (arm.learns_together and estimator.clip_norm is not None):
        yield (
            "estimator.clip_together=true clips the policy's and the critic's gradient as one: it needs "
            "estimator.clip_norm, and a critic that learns in the same minibatches (baseline.fit=with_policy)"
        )
    if arm.has_critic and getattr(baseline, "loss", None) == "clipped" and not arm.learns_together:
        yield "baseline.loss=clipped is about steps of one update: choose baseline.fit=with_policy, or loss=mse"


def _of_updates(shapes: Shapes, arm: Arm) -> Iterator[str]:
    stop_kl = getattr(arm.rule, "stop_kl", None)
    if (uses_kl(arm.objective) or hasattr(arm.objective, "adapt") or stop_kl) and not hasattr(shapes.head, "kl"):
        yield (
            f"{type(arm.objective).__name__}, or reuse.stop_kl, needs the KL divergence of policies, and the head "
            f"{type(shapes.head).__name__} has no method kl(old, outputs)"
        )
    if getattr(arm.schedule, "clip", False) and not hasattr(arm.objective, "strength"):
        yield "schedule.clip=true needs a surrogate with a coefficient, such as surrogate=clip"


def _of_steps(shapes: Shapes, arm: Arm) -> Iterator[str]:
    rule, estimator = arm.step_rule, arm.estimator
    if rule == FIRST_ORDER:
        return
    name = type(rule).__name__
    if uses_kl(rule) and not hasattr(shapes.head, "kl"):
        yield f"{name} needs the KL divergence of policies, and {type(shapes.head).__name__} has no kl(old, outputs)"
    if isinstance(arm.rule, Epochs):
        yield f"{name} makes one step of a whole batch, at the policy that played it: choose reuse=once"
    if estimator.clip_together:
        yield f"estimator.clip_together=true is about gradients, and {name} makes another vector of the policy's"
    if getattr(rule, "uses_surrogate", False) and (uses_kl(arm.objective) or not uses_old_log_prob(arm.objective)):
        yield (
            f"{name} compares the surrogate before and after a step, within a bound on the KL, and "
            f"{type(arm.objective).__name__} is no value to compare: choose surrogate=ratio (or clip)"
        )
    if getattr(rule, "exact", False):
        yield from _of_exact_steps(shapes, arm)


def _of_exact_steps(shapes: Shapes, arm: Arm) -> Iterator[str]:
    world, space = shapes.world, as_space(shapes.world.actions)
    if not isinstance(world, FiniteMDP):
        yield f"step.exact=true needs the tables of a finite MDP, and {type(world).__name__} has none: leave it off"
    elif not (isinstance(space, Discrete) and is_distribution(shapes.head, space)):
        yield f"step.exact=true needs π, and exp(log_prob) of {type(shapes.head).__name__} is no distribution"
    if arm.estimator.entropy_bonus:
        yield "step.exact=true follows ∇J, which has no entropy bonus: leave estimator.entropy_bonus at 0"


def _of_groups(shapes: Shapes, arm: Arm) -> Iterator[str]:
    weighting, own = arm.weighting, group_of(arm.batch)
    group, name = getattr(weighting, "group", None), type(weighting).__name__
    if group is not None and not isinstance(arm.batch, PromptGroups):
        yield f"{name} compares the episodes of a prompt: choose batch=groups (batch.prompts, batch.group)"
    if group is not None and group != own:
        yield (
            f"batch.group={own} and weighting.group={group} differ, but there is one size of groups: set "
            f"batch.group={group}, and leave weighting.group as it is (${{batch.group}})"
        )
    if own > 1 and not isinstance(shapes.world, Prompted):
        yield (
            f"batch=groups plays several episodes from one prompt, and {type(shapes.world).__name__} has no "
            "`prompt_draws`: choose a finite MDP, such as env=token_tree, or batch=episodes"
        )
    if isinstance(arm.batch, PromptGroups) and arm.estimator.min_episode_length > 1:
        yield "estimator.min_episode_length would tear groups apart, which batch=groups has; leave it off"
    for wanted in ("drops_equal_groups", "uses_greedy"):
        if getattr(weighting, wanted, False) and arm.rewards != RAW:
            yield f"{name} looks at the world's own rewards: choose rewards=raw"
        if getattr(weighting, wanted, False) and arm.estimator.kl_reference and arm.estimator.kl_in == "reward":
            yield f"{name} looks at the world's own rewards: choose estimator.kl_in=loss"
    if getattr(weighting, "uses_greedy", False) and not isinstance(as_space(shapes.world.actions), Discrete):
        yield f"{name} plays the most probable action, and actions that are numbers have none: choose another weighting"


def _of_references(shapes: Shapes, arm: Arm) -> Iterator[str]:
    if arm.estimator.kl_reference and isinstance(shapes.network, Normalized):
        yield (
            "estimator.kl_reference compares with the policy that the run began with, which knows no mean of the "
            "observations yet: choose observations=raw"
        )
    if arm.estimator.kl_reference and getattr(arm.rule, "recompute", False) and arm.estimator.kl_in == "reward":
        yield "reuse.recompute=true would penalise other rewards in each epoch: choose estimator.kl_in=loss"


def _of_lengths(arm: Arm) -> Iterator[str]:
    if arm.estimator.by_length and arm.estimator.normalize == "minibatch":
        yield (
            "estimator.reduction=sequences divides each step by its episode's length, which standardising over a "
            "minibatch (estimator.normalize=minibatch) would undo: choose normalize=batch"
        )
    if arm.estimator.by_length and isinstance(arm.batch, Segments):
        yield "estimator.reduction=sequences is about whole episodes, which batch=segments does not have"
    if uses_sequence_ratio(arm.objective) and isinstance(arm.batch, Segments):
        yield "surrogate=sequence_ratio is about whole episodes, which batch=segments does not have"
    if arm.estimator.budget != 1 and arm.estimator.reduction != "budget":
        yield f"estimator.budget={arm.estimator.budget} is of estimator.reduction=budget; choose that, or leave it at 1"


def _of_segments(shapes: Shapes, arm: Arm) -> Iterator[str]:
    batch: Any = arm.batch
    estimator = arm.estimator
    if not isinstance(batch, Segments):
        return
    steps = batch.lanes * batch.steps
    for part in (arm.weighting, arm.baseline):
        if getattr(part, "whole_episodes", False):
            yield (
                f"batch=segments cuts episodes, and {type(part).__name__} needs whole ones: choose weighting=gae "
                "(or baseline) with baseline=value, or batch=steps"
            )
    if not arm.has_critic:
        yield (
            "batch=segments cuts episodes, which a learned critic has to continue: choose baseline=value and a "
            "weighting that uses it (gae or baseline), or batch=steps"
        )
    if isinstance(arm.rule, Epochs) and steps % arm.rule.minibatches:
        yield (
            f"reuse.minibatches={arm.rule.minibatches} does not divide the batch's {batch.lanes} × {batch.steps} = "
            f"{steps} steps (batch.lanes × batch.steps)"
        )
    for key, wrong in (
        ("reduction=episodes", estimator.reduction == "episodes"),
        ("discount_states=true", estimator.discount_states),
        (f"min_episode_length={estimator.min_episode_length}", estimator.min_episode_length > 1),
    ):
        if wrong:
            yield f"estimator.{key} is about whole episodes, which batch=segments does not have; leave it off"
    if isinstance(shapes.world, Parking) and not isinstance(shapes.world, Replayable):
        yield (
            f"batch=segments goes on in a world's lanes, and {type(shapes.world).__name__} has no method replayed() "
            "that gives such lanes (see pglab.envs.replayed): choose batch=steps"
        )
