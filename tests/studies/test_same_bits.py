"""How the work is shared out changes no bit of what is stored."""

from pathlib import Path

import numpy as np
import pytest

import pglab

NUMBERS = ("updates.parquet", "evaluation.parquet", "policies.npz")


@pytest.mark.parametrize("how", [["workers=1"], ["workers=2", "fuse=false"]], ids=" ".join)
def test_files_are_the_same_as_of_two_workers_with_fused_runs(
    study: Path, tmp_path: Path, tiny, contents, how: list[str]
):
    pglab.run(["weighting=total,rtg", "seed=0,1,2", *tiny, *how, "study=small", f"results_dir={tmp_path}"])
    here, there = contents(tmp_path / "small"), contents(study)
    assert here.keys() == there.keys()
    numbers = [name for name in there if name.endswith(NUMBERS)]
    assert len(numbers) == 2 * len(NUMBERS)
    assert [name for name in numbers if here[name] != there[name]] == []


def test_the_files_compared_hold_different_numbers_for_each_run(study: Path):
    parameters = []
    for arm in study.iterdir():
        with np.load(arm / "policies.npz", allow_pickle=False) as policies:
            parameters += [policies[name].tobytes() for name in policies.files if policies[name].ndim == 2]
    assert len(parameters) == 2 * 3 * 2
    assert len(set(parameters)) == len(parameters)
