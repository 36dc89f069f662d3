"""Studies of steps other than the optimizer's: one set of bits however they are trained, and columns of their own."""

from pathlib import Path

import pytest

import pglab
from pglab.results import load

NUMBERS = ("updates.parquet", "evaluation.parquet", "policies.npz", "states.bin")


@pytest.mark.slow
def test_a_study_of_steps_has_the_same_bits_whole_and_continued_and_shows_its_steps(tmp_path: Path, contents):
    def train(folder: str, *overrides: str) -> dict[str, bytes]:
        pglab.run([
            "step=natural,trust_region", "surrogate=ratio", "optimizer=sgd", "seed=0,1", "env=corridor",
            "env.horizon=60", "batch.steps=100", "evaluation.episodes=4", "logger.mode=disabled", "study=s",
            f"results_dir={tmp_path / folder}", *overrides,
        ])  # fmt: skip
        found = contents(tmp_path / folder / "s")
        return {name: content for name, content in found.items() if name.endswith(NUMBERS)}

    whole = train("whole", "updates=4", "workers=2")
    train("parts", "updates=2", "workers=1", "fuse=false")
    assert train("parts", "updates=4", "workers=1") == whole
    frame = load(tmp_path / "whole" / "s")
    after = list(frame.columns).index("grad_norm") + 1
    assert set(frame.columns[after : after + 3]) == {"step_kl", "step_length", "step_backtracks"}
    natural = frame["step"] == "natural"
    assert (frame[["step_kl", "step_length"]] > 0).all(axis=None)
    assert frame.loc[natural, "step_backtracks"].isna().all()
    assert (frame.loc[~natural, "step_kl"] <= 0.01).all()
    assert frame.loc[~natural, "step_backtracks"].notna().all()
