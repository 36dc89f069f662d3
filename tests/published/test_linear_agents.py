"""The linear agents learn, or do not, as plain sequential implementations of them do."""

import multiprocessing

import numpy as np
import pytest
from scipy.stats import ks_2samp, ttest_ind

import pglab
from tests.published.linear_agents import AGENTS, train

SEEDS = 24
EPISODES = {"linear_softmax": 4000, "linear_sigmoid_broken": 4000, "linear_sigmoid": 5000}
BLOCK = 100
RANDOM_PLAY = 22.3  # mean return of a uniform policy: 22.28 ± 0.03 over 200 000 episodes


@pytest.fixture(scope="module", params=AGENTS)
def curves(request, tmp_path_factory):
    """The experiment, and its returns with each seed, block by block of 100 episodes, `[SEEDS, blocks]`."""
    folder = tmp_path_factory.mktemp(request.param)
    asked = [f"experiment={request.param}", f"seeds={SEEDS}", "logger.mode=disabled", f"results_dir={folder}"]
    rows = pglab.run([*asked, "evaluation.episodes=0"])
    returns = rows.pivot(index="seed", columns="update", values="return_mean").to_numpy()
    assert returns.shape == (SEEDS, EPISODES[request.param])
    return request.param, blocks(returns)


def blocks(returns):
    return np.asarray(returns).reshape(SEEDS, -1, BLOCK).mean(-1)


def plain_loop(job):
    return train(*job)


@pytest.mark.published
def test_mean_returns_of_every_hundred_episodes_have_the_distribution_of_the_plain_loop(curves):
    experiment, ours = curves
    with multiprocessing.get_context("spawn").Pool() as pool:
        jobs = [(experiment, 1000 + seed, EPISODES[experiment]) for seed in range(SEEDS)]
        plain = blocks(pool.map(plain_loop, jobs, chunksize=1))
    p_values = []
    for one, other in zip(ours.T, plain.T, strict=True):
        p_values += [ttest_ind(one, other, equal_var=False).pvalue, ks_2samp(one, other).pvalue]
    assert min(p_values) > 0.05 / len(p_values)  # Bonferroni


@pytest.mark.published
def test_the_broken_agent_stays_at_the_level_of_random_play_and_the_fixed_one_learns(curves):
    experiment, ours = curves
    if experiment == "linear_sigmoid_broken":
        assert (ours[:, 10:].mean(1) < RANDOM_PLAY).mean() >= 10 / 12
        assert ours.mean(0).max() < RANDOM_PLAY + 3
    if experiment == "linear_sigmoid":
        assert (ours[:, -1] > 180).mean() >= 10 / 12
