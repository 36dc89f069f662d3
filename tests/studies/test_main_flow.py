"""The main flow through the real command line: train, look, continue."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

import pglab
from pglab.cli import compose_runs
from pglab.errors import InputError
from pglab.results import load, load_evaluation, summarize
from pglab.results.digits import with_interval
from pglab.studies import train
from pglab.studies.plan import make_plan

SWEEP = ("-m", "weighting=total,rtg", "study=small")
FILES = {"states.bin", "lock", "arm.json", "config.yaml", "updates.parquet", "evaluation.parquet", "policies.npz"}


def about(arm: Path) -> dict:
    return json.loads((arm / "arm.json").read_text())


def rows(study: Path, seeds: list[int]) -> pd.DataFrame:
    frame = load(study)
    return frame[frame["seed"].isin(seeds)].reset_index(drop=True)


def test_the_command_ends_with_status_0_and_nothing_on_stderr(main_flow):
    done, _ = main_flow
    assert done.returncode == 0
    assert done.stderr == ""


def test_the_table_has_a_line_for_each_arm_with_its_score_and_steps(main_flow, study: Path):
    lines = main_flow[0].stdout.splitlines()
    (header,) = (line for line in lines if line.split()[:2] == ["arm", "seeds"])
    names = "".join(line[: header.index("seeds")].strip() for line in lines)
    for row in summarize(load(study), load_evaluation(study)).to_dict("records"):
        assert row["arm"].rpartition("weighting=")[2] in names
        score, interval = with_interval(row["score"], row["low"], row["high"])
        cells = f" 3 {score} {interval} {row['env_steps']:,} 0"
        assert any(" ".join(line.split()).endswith(cells) for line in lines)


def test_the_last_line_says_how_to_read_the_results(main_flow, study: Path, monkeypatch: pytest.MonkeyPatch):
    done, folder = main_flow
    monkeypatch.chdir(folder)
    path = re.search(r"pglab\.results\.load\('(.*)'\)", done.stdout)
    assert path
    pd.testing.assert_frame_equal(load(path[1]), load(study))


def test_every_arm_has_its_files_and_there_are_no_others(main_flow, study: Path):
    _, folder = main_flow
    assert {path.name for path in folder.iterdir()} == {"results"}
    assert {path.name for path in study.parent.iterdir()} == {"small"}
    arms = list(study.iterdir())
    assert len(arms) == 2
    for arm in arms:
        assert {path.name for path in arm.iterdir()} == FILES


def test_config_yaml_is_the_resolved_configuration(study: Path, tiny):
    for composed in compose_runs([*SWEEP[1:], *tiny, "workers=2"]):
        (arm,) = study.glob(f"*weighting={composed.choices['weighting']}")
        assert yaml.safe_load((arm / "config.yaml").read_text()) == composed.settings
        assert "${" not in (arm / "config.yaml").read_text()


def test_arm_json_has_the_status_of_each_seed_and_what_computed_it(study: Path):
    for arm in study.iterdir():
        said = about(arm)
        assert list(said["runs"]) == ["0", "1", "2"]
        for run in said["runs"].values():
            assert (run["status"], run["updates"], run["asked"], run["provenance"]) == ("finished", 2, 2, [0])
        assert said["arm"] == arm.name
        assert {"pglab", "torch", "numpy", "python"} <= said["versions"].keys()


def test_policies_have_the_parameters_of_each_seed_and_need_no_pickle(study: Path):
    for arm in study.iterdir():
        with np.load(arm / "policies.npz", allow_pickle=False) as policies:
            shapes = {name: policies[name].shape for name in policies.files}
            assert {name.partition("/")[0] for name in shapes} == {"0", "1", "2"}
            assert all(np.isfinite(policies[name]).all() for name in policies.files)
        of_seed = [{n.partition("/")[2]: s for n, s in shapes.items() if n.startswith(f"{seed}/")} for seed in range(3)]
        assert of_seed[0] == of_seed[1] == of_seed[2] != {}


def test_the_same_command_again_trains_nothing_and_leaves_every_byte(
    command_line, copied_study, tmp_path, tiny, contents
):
    before = contents(copied_study)
    done = command_line([*SWEEP, "seed=0,1,2", *tiny], tmp_path)
    assert done.returncode == 0
    assert "kept as they are: 6 of 6 runs" in done.stdout
    assert "Training" not in done.stdout
    assert contents(copied_study) == before


def test_another_seed_leaves_the_finished_rows_as_they_are(command_line, copied_study: Path, tmp_path: Path, tiny):
    before = rows(copied_study, [0, 1, 2])
    evaluated = load_evaluation(copied_study)
    done = command_line([*SWEEP, "seed=0,1,2,3", *tiny], tmp_path)
    assert done.returncode == 0
    assert "Training 2 runs (2 arms" in done.stdout
    pd.testing.assert_frame_equal(rows(copied_study, [0, 1, 2]), before)
    after = load_evaluation(copied_study)
    pd.testing.assert_frame_equal(after[after["seed"] != 3].reset_index(drop=True), evaluated)
    assert len(rows(copied_study, [3])) == 4
    for arm in copied_study.iterdir():
        with np.load(arm / "policies.npz", allow_pickle=False) as policies:
            assert {name.partition("/")[0] for name in policies.files} == {"0", "1", "2", "3"}


@pytest.mark.filterwarnings("ignore::pglab.results.IncompleteStudy")
def test_more_updates_continue_the_same_sequence_of_numbers(copied_study: Path, tiny):
    before = load(copied_study)
    here = [*tiny, "study=small", f"results_dir={copied_study.parent}"]
    longer = pglab.run(["weighting=rtg", "seed=0,1", *here, "updates=3"])
    assert longer.groupby("seed")["update"].apply(list).to_dict() == {0: [1, 2, 3], 1: [1, 2, 3]}
    first_two = longer[longer["update"] <= 2].reset_index(drop=True)
    same = before[(before["weighting"] == "rtg") & (before["seed"] <= 1)].reset_index(drop=True)
    pd.testing.assert_frame_equal(first_two, same)
    untouched = load(copied_study)
    assert (untouched[untouched["weighting"] == "total"]["update"] <= 2).all()


def test_only_what_is_missing_is_planned(copied_study: Path, tiny):
    here = [*tiny, "study=small", f"results_dir={copied_study.parent}"]
    plan = make_plan(compose_runs(["weighting=rtg", "seed=4,1,3,2", *here]))
    assert plan.arms[0].standing.done == (1, 2)
    assert [seeds for shard in plan.shards for _, seeds in shard.arms] == [[4, 3]]


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("updates=1", "holds seed 0 with 2 updates, more than updates=1"),
        ("evaluation.episodes=7", "evaluation.episodes was 100 there and is 7 here"),
    ],
)
def test_a_command_that_does_not_match_what_is_on_disk_is_refused(copied_study: Path, tiny, contents, override, said):
    before = contents(copied_study)
    with pytest.raises(InputError, match=re.escape(said)):
        pglab.run(["weighting=rtg", *tiny, override, "study=small", f"results_dir={copied_study.parent}"])
    assert contents(copied_study) == before


def test_an_arm_whose_defaults_have_changed_since_is_refused_with_the_difference(copied_study: Path, tiny):
    (arm,) = copied_study.glob("*weighting=rtg")
    stored = about(arm)
    del stored["checksum"]
    stored["identity"]["optimizer"]["lr"] = 0.02  # as if conf/optimizer/adam.yaml had said so then
    (arm / "arm.json").write_text(json.dumps(stored))
    with pytest.raises(InputError, match=r"optimizer\.lr was 0\.02 there and is 0\.01 here"):
        pglab.run(["weighting=rtg", *tiny, "study=small", f"results_dir={copied_study.parent}"])


def test_a_command_reads_what_it_trained_once_for_its_table_and_its_objective(
    tmp_path: Path, tiny, monkeypatch: pytest.MonkeyPatch
):
    read: list[str] = []

    def counted(name: str) -> Callable[..., pd.DataFrame]:
        def reading(*given: Any) -> pd.DataFrame:
            read.append(name)
            return getattr(pglab.results, name)(*given)

        return reading

    for name in ("load", "load_evaluation"):
        monkeypatch.setattr(train, name, counted(name))
    trained = train.train(compose_runs([*tiny, f"results_dir={tmp_path}", "evaluation.episodes=3"]))
    assert trained.objective() == pytest.approx(load_evaluation(tmp_path)["return"].mean())
    assert sorted(read) == ["load", "load_evaluation"]
