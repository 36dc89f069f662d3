"""How the work is shared out changes no bit of what is stored."""

from pathlib import Path

import numpy as np
import pytest

import pglab

SWEEP = ("weighting=rtg,baseline", "baseline=value", "seed=0,1,2", "evaluation.episodes=5")
NUMBERS = ("updates.parquet", "evaluation.parquet", "policies.npz")


def trained(results: Path, tiny: tuple[str, ...], *how: str) -> Path:
    pglab.run([*tiny, *SWEEP, *how, "study=same", f"results_dir={results}"])
    return results / "same"


@pytest.fixture(scope="module")
def fused(tmp_path_factory: pytest.TempPathFactory, tiny) -> Path:
    """Six runs of two arms in one process, as one bundle."""
    return trained(tmp_path_factory.mktemp("fused"), tiny, "workers=1")


@pytest.mark.parametrize("how", [["workers=2"], ["workers=2", "fuse=false"]], ids=str)
def test_files_are_the_same_for_any_workers_fused_or_not(fused: Path, tmp_path: Path, tiny, contents, how: list[str]):
    here, there = contents(trained(tmp_path, tiny, *how)), contents(fused)
    assert here.keys() == there.keys()
    numbers = [name for name in there if name.endswith(NUMBERS)]
    assert len(numbers) == 2 * len(NUMBERS)
    assert [name for name in numbers if here[name] != there[name]] == []


def test_the_files_compared_hold_different_numbers_for_each_run(fused: Path):
    parameters = []
    for arm in fused.iterdir():
        with np.load(arm / "policies.npz", allow_pickle=False) as policies:
            parameters += [policies[name].tobytes() for name in policies.files if policies[name].ndim == 2]
    assert len(parameters) == 2 * 3 * 2
    assert len(set(parameters)) == len(parameters)
