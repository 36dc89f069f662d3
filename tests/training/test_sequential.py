"""`simple_pg` and `rtg_pg` learn as a plain sequential implementation does."""

import multiprocessing
import warnings

import numpy as np
import pytest
from scipy.stats import ks_2samp, ttest_ind

import pglab
from pglab.textbook import reward_to_go, textbook, total_return

SEEDS = 12
UPDATES = (10, 20, 30, 40, 50)


def plain_loop(job):
    weigh, seed = job
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Gymnasium: CartPole-v0 is out of date
        return [mean for _, mean in textbook(50, seed, weigh)]


@pytest.mark.published
@pytest.mark.parametrize(("experiment", "weigh"), [("simple_pg", total_return), ("rtg_pg", reward_to_go)])
def test_mean_returns_have_the_distribution_of_the_plain_loop_with_either_backend(tmp_path, experiment, weigh):
    with multiprocessing.get_context("spawn").Pool() as pool:
        plain = np.array(pool.map(plain_loop, [(weigh, seed) for seed in range(SEEDS)], chunksize=1))
    overrides = [f"experiment={experiment}", "backend=torch,native", f"seeds={SEEDS}", "logger.mode=disabled"]
    rows = pglab.run([*overrides, f"results_dir={tmp_path}"])
    p_values = []
    for _, arm in rows.groupby("arm"):
        for update in UPDATES:
            ours, theirs = arm.loc[arm["update"] == update, "return_mean"], plain[:, update - 1]
            p_values += [ttest_ind(ours, theirs, equal_var=False).pvalue, ks_2samp(ours, theirs).pvalue]
    assert len(p_values) == 2 * 2 * len(UPDATES)
    assert min(p_values) > 0.05 / len(p_values)  # Bonferroni
