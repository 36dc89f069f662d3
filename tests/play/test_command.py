"""`python -m pglab.play` plays a stored policy, shows or films it, and says in one line what it cannot do."""

import os
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageSequence

from pglab.play.command import main
from pglab.play.stored import find_policy
from pglab.results.digits import plain
from pglab.settings import folder_name, naming
from pglab.store.encoding import encode
from pglab.store.lock import claimed
from pglab.store.sealed import seal
from pglab.store.states import Saved
from tests.play.conftest import RTG, TOTAL
from tests.results.edited import begin, edit
from tests.watching.mp4 import decoded_mp4


@pytest.fixture
def played(capsys: pytest.CaptureFixture[str]) -> Callable[..., list[str]]:
    """The lines that the command prints."""

    def play(*arguments: object) -> list[str]:
        assert main([str(argument) for argument in arguments]) == 0
        return capsys.readouterr().out.splitlines()

    return play


@pytest.fixture
def refusal(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """The one line with which it refuses."""

    def refuse(*arguments: object) -> str:
        assert main([str(argument) for argument in arguments]) == 2
        out, err = capsys.readouterr()
        assert err.startswith("error: ")
        assert (out, err.count("\n")) == ("", 1)
        return err

    return refuse


def lengths(lines: list[str]) -> list[int]:
    return [int(found[1]) for line in lines if (found := re.search(r"^episode .*, length (\d+) ", line))]


def test_episodes_and_their_mean_are_told(filmed: Path, played):
    told, *episodes, mean = played(filmed, "arm=rtg", "--episodes", 3)
    assert told == "rtg, seed 4: final policy, after 2 updates"
    found = [re.fullmatch(r"episode (\d): return (\d+), length (\d+) \(terminated\)", line) for line in episodes]
    assert [match[1] for match in found if match] == ["1", "2", "3"]
    assert all(match[2] == match[3] for match in found if match)
    average = plain(float(np.mean(lengths(episodes))))
    assert mean == f"mean of 3: return {average}, length {average}"
    assert played(filmed, "arm=rtg", "seed=4", "--episodes", 3) == [told, *episodes, mean]


def test_arms_and_seeds_play_policies_of_their_own(filmed: Path, played):
    runs = [(arm, seed) for arm in (RTG, TOTAL) for seed in (4, 7)]
    seen = [tuple(played(filmed, f"arm={arm}", f"seed={seed}", "--render", "ansi")) for arm, seed in runs]
    assert [lines[0].partition(":")[0] for lines in seen] == [
        f"{arm.rpartition('=')[2]}, seed {seed}" for arm, seed in runs
    ]
    assert len({lines[1] for lines in seen}) == 2  # a seed begins alike in both arms
    policies = [find_policy(filmed, arm, seed).parameters for arm, seed in runs]
    assert len({named["weight_1"].tobytes() for named in policies if isinstance(named, dict)}) == 4


@pytest.mark.parametrize("arm", [RTG, "rtg", "weighting=rtg", "weighting=rtg, env=cartpole_v0"])
def test_an_arm_is_known_by_its_name_its_short_name_and_what_only_it_has(filmed: Path, played, arm: str):
    assert played(filmed, f"arm={arm}")[0].startswith("rtg, seed 4: ")


def test_an_arm_with_a_long_name_is_known_by_what_differs_and_no_hash_is_shown(copied: Path, played, refusal):
    for arm in (RTG, TOTAL):
        alike = ["estimator.discount_states=false", "estimator.reduction=steps", "evaluation.episodes=1"]
        asked = [*arm.split(","), *alike, "network.activation=tanh", "optimizer.lr=0.01"]
        cut = folder_name(naming(asked))
        assert re.search(r"-[0-9a-f]{8}$", cut)
        edit(copied / arm, lambda about, cut=cut, asked=asked: about.update(arm=cut, overrides=asked))
        (copied / arm).rename(copied / cut)
    for arm in ("rtg", "weighting=rtg", "lr=0.01,weighting=rtg", "weighting=rtg, env=cartpole_v0"):
        assert played(copied, f"arm={arm}")[0].startswith("rtg, seed 4: ")
    assert refusal(copied).endswith("the study has 2 arms, name one of them: arm=total arm=rtg\n")
    assert "arm=lr=0.01 could be any of 2 arms, say more of it: arm=total arm=rtg" in refusal(copied, "arm=lr=0.01")


def test_the_folder_of_an_arm_leaves_nothing_to_choose(filmed: Path, played):
    assert played(filmed / TOTAL)[0].startswith(
        "env=cartpole_v0, weighting=total, batch=episodes, episodes=2, seed 4: "
    )


def test_greedy_is_another_policy_and_always_the_same(filmed: Path, played):
    sampled, greedy, again = (played(filmed, "arm=rtg", *way) for way in ([], ["--greedy"], ["--greedy"]))
    assert greedy == again
    assert greedy[1] != sampled[1]


def test_a_gif_has_a_picture_of_the_first_state_and_one_after_each_step(filmed: Path, played, tmp_path: Path):
    path = tmp_path / "two.gif"
    *episodes, _, _ = lines = played(filmed, "arm=rtg", "--video", path, "--episodes", 2)
    assert lines[-2] == f"Video: {path}   ({sum(lengths(episodes)) + 2} pictures, 50 a second)"
    with Image.open(path) as image:
        assert (image.n_frames, image.size) == (sum(lengths(episodes)) + 2, (600, 400))
        frames = [frame.convert("RGB").tobytes() for frame in ImageSequence.Iterator(image)]
    assert len(set(frames)) > image.n_frames / 2
    assert lengths(episodes) == lengths(played(filmed, "arm=rtg", "--episodes", 2))
    assert [file.name for file in tmp_path.iterdir()] == ["two.gif"]


def test_an_mp4_has_a_picture_of_the_first_state_and_one_after_each_step(filmed: Path, played, tmp_path: Path):
    pytest.importorskip("imageio_ffmpeg")
    path = tmp_path / "film.mp4"
    (length,) = lengths(played(filmed, "arm=rtg", "--video", path))
    frames = decoded_mp4(path, width=600, height=400)
    assert len(frames) == length + 1
    assert (frames[0] != frames[-1]).any()


def test_a_window_opens_where_there_is_a_screen(filmed: Path, played, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    assert played(filmed, "arm=rtg", "--render", "human") == played(filmed, "arm=rtg")


def test_a_world_without_pictures_is_shown_as_text(study: Path, played):
    lines = played(study, "arm=rtg", "--render", "ansi")
    assert lines[1] == "start: state 0"
    steps = [
        re.fullmatch(r"step (\d+): action [01], reward -1, state \d( \(seen as 0\))?", line) for line in lines[2:-1]
    ]
    assert [int(step[1]) for step in steps if step] == [*range(1, lengths(lines)[0] + 1)]
    assert lines[-1].startswith(f"episode 1: return -{len(steps)}, ")


def parameters(arm: Path, seed: int) -> np.ndarray:
    """A run's flat row, as a checkpoint has it."""
    with np.load(arm / "policies.npz") as policies:
        flat = np.concatenate([policies[name].ravel() for name in policies.files if name.startswith(f"{seed}/")])
    return np.pad(flat, (0, -len(flat) % 64))


def leave_checkpoint(arm: Path, seed: int, like: int, name: str = "checkpoint.bin") -> None:
    state = {"policy/parameters": parameters(arm, like)[None], "counters/update": np.array(5)}
    (arm / name).write_bytes(seal(encode([Saved(5, [seed], state)])))


def test_an_unfinished_run_plays_the_policy_of_its_checkpoint_and_says_so(copied: Path, played):
    arm = copied / RTG
    begin(arm, 9)
    leave_checkpoint(arm, 9, like=7)
    said = "rtg, seed 9: policy of its last checkpoint, at update 5 of 9 (the run is unfinished)"
    lines = played(copied, "arm=rtg", "seed=9", "--render", "ansi")
    assert lines[0] == said
    edit(arm, lambda about: about["runs"].pop("4"))
    assert played(copied, "arm=rtg")[0].startswith("rtg, seed 7: final policy")  # the first that there is
    with claimed(arm):
        assert played(copied, "arm=rtg", "seed=9")[0] == said.replace("is unfinished", "trains now")


def test_a_checkpoint_holds_the_policy_that_it_was_given(copied: Path, played):
    """Its flat row, read as a final policy's named parameters are: seed 4's policy on seed 4's streams."""
    final = played(copied, "arm=rtg", "seed=4", "--render", "ansi")
    leave_checkpoint(copied / RTG, 4, like=4)
    edit(copied / RTG, lambda about: about["runs"]["4"].update(status="running", updates=0))
    assert played(copied, "arm=rtg", "seed=4", "--render", "ansi")[1:] == final[1:]


def test_a_run_that_diverged_plays_what_it_was_before(copied: Path, played):
    edit(copied / RTG, lambda about: about["runs"]["4"].update(status="diverged"))
    assert played(copied, "arm=rtg")[0] == "rtg, seed 4: last policy before it diverged, at update 2"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "the study has 2 arms, name one of them: arm=total arm=rtg"),
        (["arm=weighting=gae"], "arm=weighting=gae is not in the study, which has arm=total arm=rtg"),
        (["arm=env=cartpole_v0"], "could be any of 2 arms"),
        (["arm=rtg", "seed=5"], "seed=5 of arm rtg is not there; there are seeds 4, 7"),
        (["arm=rtg", "seed=-1"], "seed=-1 must be a whole number"),
        (["arm=rtg", "arm=total"], "one run is played at a time"),
        (["arm=rtg", "update=3"], "update=3 is neither arm=NAME nor seed=N"),
        (["arm=rtg", "--episodes", "0"], "--episodes 0 must be at least 1"),
        (["arm=rtg", "--video", "film.avi"], "a video ends in .gif or .mp4"),
    ],
)
def test_what_cannot_be_played_is_one_line_and_status_2(filmed: Path, refusal, arguments: list[str], said: str):
    assert said in refusal(filmed, *arguments)


def test_a_place_without_a_study_or_with_several_is_refused(copied: Path, refusal, tmp_path: Path):
    assert "holds no study" in refusal(tmp_path / "nowhere")
    (copied / RTG).rename(copied.parent / "other")
    (copied.parent / "second").mkdir()
    (copied.parent / "other").rename(copied.parent / "second" / RTG)
    assert "holds several studies" in refusal(copied.parent)


def test_an_environment_without_pictures_is_not_filmed(study: Path, refusal, tmp_path: Path):
    said = refusal(study, "arm=rtg", "--video", tmp_path / "film.gif")
    assert "this environment has no picture; there are pictures of cartpole, " in said
    assert not (tmp_path / "film.gif").exists()


def test_a_window_without_a_screen_is_refused(filmed: Path, refusal, monkeypatch: pytest.MonkeyPatch):
    for name in ("SDL_VIDEODRIVER", "DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    assert "no screen" in refusal(filmed, "arm=rtg", "--render", "human")


def test_a_run_that_has_no_policy_yet_is_refused_with_those_that_have(copied: Path, refusal):
    begin(copied / RTG, 9)
    assert "seed=9 of arm rtg has no policy yet; there are seeds 4, 7" in refusal(copied, "arm=rtg", "seed=9")


@pytest.mark.parametrize("file", ["arm.json", "policies.npz"])
def test_a_damaged_file_is_refused_by_name(copied: Path, refusal, file: str):
    path = copied / RTG / file
    path.write_bytes(path.read_bytes()[:-9])
    assert f"{path} is damaged" in refusal(copied, "arm=rtg")


def test_a_damaged_checkpoint_is_said_to_be_and_the_one_before_it_used(copied: Path, refusal, capsys):
    arm = copied / RTG
    begin(arm, 9)
    (arm / "checkpoint.bin").write_bytes(b"torn")
    assert "checkpoint.bin is damaged" in refusal(copied, "arm=rtg", "seed=9")
    leave_checkpoint(arm, 9, like=7, name="checkpoint.previous.bin")
    assert main([str(copied), "arm=rtg", "seed=9"]) == 0
    out, err = capsys.readouterr()
    assert re.fullmatch(r"note: .*checkpoint\.bin is damaged.*; the checkpoint before it is used\n", err)
    assert "policy of its last checkpoint, at update 5" in out


def test_a_policy_of_another_network_is_refused(copied: Path, refusal):
    edit(copied / RTG, lambda about: about["identity"]["network"].update(sizes=[8]))
    assert "its code has changed since" in refusal(copied, "arm=rtg")


def test_playing_changes_no_file_of_the_study(copied: Path, played, contents, tmp_path: Path):
    before = contents(copied)
    played(copied, "arm=rtg", "--video", tmp_path / "film.gif")
    assert contents(copied) == before


def test_a_film_that_fails_leaves_what_was_there(
    filmed: Path, refusal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    path = tmp_path / "film.gif"
    path.write_bytes(b"earlier")

    def full(*_: object) -> None:
        raise OSError(28, os.strerror(28), str(path))

    monkeypatch.setattr("os.replace", full)
    assert main([str(filmed), "arm=rtg", "--video", str(path)]) == 2
    assert path.read_bytes() == b"earlier"
    assert [file.name for file in tmp_path.iterdir()] == ["film.gif"]
