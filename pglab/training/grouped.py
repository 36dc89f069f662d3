"""Batches of groups: sifted, refilled, and held beside greedy episodes, for the arms that want it."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from pglab.algorithms.losses import ROUNDINGS
from pglab.training.arm import Arm
from pglab.training.episodes import Episodes
from pglab.training.prompts import group_of
from pglab.training.rollout import Target
from pglab.training.trainee import Trainee

Play = Callable[[Target], Episodes]


def in_use(training: Sequence[Trainee], played: Episodes) -> np.ndarray:
    """The episodes `[M]`, boolean, that stay where a weighting drops groups of equal returns: all of the other arms.

    Of those that differ each run keeps as many groups as a batch has, the first ones.
    """
    keep = np.ones(len(played.run), dtype=bool)
    for trainee in training:
        if not _drops(trainee.arm):
            continue
        own = _of(trainee, played)
        keep[own] = _first(_unequal(trainee.arm, played, own), played.run[own], trainee.arm.batch.episodes or 0)
    return keep


def refilled(play: Play, target: Target, training: Sequence[Trainee]) -> Episodes:
    """The batches, with further groups for the arms that replace what they drop: until there are enough, or too many.

    Args:
        play: plays the batches of a target. Episodes are functions of their number, so that a larger batch begins
            with the smaller one.
    """
    played = play(target)
    wanting = [
        trainee for trainee in training if _drops(trainee.arm) and getattr(trainee.arm.weighting, "refill", False)
    ]
    while wanting:
        wanted = target.episodes.copy()
        for trainee in wanting:
            size, rows = trainee.arm.batch.episodes or 0, trainee.rows
            own = _of(trainee, played)
            there = np.bincount(played.run[own][_unequal(trainee.arm, played, own)], minlength=rows.stop)[rows]
            most = size * _most(trainee.arm)
            lacks = (there < size) & (wanted[rows] >= size) & (wanted[rows] < most)
            wanted[rows] = np.where(lacks, np.minimum(2 * wanted[rows], most), wanted[rows])
        if (wanted == target.episodes).all():
            break
        target = replace(target, episodes=wanted)
        played = play(target)
    return played


def with_greedy(played: Episodes, play: Play, target: Target, training: Sequence[Trainee]) -> Episodes:
    """The batches with the return of the greedy episode from each prompt, where a weighting wants it.

    Args:
        play: plays greedily; its episode p begins at prompt p.
    """
    wanting = [trainee for trainee in training if getattr(trainee.arm.weighting, "uses_greedy", False)]
    if not wanting:
        return played
    prompts = np.zeros_like(target.episodes)
    for trainee in wanting:
        prompts[trainee.rows] = target.episodes[trainee.rows] // target.group
    greedy = play(Target(np.zeros_like(prompts), prompts))
    found = np.zeros(len(played.run))
    for trainee in wanting:
        mine, theirs = _of(trainee, played), _of(trainee, greedy)
        found[mine] = np.repeat(returns_of(greedy, trainee.arm.gamma)[theirs], target.group)
    return replace(played, greedy=found, beside=greedy.steps(len(prompts)))


def returns_of(episodes: Episodes, gamma: float) -> np.ndarray:
    """R(τ) = Σ_t γ^t r_t of each episode, `[M]`, in double precision."""
    step = np.arange(episodes.length.sum()) - np.repeat(episodes.start, episodes.length)
    return np.add.reduceat(episodes.reward[:-1].double().cpu().numpy() * gamma**step, episodes.start)


def _of(trainee: Trainee, episodes: Episodes) -> np.ndarray:
    """The episodes of an arm's runs, boolean."""
    return (episodes.run >= trainee.rows.start) & (episodes.run < trainee.rows.stop)


def _most(arm: Arm) -> int:
    weighting: Any = arm.weighting
    return weighting.most


def _drops(arm: Arm) -> bool:
    return getattr(arm.weighting, "drops_equal_groups", False)


def _unequal(arm: Arm, played: Episodes, own: np.ndarray) -> np.ndarray:
    """The episodes of an arm, boolean, that are in groups whose returns differ."""
    returns = returns_of(played, arm.gamma)[own].reshape(-1, group_of(arm.batch))
    largest = np.abs(returns).max(1, initial=0.0)
    differ = np.ptp(returns, axis=1) > ROUNDINGS * np.finfo(np.float32).eps * largest
    return np.repeat(differ, group_of(arm.batch))


def _first(kept: np.ndarray, run: np.ndarray, most: int) -> np.ndarray:
    """The first `most` of each run's episodes that are kept, boolean."""
    place = np.cumsum(kept) - kept
    return kept & (place - place[np.searchsorted(run, run)] < most)
