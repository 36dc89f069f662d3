"""Diagnostics are columns of a study that change nothing else in it."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import pglab
from pglab.cli import compose_runs
from pglab.results import load, load_evaluation, summarize
from pglab.studies.plan import make_plan

COLUMNS = [
    "grad_variance", "grad_snr", "half_cosine", "variance_removed", "explained_variance", "kl", "objective",
    "exact_cosine", "optimal_action",
]  # fmt: skip
MEASURED = ["diagnostics=gradient", "diagnostics.every=2"]
ALWAYS = ["grad_variance", "grad_snr", "half_cosine", "kl", "objective", "exact_cosine"]  # without a baseline


@pytest.fixture(scope="module")
def diagnosed(study: Path, tmp_path_factory: pytest.TempPathFactory, tiny) -> Path:
    """The small study again, measured at every second of its updates and mirrored."""
    folder = tmp_path_factory.mktemp("diagnosed")
    here = [*tiny[:-1], "logger.mode=offline", "study=small", f"results_dir={folder}"]
    pglab.run(["weighting=total,rtg", "seed=0,1,2", *here, *MEASURED])
    return folder / "small"


def test_a_study_has_the_same_files_and_numbers_with_and_without(study: Path, diagnosed: Path):
    assert {p.name for p in study.iterdir()} == {p.name for p in diagnosed.iterdir()} - {"wandb"}
    assert list(load(diagnosed).columns.difference(load(study).columns)) == sorted(COLUMNS)
    pd.testing.assert_frame_equal(load(diagnosed).drop(columns=COLUMNS), load(study))
    pd.testing.assert_frame_equal(load_evaluation(diagnosed), load_evaluation(study))
    for arm in study.iterdir():
        assert (arm / "policies.npz").read_bytes() == (diagnosed / arm.name / "policies.npz").read_bytes()


def test_the_columns_come_after_those_of_training_and_hold_numbers_where_they_were_measured(diagnosed: Path):
    frame = load(diagnosed)
    after = list(frame.columns).index("grad_norm") + 1
    assert list(frame.columns[after : after + len(COLUMNS) + 1]) == [*COLUMNS, "status"]
    assert frame.loc[frame["update"] == 1, ALWAYS].notna().all(axis=None)
    assert frame.loc[frame["update"] == 2, COLUMNS].isna().all(axis=None)
    assert frame[["variance_removed", "explained_variance"]].isna().all(axis=None)
    assert (frame["objective"].dropna() <= -6 - 4 * np.sqrt(2)).all()  # no policy of the corridor is better


def test_the_summary_is_the_same(study: Path, diagnosed: Path):
    summaries = [summarize(load(path), load_evaluation(path)) for path in (study, diagnosed)]
    pd.testing.assert_frame_equal(*summaries)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::pglab.results.IncompleteStudy")
def test_finished_runs_are_neither_refused_nor_repeated_and_new_ones_are_measured(copied_study: Path, tiny):
    before = load(copied_study)
    here = [*tiny, "study=small", f"results_dir={copied_study.parent}"]
    plan = make_plan(compose_runs(["weighting=total,rtg", "seed=0,1,2,3", *here, *MEASURED]))
    assert plan.missing == 2
    pglab.run(["weighting=rtg", "seed=0,3", *here, *MEASURED])
    pglab.run(["weighting=rtg", "seed=4", *here])
    frame = load(copied_study)
    old = frame[frame["seed"] <= 2].reset_index(drop=True)
    pd.testing.assert_frame_equal(old.drop(columns=COLUMNS), before)
    measured = frame.groupby("seed")["objective"].count()
    assert measured.to_dict() == {0: 0, 1: 0, 2: 0, 3: 1, 4: 0}


def test_the_configuration_says_what_was_measured(diagnosed: Path):
    for arm in diagnosed.glob("*weighting*"):
        text = (arm / "config.yaml").read_text()
        assert "GradientDiagnostics" in text
        assert "every: 2" in text


def test_the_mirror_has_the_columns_where_they_were_measured_and_no_point_elsewhere(diagnosed: Path, mirrored):
    runs = mirrored(diagnosed)
    for (arm, seed), rows in load(diagnosed).groupby(["arm", "seed"]):
        first, second = runs[f"{arm},seed={seed}"].history
        for name in ALWAYS:
            assert first[name] == rows[name].iloc[0]
        assert not set(COLUMNS) & second.keys()
        assert second["loss"] == rows["loss"].iloc[1]
