"""`ppo_cleanrl` learns as a plain sequential implementation does, and as published."""

import multiprocessing

import numpy as np
import pytest
import torch
from scipy.stats import ks_2samp, ttest_ind

import pglab
from tests.published.plain_ppo import train

SEEDS, UPDATES, BLOCKS = 16, 98, 7  # × 512 steps: 50 k a run


def plain_loop(job):
    torch.set_num_threads(1)
    return train(*job)


def by_block(total, count):
    """Mean return of the episodes that ended in each seventh of training, from sums and numbers by update."""
    total, count = (np.asarray(x).reshape(len(x), BLOCKS, -1).sum(-1) for x in (total, count))
    return total / count


@pytest.mark.published
def test_mean_returns_have_the_distribution_of_the_plain_loop(tmp_path):
    with multiprocessing.get_context("spawn").Pool() as pool:
        plain = pool.map(plain_loop, [(seed, UPDATES) for seed in range(SEEDS)], chunksize=1)
    theirs = by_block([[sum(r) for r in run] for run in plain], [[len(r) for r in run] for run in plain])
    asked = ["experiment=ppo_cleanrl", f"updates={UPDATES}", f"seeds={SEEDS}", "evaluation.episodes=0"]
    rows = pglab.run([*asked, "logger.mode=disabled", f"results_dir={tmp_path}"])
    count = rows.pivot(index="seed", columns="update", values="episodes").diff(axis=1)
    count[1] = rows.loc[rows["update"] == 1].set_index("seed")["episodes"]
    mean = rows.pivot(index="seed", columns="update", values="return_mean").fillna(0.0)
    ours = by_block((mean * count).to_numpy(), count.to_numpy())
    p_values = []
    for one, other in zip(ours.T, theirs.T, strict=True):
        p_values += [ttest_ind(one, other, equal_var=False).pvalue, ks_2samp(one, other).pvalue]
    assert min(p_values) > 0.05 / len(p_values)  # Bonferroni: a false alarm in at most 5 % of seeds


def last_episodes(env, tmp_path, seeds):
    """The mean return of about the last 100 training episodes of each run of 500 k steps."""
    asked = ["experiment=ppo_cleanrl", f"env={env}", f"seeds={seeds}", "evaluation.episodes=0"]
    rows = pglab.run([*asked, "logger.mode=disabled", f"results_dir={tmp_path}"])
    means = []
    for _, run in rows.groupby("seed"):
        number = run["episodes"].diff().fillna(run["episodes"].iloc[0])
        last = run["episodes"] > run["episodes"].iloc[-1] - 100
        means.append(np.average(run.loc[last & (number > 0), "return_mean"], weights=number[last & (number > 0)]))
    return np.array(means)


@pytest.mark.published
@pytest.mark.parametrize(("env", "low", "high"), [("acrobot", -91.4, -81.4), ("mountain_car", -200.0, -199.0)])
def test_returns_after_500_000_steps_are_as_published(tmp_path, env, low, high):
    # Huang et al. 2022, table of classic control: -86.4 on Acrobot-v1, -200 on MountainCar-v0, which it never solves.
    assert low <= last_episodes(env, tmp_path, seeds=3).mean() <= high
