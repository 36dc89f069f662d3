"""Sensitivity is what tuning for each problem gains over one choice for all, and is not read off lucky maxima."""

import numpy as np
import pandas as pd
import pytest

from pglab.results import hyperparameter_sensitivity
from pglab.results.normalised import COLUMNS
from tests.results.made import arm_of, together

PROBLEMS = ("cartpole", "acrobot")


def grid(mean, seeds: int = 4, noise: float = 0.0) -> pd.DataFrame:
    """Runs of algorithms × two keys × problems with `mean(algorithm, lr, lam, problem)`, already between 0 and 1."""
    rng = np.random.default_rng(0)
    return together(
        *[
            arm_of(
                mean(surrogate, lr, lam, env) + noise * rng.normal(size=seeds),
                **{"env": env, "surrogate": surrogate, "optimizer.lr": lr, "weighting.lam": lam},
            )
            for env in PROBLEMS
            for surrogate in ("ratio", "clip")
            for lr in (0.1, 0.2)
            for lam in (0.9, 1.0)
        ]
    )


def references(frame: pd.DataFrame) -> pd.DataFrame:
    arms = frame.drop_duplicates(["study", "arm"])[["study", "arm"]].itertuples(index=False)
    return pd.DataFrame([(*arm, 0.0, "given", 1.0, "given") for arm in arms], columns=COLUMNS)


def table(frame: pd.DataFrame) -> pd.DataFrame:
    return hyperparameter_sensitivity(frame, references(frame), "surrogate").set_index("algorithm")


def opposed(surrogate, lr, lam, env) -> np.ndarray:
    """`ratio` wants another rate on each problem; `clip` is as good with any."""
    right = (lr == 0.1) == (env == "cartpole")
    return np.full(4, 0.8 if surrogate == "clip" or right else 0.4)


def test_sensitivity_and_dimension_are_those_reckoned_by_hand():
    found = table(grid(opposed))
    assert found.loc["ratio", ["tuned", "fixed", "sensitivity"]].tolist() == pytest.approx([0.8, 0.6, 0.2])
    assert found.loc["ratio", ["keys", "dimension", "tune"]].tolist() == [2, 1, "optimizer.lr"]
    assert found.loc["clip", ["tuned", "fixed", "sensitivity"]].tolist() == pytest.approx([0.8, 0.8, 0.0])
    assert found.loc["clip", ["dimension", "tune"]].tolist() == [0, ""]
    assert found["n"].tolist() == [2, 2]


@pytest.mark.parametrize("shift", [0.0, -0.8, -2.0, -50.0])
def test_scores_below_random_play_have_a_sensitivity_too(shift: float):
    found = table(grid(lambda *setting: opposed(*setting) + shift))
    assert found["sensitivity"].tolist() == pytest.approx(table(grid(opposed))["sensitivity"].tolist())
    within = abs(0.8 + shift) * 0.05 >= 0.2  # what one choice for all loses is no matter
    assert found.loc["ratio", ["dimension", "tune"]].tolist() == ([0, ""] if within else [1, "optimizer.lr"])
    assert found.loc["clip", ["dimension", "tune"]].tolist() == [0, ""]


def test_settings_that_do_nothing_are_not_found_to_matter_by_the_luck_of_their_seeds():
    frame = grid(lambda *_: np.full(40, 0.5), seeds=40, noise=0.2)
    found = table(frame)
    assert (found["low"] < 0).all()
    assert (found["high"] > 0).all()
    means = frame.groupby(["surrogate", "env", "optimizer.lr", "weighting.lam"])["score"].mean()
    lucky = means.groupby(["surrogate", "env"]).max().groupby("surrogate").mean()
    assert (found["tuned"] < lucky[found.index]).all()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda frame: frame[frame["env"] == "cartpole"], "at least two problems"),
        (lambda frame: frame[frame["seed"] < 3], "ratio has 3 seeds with a score in every arm, and needs 4"),
        (lambda frame: frame[frame["arm"] != frame["arm"].iloc[0]], "ratio has settings that are not there on every"),
        (lambda frame: frame.rename(columns={"surrogate": "head"}), "surrogate is no column that describes arms: env"),
    ],
)
def test_what_cannot_be_asked_is_refused(change, said: str):
    frame = change(grid(opposed))
    with pytest.raises(ValueError, match=said):
        hyperparameter_sensitivity(frame, references(frame), "surrogate")
