"""A run that diverges is marked and counted, and its neighbours keep their bits."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import pglab
from pglab.results import load, load_evaluation, summarize

pytestmark = pytest.mark.filterwarnings("ignore::pglab.results.IncompleteStudy")  # diverged runs have fewer rows

FINE, TOO_LARGE = 0.1, 3e38


def arm_of(study: Path, rate: str) -> Path:
    (arm,) = study.glob(f"*optimizer.lr={rate}*")
    return arm


def test_a_diverged_run_is_marked_with_its_last_update(diverging: Path):
    runs = json.loads((arm_of(diverging, "3e+38") / "arm.json").read_text())["runs"]
    rows = load(diverging).query("`optimizer.lr` > 1")
    assert set(runs) == {"0", "1"}
    for seed, run in runs.items():
        assert run["status"] == "diverged"
        assert run["updates"] == rows[rows["seed"] == int(seed)]["update"].max() < run["asked"] == 3


def test_a_diverged_run_keeps_the_rows_up_to_the_update_at_which_it_did(diverging: Path):
    for (rate, _), run in load(diverging).groupby(["optimizer.lr", "seed"]):
        assert run["update"].tolist() == list(range(1, len(run) + 1))
        assert set(run["status"]) == {"finished" if rate == FINE else "diverged"}
        assert np.isfinite(run["return_mean"]).all()
        assert np.isfinite(run["loss"].iloc[:-1]).all()


def test_a_diverged_run_ends_with_its_last_finite_policy(diverging: Path):
    with np.load(arm_of(diverging, "3e+38") / "policies.npz", allow_pickle=False) as policies:
        assert {name.partition("/")[0] for name in policies.files} == {"0", "1"}
        assert all(np.isfinite(policies[name]).all() for name in policies.files)


def test_a_diverged_run_is_counted_and_excluded_from_nothing(diverging: Path):
    evaluation = load_evaluation(diverging)
    summary = summarize(load(diverging), evaluation).set_index("arm")
    of_rate = {float(rows["optimizer.lr"].iloc[0]): arm for arm, rows in load(diverging).groupby("arm")}
    diverged, fine = summary.loc[of_rate[3e38]], summary.loc[of_rate[0.1]]
    assert (diverged["seeds"], diverged["diverged"], diverged["finished"]) == (2, 2, 0)
    assert (fine["seeds"], fine["diverged"], fine["finished"]) == (2, 0, 2)
    assert diverged["score"] == evaluation[evaluation["status"] == "diverged"]["return"].mean()


def test_the_same_command_again_does_not_train_a_diverged_run_anew(diverging: Path, tiny, learning, contents):
    before = contents(diverging)
    again = [*tiny, *learning, "optimizer.lr=3e38", "seed=0,1", "study=diverging", f"results_dir={diverging.parent}"]
    rows = pglab.run(again)
    assert set(rows["status"]) == {"diverged"}
    assert contents(diverging) == before


def test_neighbours_have_the_bits_that_they_have_alone(diverging: Path, tmp_path: Path, tiny, learning):
    alone = [*tiny, *learning, "optimizer.lr=0.1", "seed=0,1", "study=alone", f"results_dir={tmp_path}"]
    pglab.run(alone)
    fine = arm_of(diverging, "0.1")
    for file in ("updates.parquet", "evaluation.parquet"):
        beside = pd.read_parquet(fine / file)
        pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "alone" / fine.name / file), beside, check_exact=True)
    here, there = fine / "policies.npz", tmp_path / "alone" / fine.name / "policies.npz"
    assert here.read_bytes() == there.read_bytes()
