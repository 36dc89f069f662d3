"""A command joins the study of its own problem: never another's by accident, always an earlier one of its own."""

from pathlib import Path

import pytest
import yaml

import pglab
from pglab.cli import compose_runs
from pglab.compose import CONF
from pglab.errors import InputError
from pglab.settings import DEFAULT_ENV, SHORT, folder_name
from pglab.studies.asked import earlier_names
from pglab.studies.plan import make_plan


def folder(*overrides: str) -> str:
    return make_plan(compose_runs(overrides)).folder.name


@pytest.mark.parametrize(
    ("overrides", "name"),
    [
        (["weighting=total,rtg"], "weighting"),
        (["env=frozenlake", "weighting=total,rtg"], "env=frozenlake,weighting"),
        (["env=toy_text", "env.id=Taxi-v4", "gamma=0.9"], "env.id=Taxi-v4,env=toy_text,gamma"),
        (["env.horizon=50", "weighting=rtg"], "env.horizon=50,weighting"),
        (["experiment=corridor_reinforce"], "env=corridor,experiment"),
        (["env=cartpole,frozenlake", "weighting=total,rtg"], "env,weighting"),
        (["env.horizon=50,100", "weighting=total,rtg"], "env.horizon,weighting"),
        (["env=frozenlake", "weighting=rtg", "study=mine"], "mine"),
    ],
)
def test_a_study_is_named_after_the_keys_that_were_set_and_its_problem(
    overrides: list[str], name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    assert folder(*overrides) == name


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("study=1_000", "study=1_000 is read as the number 1000; begin the name of a folder with a letter"),
        ("study=" + 128 * "é", "is too long: the name of a folder has room for 255 bytes"),
        (f"updates={2**63}", "must be at most 2^63 - 1"),
    ],
)
def test_what_no_folder_or_column_can_hold_is_refused(override: str, told: str):
    with pytest.raises(InputError) as refused:
        make_plan(compose_runs([override]))
    assert told in str(refused.value)


def test_a_study_may_be_called_by_a_number():
    assert folder("study=2024") == "2024"


def test_a_name_of_long_letters_is_cut_to_the_bytes_that_a_folder_has_room_for(tmp_path: Path):
    names = {folder_name([f"weighting={end * 100}"]) for end in ("重", "轻")}
    for name in names:
        (tmp_path / name).mkdir()
    assert len(names) == 2


def test_the_default_problem_is_that_of_conf():
    (env,) = [one["env"] for one in yaml.safe_load((CONF / "config.yaml").read_text())["defaults"] if "env" in one]
    assert env == DEFAULT_ENV


@pytest.mark.slow
def test_another_problem_is_another_study_and_an_earlier_study_of_this_one_goes_on(
    tmp_path: Path, tiny, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    corridor = [*tiny, "weighting=total,rtg", "evaluation.episodes=2"]
    earlier = earlier_names(compose_runs(corridor))[-1]  # as it was named before problems were part of names
    pglab.run([*corridor, "study=before"])
    Path("results/before").rename(Path("results") / earlier)
    assert "env=" not in earlier
    assert folder(*corridor) == earlier
    assert make_plan(compose_runs(corridor)).missing == 0
    elsewhere = make_plan(compose_runs([*corridor, "env=two_state_loop"]))
    assert elsewhere.folder.name == "batch,batch.episodes,env=two_state_loop,weighting"
    assert elsewhere.missing == 2


MANY = [
    *("env=corridor", "weighting=gae", "baseline=value", "batch=segments", "batch.lanes=4", "batch.steps=16"),
    *("reuse=epochs", "baseline.loss=huber", "baseline.clip=0.1", "baseline.optimizer.lr=0.01,0.02"),
    "estimator.clip_norm=1",
]


def test_a_long_name_says_every_key_and_problem_and_each_group_once():
    name = folder(*MANY)
    assert name == (
        "baseline,baseline.clip+loss,baseline.optimizer.lr,batch,batch.lanes+steps,env=corridor,estimator.clip_norm,reuse,weighting"
    )
    assert len(name) > SHORT
    others = [[*MANY, "estimator.entropy_bonus=0.1"], [*MANY, "gamma=0.9"], MANY[1:]]
    assert len({name, *(folder(*other) for other in others)}) == 1 + len(others)


@pytest.mark.slow
def test_a_study_whose_long_name_was_cut_by_an_earlier_version_goes_on(
    tmp_path: Path, tiny, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    asked = [*MANY, *(one for one in tiny if not one.startswith(("env", "batch"))), "updates=1"]
    now, (earlier, _) = folder(*asked), earlier_names(compose_runs(asked))
    assert len(earlier) == SHORT + len("-12345678")
    pglab.run([*asked, "study=before"])
    Path("results", "before").rename(Path("results", earlier))
    plan = make_plan(compose_runs(asked))
    assert (plan.folder.name, plan.missing) == (earlier, 0)
    assert folder(*asked, "gamma=0.5") != earlier  # none of its arms
    Path("results", earlier).rename(Path("results", now))
    plan = make_plan(compose_runs(asked))
    assert (plan.folder.name, plan.missing) == (now, 0)


@pytest.mark.slow
def test_a_refusal_of_what_is_stored_says_every_setting_of_an_arm_whose_folders_name_is_cut(
    tmp_path: Path, tiny, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    arm = [*(one for one in tiny if not one.startswith(("env", "batch"))), *MANY, "baseline.optimizer.lr=0.01"]
    pglab.run([*arm, "updates=2", "evaluation.episodes=1"])
    with pytest.raises(InputError) as refused:
        make_plan(compose_runs([*arm, "updates=1", "evaluation.episodes=1"]))
    for setting in ("env=corridor", "reuse=epochs", "weighting=gae", "baseline.optimizer.lr=0.01"):
        assert setting in str(refused.value)
