"""ViZDoom's scenarios: what a policy sees of them, games as functions of seed and actions, engines that end with us."""

import hashlib
import os
import re
import signal
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from pglab.envs.doom import DoomWorld
from pglab.play.command import main as play
from tests.conftest import ROOT
from tests.studies.faults import results, workers_of
from tests.waiting import until

pytestmark = pytest.mark.skipif(
    find_spec("vizdoom") is None and "CI" not in os.environ,
    reason='ViZDoom is not installed: pip install "pglab[doom]"',
)
NONE, ATTACK, RIGHT, LEFT = range(4)
PRESSED = {NONE: [0, 0, 0], ATTACK: [0, 0, 1], RIGHT: [0, 1, 0], LEFT: [1, 0, 0]}  # of the scenario's three buttons


def some(count, seed=0):
    return np.random.default_rng(seed).integers(4, size=count).tolist()


def played(env, seed, actions):
    """All observations, and of each step the reward and how the episode ended."""
    seen, told = [env.reset(seed=seed)[0]], []
    for action in actions:
        observation, *step, _ = env.step(action)
        seen.append(observation)
        told.append(step)
        if any(step[1:]):
            break
    return np.stack(seen), told


def plainly(seed, actions, folder):
    """Screens `[T, 120, 160, 3]` and rewards of a game that is played by nothing but ViZDoom."""
    import vizdoom

    game = vizdoom.DoomGame()
    game.load_config(os.path.join(vizdoom.scenarios_path, "basic.cfg"))
    game.set_doom_config_path(str(folder / "engine.ini"))
    game.add_game_args("+movebob 0")
    game.set_window_visible(False)
    game.set_screen_resolution(vizdoom.ScreenResolution.RES_160X120)
    game.set_screen_format(vizdoom.ScreenFormat.RGB24)
    game.set_seed(int(np.random.default_rng(seed).integers(2**32, dtype=np.uint32)))  # as Gymnasium draws it
    game.init()
    screens, rewards = [game.get_state().screen_buffer], []
    for action in actions:
        rewards.append(game.make_action(PRESSED[action], 4))
        if game.is_episode_finished():
            break
        screens.append(game.get_state().screen_buffer)
    game.close()
    return np.stack(screens), rewards


def test_what_is_seen_is_what_vizdoom_draws(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    actions = [*some(30), *[NONE] * 70]
    screens, rewards = plainly(5, actions, tmp_path)
    world = DoomWorld("Basic", crop=[40, 120], size=None, grey=False, stack=1)
    seen, told = played(world.make(), 5, actions)
    assert [reward for reward, *_ in told] == rewards
    assert (world.observation.axes, world.observation.dtype) == ((3, 80, 160), torch.uint8)
    assert len(screens) == 75
    assert np.array_equal(seen[:75], np.moveaxis(screens[:, 40:], -1, 1))
    assert np.array_equal(seen[75], seen[74])
    assert told[-1][1:] == [False, True]
    drawing = DoomWorld("Basic", size=[30, 45]).drawing("rgb_array")
    assert drawing.fps == 35 / 4
    state = drawing.world.reset(torch.full((1, 1, 1), 5 / 2**32, dtype=torch.float64))
    for t, action in enumerate(actions[:20]):
        assert np.array_equal(drawing.picture(state, None), screens[t])
        state = drawing.world.step(state, torch.tensor([[action]]), torch.empty(1, 1, 0)).state
    drawing.close()
    world = DoomWorld("Basic", size=[60, 80], crop=[0, 120, 80, 160])
    small, _ = played(world.make(), 5, actions[:8])
    assert world.observation.axes == (4, 60, 80)
    brightness = screens[:9, :, 80:].reshape(9, 60, 2, 80, 3).mean(2) @ [0.299, 0.587, 0.114]
    for t, stacked in enumerate(small):
        for back, picture in enumerate(stacked[::-1]):
            assert np.abs(picture - brightness[max(t - back, 0)]).max() < 2


def test_an_episode_ends_where_the_monster_is_shot_and_is_cut_where_time_runs_out():
    env = DoomWorld("Basic", size=[30, 45], stack=1, buttons=[ATTACK]).make()
    ends = {tuple(played(env, seed, [0] * 75)[1][-1][1:]) for seed in range(6)}
    assert ends == {(True, False), (False, True)}
    assert played(DoomWorld("Basic", max_episode_steps=3).make(), 0, [NONE] * 9)[1][-1][1:] == [False, True]


PROGRAM = """
import hashlib, sys
from pglab.envs.doom import DoomWorld
print("vizdoom" in sys.modules or "pygame" in sys.modules)
env, hashed = DoomWorld("Basic").make(), hashlib.sha256()
hashed.update(env.reset(seed=3)[0])
for action in map(int, sys.argv[1:]):
    hashed.update(env.step(action)[0])
print(hashed.hexdigest(), flush=True)
input()
"""


def engines_of(process):
    """The engines that a process has begun, each in a thread of its own."""
    found = [children.read_text().split() for children in Path(f"/proc/{process}/task").glob("*/children")]
    return [Path(f"/proc/{engine}") for engines in found for engine in engines]


def test_a_game_is_the_same_after_others_and_in_another_process_whose_engine_ends_with_it(tmp_path):
    actions = [ATTACK, ATTACK, LEFT, ATTACK, LEFT, RIGHT, RIGHT, *some(20)]
    env = DoomWorld("Basic").make()
    played(env, 1, some(75))
    played(env, 9, [RIGHT] * 10)  # and nobody plays on
    own, _ = played(env, 3, actions)
    assert len(own) == 28
    command = [sys.executable, "-c", PROGRAM, *map(str, actions)]
    with subprocess.Popen(
        command, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout
        early, found = (process.stdout.readline().strip() for _ in range(2))
        assert (early, found) == ("False", hashlib.sha256(own.tobytes()).hexdigest())
        if sys.platform == "linux":
            (engine,) = engines_of(process.pid)
            given = (engine / "cmdline").read_text().split("\0")
            shared = f"ViZDoom*{given[given.index('+viz_instance_id') + 1]}"
        process.kill()
        if sys.platform == "linux":
            assert until(lambda: not engine.exists())
            assert not [*Path("/dev/shm").glob(shared)]
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"id": "Base"}, "id=Base is no game; there are Basic, "),
        ({"id": "Deathmatch"}, "only Discrete and Box action spaces are supported"),
        ({"frame_skip": 0}, "frame_skip=0 must be at least 1"),
        ({"stack": 0}, "stack=0 must be at least 1"),
        ({"together": 0}, "together=0 must be at least 1"),
        ({"screen": [84, 84]}, r"screen=\[84, 84\] is not one of \[120, 160\], "),
        ({"size": [84]}, r"size=\[84\] must be a height and a width"),
        ({"crop": [0, 121]}, r"crop=\[0, 121\] must be rows from and to"),
        ({"crop": [0, 120, 9, 9]}, "within"),
        ({"crop": [1, 2, 3]}, "within"),
        ({"buttons": [4]}, r"buttons=\[4\] must be some of \[0, 1, 2, 3\]: none, ATTACK, MOVE_RIGHT, MOVE_LEFT"),
    ],
)
def test_settings_that_are_not_allowed_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        DoomWorld(**{"id": "Basic", **settings})


def test_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "vizdoom", None)
    with pytest.raises(ValueError, match=r'pip install "pglab\[doom\]"'):
        DoomWorld("Basic")


QUICK = ("workers=1", "evaluation.episodes=2", "logger.mode=disabled", "study=s")
WAYS = {
    "episodes": ("experiment=doom_basic", "batch.steps=60", "updates=12", *QUICK),
    # The end of a batch cuts games that the next one goes on with.
    "segments": ("experiment=doom_defend", "batch.lanes=3", "batch.steps=8", "updates=12", *QUICK),
}


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
def test_runs_that_are_killed_have_the_bits_that_they_have_alone_and_are_filmed(way, command_line, tmp_path, capsys):
    apart, together = tmp_path / "apart", tmp_path / "together"
    for folder in (apart, together):
        folder.mkdir()
    for seed in (0, 1):
        assert command_line([*WAYS[way], f"seed={seed}"], apart).returncode == 0
    states = together / "results" / "s"
    with command_line.started([*WAYS[way], "seeds=2"], together) as process:
        assert until(lambda: [*states.glob("*/states.bin")], process)
        engines = [engine for worker in workers_of(process.pid) for engine in engines_of(worker)]
        os.killpg(process.pid, signal.SIGKILL)
    assert engines
    assert until(lambda: not any(engine.exists() for engine in engines))
    assert command_line([*WAYS[way], "seeds=2"], together).returncode == 0
    assert results(together / "results" / "s") == results(apart / "results" / "s")
    assert play([str(states), "--video", str(tmp_path / "film.gif")]) == 0
    pictures = re.search(r"\((\d+) pictures, 8.75 a second", capsys.readouterr().out)
    with Image.open(tmp_path / "film.gif") as film:
        assert pictures
        assert (film.n_frames, film.size) == (int(pictures[1]), (160, 120))
