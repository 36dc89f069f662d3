"""`pong_from_pixels` learns as the published program does, written anew in NumPy."""

import multiprocessing
import os
from importlib.util import find_spec

import numpy as np
import pytest
from scipy.stats import ttest_ind

import pglab
from pglab.textbook import GAMES, textbook_pong

SEEDS = int(os.environ.get("PONG_SEEDS", "2"))
NUMBER = int(os.environ.get("PONG_GAMES", "500"))  # 2000 take hours
STRETCH = 500  # games whose mean score is compared

pytestmark = pytest.mark.skipif(
    find_spec("ale_py") is None and "CI" not in os.environ,
    reason='the Arcade Learning Environment is not installed: pip install "pglab[atari]"',
)


def in_numpy(seed):
    return [score for _, score in textbook_pong(NUMBER, seed)]


@pytest.mark.published
def test_mean_scores_of_every_500_games_are_those_of_the_program_in_numpy(tmp_path):
    with multiprocessing.get_context("spawn").Pool() as pool:
        theirs = np.array(pool.map(in_numpy, range(SEEDS), chunksize=1))
    asked = ["experiment=pong_from_pixels", f"updates={NUMBER // GAMES}", f"seeds={SEEDS}", "evaluation.episodes=0"]
    rows = pglab.run([*asked, "logger.mode=disabled", f"results_dir={tmp_path}"])
    ours = rows.pivot(index="seed", columns="update", values="return_mean").to_numpy()
    assert ours[:, :2].mean() == pytest.approx(-20.4, abs=0.5)  # of random play
    for begin in range(0, NUMBER, STRETCH):
        # Scores of single games are next to independent within a stretch; a batch's mean has a tenth of their variance.
        batches = ours[:, begin // GAMES : (begin + STRETCH) // GAMES].ravel()
        games = theirs[:, begin : begin + STRETCH].reshape(-1, GAMES).mean(1)
        print(f"games {begin} to {begin + STRETCH}: {batches.mean():.2f} here, {games.mean():.2f} in NumPy")
        assert ttest_ind(batches, games, equal_var=False).pvalue > 0.01
