"""A study is read as one tidy frame, whatever commands filled it."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import pglab
from pglab.results import load, load_evaluation

RUN = ["study", "arm", "seed"]
MEASURES = ["update", "env_steps", "episodes", "return_mean", "return_std", "length_mean", "loss", "entropy"]
GROUPS = ["env", "weighting", "baseline", "head", "network", "optimizer"]
not_on_a_par = pytest.mark.filterwarnings("ignore::pglab.results.IncompleteStudy")  # the arms of the mixed study


@pytest.fixture(scope="module")
def several(study: Path, tmp_path_factory: pytest.TempPathFactory, tiny) -> Path:
    """A results folder with the small study, and a copy with an arm that an unlike command added."""
    results = tmp_path_factory.mktemp("several") / "results"
    shutil.copytree(study, results / "small")
    shutil.copytree(study, results / "mixed")
    unlike = ["optimizer=sgd", "seed=7", "seeds=2", "updates=1", "evaluation.episodes=3", "workers=1", "fuse=false"]
    pglab.run([*tiny, *unlike, "study=mixed", f"results_dir={results}"])
    return results


def test_a_frame_has_exactly_the_columns_it_promises(study: Path):
    assert list(load(study).columns) == [*RUN, *MEASURES, "grad_norm", "status", *GROUPS]


def test_there_is_one_row_for_each_arm_seed_and_update(study: Path):
    frame = load(study)
    assert len(frame) == 2 * 3 * 2
    assert not frame.duplicated(["arm", "seed", "update"]).any()
    assert set(frame["seed"]) == {0, 1, 2}
    assert set(frame["update"]) == {1, 2}


def test_rows_are_in_order_of_arm_seed_and_update_and_arms_as_they_were_asked_for(study: Path):
    frame = load(study)
    assert list(frame["weighting"].unique()) == ["total", "rtg"]
    ordered = frame.sort_values(["weighting", "seed", "update"], ascending=[False, True, True], ignore_index=True)
    pd.testing.assert_frame_equal(frame, ordered)


@not_on_a_par
def test_columns_have_the_types_of_what_they_count_and_measure(several: Path):
    frame = load(several)
    assert all(frame[name].dtype == np.int64 for name in ("seed", "update", "env_steps", "episodes"))
    assert all(frame[name].dtype.kind == "f" for name in (*MEASURES[3:], "grad_norm"))


def test_groups_name_the_chosen_options(study: Path):
    (arm,) = load(study).query("weighting == 'total'")[["arm", *GROUPS]].drop_duplicates().to_dict("records")
    assert "weighting=total" in arm.pop("arm")
    expected = {"env": "corridor", "weighting": "total", "baseline": "none", "head": "softmax"}
    assert arm == expected | {"network": "mlp", "optimizer": "adam"}


def test_steps_and_episodes_count_from_the_start_of_a_run(study: Path):
    for _, run in load(study).groupby(["arm", "seed"]):
        assert run["episodes"].tolist() == [2, 4]
        of_update = run["env_steps"].diff().fillna(run["env_steps"])
        assert of_update.tolist() == (run["length_mean"] * 2).tolist()


def test_the_return_of_a_corridor_is_minus_its_length(study: Path):
    frame = load(study)
    assert (frame["return_mean"] == -frame["length_mean"]).all()


@not_on_a_par
def test_a_key_that_differs_between_arms_is_a_column_under_its_dotted_name(several: Path):
    frame = load(several / "mixed")
    differing = ["evaluation.episodes", "optimizer.lr", "updates"]
    assert list(frame.columns) == [*RUN, *MEASURES, "grad_norm", "status", *GROUPS, *differing]
    assert frame.groupby("optimizer")["optimizer.lr"].unique().map(list).to_dict() == {"adam": [0.01], "sgd": [0.1]}


@not_on_a_par
def test_how_an_arm_was_trained_is_no_column_and_its_seeds_are_its_own(several: Path):
    frame = load(several / "mixed")
    seeds = frame.groupby("optimizer")["seed"].apply(lambda of_arm: sorted(set(of_arm)))
    assert seeds.to_dict() == {"adam": [0, 1, 2], "sgd": [7, 8]}


@not_on_a_par
def test_a_results_folder_gives_the_rows_of_all_its_studies(several: Path):
    frame = load(several)
    assert set(frame["study"]) == {"small", "mixed"}
    for name in ("small", "mixed"):
        alone = load(several / name)
        together = frame[frame["study"] == name].reset_index(drop=True)
        pd.testing.assert_frame_equal(together[list(alone.columns)], alone)


def test_the_folder_of_an_arm_can_be_read_alone(study: Path):
    (arm,) = study.glob("*weighting=rtg")
    expected = load(study).query("weighting == 'rtg'").reset_index(drop=True)
    pd.testing.assert_frame_equal(load(arm), expected)


@pytest.mark.parametrize("up", [".", ".."])
def test_a_study_has_its_name_from_wherever_it_is_read(study: Path, monkeypatch: pytest.MonkeyPatch, up: str):
    monkeypatch.chdir(study)
    pd.testing.assert_frame_equal(load(up), load(study))


@pytest.mark.parametrize("read", [load, load_evaluation])
@pytest.mark.parametrize("there", [True, False])
def test_a_folder_without_a_study_is_named(tmp_path: Path, read, there: bool):
    path = tmp_path if there else tmp_path / "nowhere"
    with pytest.raises(FileNotFoundError) as missing:
        read(path)
    assert str(missing.value).startswith(f"{path} holds no study")


def test_the_evaluation_has_one_row_for_each_episode_of_each_run(study: Path):
    frame = load_evaluation(study)
    assert list(frame.columns) == [*RUN, "episode", "return", "length", "status", *GROUPS]
    assert len(frame) == 2 * 3 * 100
    for _, run in frame.groupby(["arm", "seed"]):
        assert run["episode"].tolist() == list(range(1, 101))
    assert (frame["return"] == -frame["length"]).all()


@not_on_a_par
def test_an_evaluation_plays_as_many_episodes_as_were_asked_for(several: Path):
    played = load_evaluation(several / "mixed").groupby(["optimizer", "arm", "seed"]).size()
    assert (played["adam"] == 100).all()
    assert (played["sgd"] == 3).all()


def test_different_seeds_give_different_numbers(study: Path):
    assert load(study).groupby(["weighting", "update"])["loss"].nunique().eq(3).all()


def test_arms_start_from_the_same_episodes_of_the_same_seed(study: Path):
    first = load(study).query("update == 1").pivot(index="seed", columns="weighting", values="length_mean")
    assert (first["total"] == first["rtg"]).all()
