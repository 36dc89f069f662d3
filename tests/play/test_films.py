"""`render_every=N` films policies while they learn, and changes no bit of what they learn."""

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pglab.cli import compose_runs
from pglab.play.command import main
from pglab.store.states import Saved
from pglab.studies import worker
from pglab.studies.messages import Check, Film, Job, Slice
from pglab.studies.plan import make_plan
from tests.play.conftest import RTG, SMALL, TOTAL
from tests.slow import first
from tests.studies.conftest import mirrored_run

COMMAND = ("weighting=total,rtg", "seed=4,7", *SMALL, "study=filmed")


class Kept:
    """A pipe's end that keeps what is sent."""

    def __init__(self) -> None:
        self.messages: list[Any] = []

    def send(self, message: object) -> None:
        self.messages.append(message)

    def poll(self) -> bool:
        """Nobody sends orders."""
        return False


def trained(filmed: int | None, *overrides: str) -> tuple[Any, list[Any]]:
    """What a worker sends last, and before, for seeds 4 and 7 of one arm."""
    (composed,) = compose_runs([*SMALL, "updates=6", *overrides])
    kept = Kept()
    done = worker._train(Job((Slice(0, composed.settings, Saved(0, [4, 7], {}), filmed),)), kept)  # type: ignore
    return done, kept.messages


def test_the_first_seed_of_each_arm_has_a_film_every_n_updates(training):
    done, study = training
    assert (done.returncode, done.stderr) == (0, "")
    for arm in (study / RTG, study / TOTAL):
        films = sorted(file.name for file in (arm / "videos").iterdir())
        assert films == ["seed=4,update=000001.gif", "seed=4,update=000002.gif"]
        assert len([*arm.iterdir()]) < 10


def test_the_mirror_has_a_film_in_the_row_of_its_update(filmed: Path):
    runs = {run.name: run for run in map(mirrored_run, filmed.glob("wandb/offline-run-*/run-*.wandb"))}
    for arm in (RTG, TOTAL):
        for seed, filmed_at in ((4, [1, 2]), (7, [])):
            rows = runs[f"{arm},seed={seed}"].history
            assert [row["update"] for row in rows] == [1, 2]
            assert [row["update"] for row in rows if "episode" in row] == filmed_at
    sent = {path.read_bytes() for path in filmed.glob("wandb/offline-run-*/files/media/videos/*.gif")}
    assert sent == {path.read_bytes() for path in filmed.glob("*/videos/*.gif")}


def test_the_last_film_is_what_playing_the_final_policy_shows(filmed: Path, tmp_path: Path, capsys):
    assert main([str(filmed), "arm=rtg", "--video", str(tmp_path / "film.gif")]) == 0
    last = filmed / RTG / "videos" / "seed=4,update=000002.gif"
    assert last.read_bytes() == (tmp_path / "film.gif").read_bytes()
    with Image.open(last) as film:
        assert f"({film.n_frames} pictures" in capsys.readouterr().out


def test_filming_changes_no_bit_of_training():
    filmed, messages = trained(4, "render_every=2")
    plain, others = trained(4, "render_every=0")
    assert [(film.seed, film.update, film.problem) for film in messages if isinstance(film, Film)] == [
        (4, 2, ""),
        (4, 4, ""),
        (4, 6, ""),
    ]
    assert not any(isinstance(message, Film) for message in others)
    for one, other in zip(filmed.results, plain.results, strict=True):
        assert one.parameters.keys() == other.parameters.keys()
        assert all(one.parameters[name].tobytes() == other.parameters[name].tobytes() for name in one.parameters)
        assert all(one.saved.state[name].tobytes() == other.saved.state[name].tobytes() for name in one.saved.state)
        assert all(one.evaluation[name].tobytes() == other.evaluation[name].tobytes() for name in one.evaluation)
    assert np.ptp(filmed.results[0].parameters["weight_1"], axis=0).any()


def test_films_show_the_same_beginning_and_another_policy():
    _, messages = trained(7, "render_every=3", "optimizer.lr=0.03")
    early, late = (Image.open(io.BytesIO(film.content)) for film in messages if isinstance(film, Film))
    with early, late:
        assert early.convert("RGB").tobytes() == late.convert("RGB").tobytes()
        for film in (early, late):
            film.seek(min(early.n_frames, late.n_frames) - 1)
        assert early.convert("RGB").tobytes() != late.convert("RGB").tobytes()


def test_an_environment_that_plays_itself_trains_on_undisturbed():
    own = ["env=gymnasium", "env.id=Acrobot-v1", "env.max_episode_steps=9", "updates=2"]
    filmed, messages = trained(4, *own, "render_every=1")
    plain, _ = trained(None, *own)
    assert sum(isinstance(message, Film) and bool(message.content) for message in messages) == 2
    (one,), (other,) = filmed.results, plain.results
    assert all(one.parameters[name].tobytes() == other.parameters[name].tobytes() for name in one.parameters)


def test_a_film_that_fails_costs_no_run(monkeypatch: pytest.MonkeyPatch):
    def fails(*_: object) -> bytes:
        raise RuntimeError("no paint left")

    monkeypatch.setattr("pglab.watching.camera.film", fails)
    done, messages = trained(4, "render_every=6")
    assert [film.problem for film in messages if isinstance(film, Film)] == ["RuntimeError: no paint left"]
    assert len(done.results) == 1


def test_a_world_that_cannot_be_filmed_is_refused_before_training():
    (composed,) = compose_runs(["env=corridor", "render_every=5"])
    problem = worker._check(Check((composed.settings,))).problem
    assert problem is not None
    assert problem.startswith("render_every=5: this environment has no picture; ")
    assert worker._check(Check(({**composed.settings, "render_every": 0},))).problem is None


@pytest.mark.parametrize("every", first(1, [0, 7]))
def test_films_can_be_turned_on_and_off_without_training_anything_anew(filmed: Path, every: int):
    composed = compose_runs([*COMMAND, f"render_every={every}", f"results_dir={filmed.parent}"])
    plan = make_plan(composed)
    assert (plan.missing, [len(arm.standing.done) for arm in plan.arms]) == (0, [2, 2])
    (filmed_arm, _) = plan.arms
    assert replace(filmed_arm.arm, composed=compose_runs([*COMMAND])[0]).identity == filmed_arm.arm.identity
