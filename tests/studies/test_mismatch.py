"""What is there was computed by other code: refused by default, and then as a person chooses."""

from pathlib import Path

import pytest

import pglab
from pglab.errors import InputError
from tests.studies.faults import GRID, abouts, calls, finished, put_watched, results

SWEEP = (*GRID, "weighting=first", "updates=4", "workers=1")


def edit(folder: Path) -> None:
    """Edits the user's own component, so that it gives other weights."""
    file = folder / "watched.py"
    file.write_text(file.read_text().replace("GeneralizedAdvantage(1.0,", "GeneralizedAdvantage(0.5,"))


def made_by(folder: Path) -> dict[str, list[int]]:
    ((_, about),) = abouts(folder / "results" / "s")
    assert len(about["provenance"]) == 1 + max(max(run["provenance"]) for run in about["runs"].values())
    return {seed: run["provenance"] for seed, run in about["runs"].items()}


@pytest.mark.slow
def test_an_edited_component_is_refused_kept_or_run_anew(command_line, tmp_path: Path, contents):
    folder = put_watched(tmp_path / "here")
    study = folder / "results" / "s"
    assert command_line([*SWEEP, "seed=0"], folder).returncode == 0
    first = results(study)
    edit(folder)
    before = contents(study)
    refused = command_line([*SWEEP, "seed=0,1"], folder)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "watched.py has changed" in refused.stderr
    assert all(choice in refused.stderr for choice in ("on_mismatch=rerun", "on_mismatch=keep", "study=NAME"))
    assert contents(study) == before

    kept = command_line([*SWEEP, "seed=0,1", "on_mismatch=keep"], folder)
    assert kept.returncode == 0
    assert "note:" in kept.stdout
    assert "what is there is kept, although watched.py has changed" in kept.stdout
    assert "Training 1 run " in kept.stdout
    assert made_by(folder) == {"0": [0], "1": [1]}

    so_far = len(calls(folder))
    edited = command_line([*SWEEP, "seed=0,1", "study=t"], folder)
    assert edited.returncode == 0
    assert len(calls(folder)) == so_far + 2 * 4
    put_watched(tmp_path / "original").joinpath("watched.py").replace(folder / "watched.py")
    anew = command_line([*SWEEP, "seed=0", "on_mismatch=rerun"], folder)
    assert anew.returncode == 0
    assert "trained anew, as watched.py has changed" in anew.stdout
    assert len(calls(folder)) == so_far + 3 * 4
    assert results(study) == first
    assert finished(study) == {("first", 0)}, "what the other code computed is thrown away"


def test_another_configuration_is_never_mixed_with_what_is_there(tmp_path: Path, tiny, contents):
    here = [*tiny, "study=s", f"results_dir={tmp_path}"]
    pglab.run([*here, "seed=0"])
    before = contents(tmp_path)
    other = [*here, "seed=0,1", "evaluation.episodes=3"]  # not in an arm's name, as if a default had changed
    for choice in ("refuse", "keep"):
        with pytest.raises(InputError, match=r"evaluation\.episodes was 100 there and is 3 here.*on_mismatch=rerun"):
            pglab.run([*other, f"on_mismatch={choice}"])
        assert contents(tmp_path) == before
    assert set(pglab.run([*other, "on_mismatch=rerun"])["seed"]) == {0, 1}


@pytest.mark.slow
def test_a_component_that_failed_at_once_can_be_mended_without_a_choice(command_line, tmp_path: Path):
    folder = put_watched(tmp_path / "here")
    (folder / "watched.py").write_text((folder / "watched.py").read_text().replace("(1.0, self.lam", "(1.0, self.lame"))
    command = [*SWEEP, "seed=0"]
    assert command_line(command, folder).returncode != 0
    put_watched(tmp_path / "original").joinpath("watched.py").replace(folder / "watched.py")
    done = command_line(command, folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert finished(folder / "results" / "s") == {("first", 0)}
