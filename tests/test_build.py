"""Components that do not fit each other or the environment are refused before training."""

import copy
import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from pglab.build import check_components
from pglab.cli import compose_runs
from pglab.errors import InputError

CRITIC = ("weighting=gae", "baseline=value")
TOGETHER = ("baseline.fit=with_policy",)


@functools.cache
def composed(choices: tuple[str, ...]) -> Mapping[str, Any]:
    (one,) = compose_runs(choices)
    return one.settings


def settings_of(overrides: Sequence[str]) -> Mapping[str, Any]:
    """Settings with `overrides`; each choice of groups is composed only once, as that takes its time."""
    if any(override.startswith("baseline.") for override in overrides):  # repeated in weighting
        return composed(tuple(overrides))
    values = [override.lstrip("+").partition("=") for override in overrides]
    settings = copy.deepcopy(composed(tuple(f"{key}={value}" for key, _, value in values if "." not in key)))
    for key, _, value in values:
        *groups, name = key.split(".")
        if groups:
            group = functools.reduce(dict.__getitem__, groups, settings)
            group[name] = yaml.safe_load(value)
    return settings


def refusal(*overrides: str) -> str:
    """The one line with which the components of a configuration are refused."""
    with pytest.raises(InputError) as refused:
        check_components(settings_of(overrides))
    message = str(refused.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize(
    ("overrides", "named", "said"),
    [
        (["env=frozenlake", "head=sigmoid"], "head:", "2 actions"),
        (["env=frozenlake", "head=sigmoid_action_blind"], "head:", "2 actions"),
        (["env=pendulum"], "head:", "a softmax head needs actions that can be counted, Discrete(n)"),
        (["env=mountain_car_continuous", "head=sigmoid"], "head:", "actions that can be counted, Discrete(n)"),
        (["env=acrobot", "env.horizon=0"], "env ", "horizon=0"),
        (["network=tabular"], "network:", "discrete"),
        (["env=gymnasium", "env.id=Nonsense-v0"], "env ", "Nonsense-v0"),
        (["env=gymnasium", "env.id=no_such_module:Nonsense-v0"], "env ", "no_such_module"),
        (["env=gymnasium", "env.id=Pendulum-v1"], "head:", "for a head of numbers, such as head=gaussian"),
        (["env=cartpole", "head=beta"], "head:", "a Beta head needs actions that are numbers"),
        (["env=pendulum", "head=gaussian", "head.clip=mean"], "head ", "clip='mean' is not one of none, action"),
        (["env=gymnasium", "env.id=Blackjack-v1"], "env ", "only Box and Discrete are supported"),
        (["env=gymnasium", "+env.kwargs.nonsense=1"], "env ", "nonsense"),
        (["env=frozenlake", "env.map_name=5x5"], "env ", "map_name='5x5'"),
        (["env=corridor", "env.horizon=0"], "env ", "horizon=0"),
        (["env.horizon=-1"], "env ", "horizon=-1"),
        (["env=bandit", "env.means=[1]"], "env ", "means=[1]"),
        (["env=bandit", "env.means=[a,b]"], "env ", "means=['a', 'b']"),
        (["env=bandit", "env.noise=-1"], "env ", "noise=-1"),
        (["network.sizes=[0]"], "network ", "sizes=[0]"),
        (["network.activation=step"], "network ", "activation='step'"),
        (["batch.steps=0"], "batch ", "steps=0"),
        (["batch=episodes", "batch.episodes=0"], "batch ", "episodes=0"),
        (["+batch.episodes=2"], "batch ", "either steps or episodes"),
        (["weighting=gae", "weighting.lam=1.5"], "weighting ", "lam=1.5 is outside [0, 1]"),
        (["weighting=gae", "weighting.lam=-0.5"], "weighting ", "lam=-0.5 is outside [0, 1]"),
        (["weighting=baseline", "weighting.returns=none"], "weighting ", "returns='none'"),
        (["weighting._target_=no_such_module.Nonsense"], "weighting ", "no_such_module"),
        (["weighting._target_=pglab.algorithms.weightings.Nonsense"], "weighting ", "Nonsense"),
        (["weighting=baseline", "baseline=value", "baseline.fit_steps=0"], "weighting ", "fit_steps=0"),
        (["init=gaussian", "init.scale=-1"], "init ", "scale=-1"),
        (["init=uniform", "init.low=2"], "init ", "low=2"),
        (["init=fixed"], "init:", "which takes"),
        (["init=fixed", "init.values=[0,.nan]"], "init ", "finite"),
        (["env=testbed", "env.actions=1"], "env ", "actions=1"),
        (["env=testbed", "env.deviation=-1"], "env ", "deviation=-1"),
        (["estimator.reduction=none"], "estimator ", "reduction='none'"),
        (["estimator.truncation=cut"], "estimator ", "truncation='cut'"),
        (["estimator.entropy_bonus=-1"], "estimator ", "entropy_bonus=-1"),
        (["estimator.clip_norm=0"], "estimator ", "clip_norm=0"),
        (["estimator.clip_norm=much"], "estimator ", "clip_norm=much"),
        (["estimator.min_episode_length=-1"], "estimator ", "min_episode_length=-1"),
        (["diagnostics=gradient", "diagnostics.every=0"], "diagnostics ", "every=0"),
        (["optimizer.lr=-0.1"], "optimizer:", "-0.1"),
        (["optimizer=sgd", "optimizer.lr=-0.1"], "optimizer:", "-0.1"),
        (["optimizer._target_=torch.optim.Nonsense"], "optimizer ", "Nonsense"),
        (["optimizer._target_=torch.optim.LBFGS"], "optimizer:", "LBFGS"),
        (["optimizer._target_=torch.optim.Muon"], "optimizer:", "couples runs"),
        (["optimizer._target_=torch.optim.Adafactor"], "optimizer:", "couples runs"),
        (["surrogate=clip", "surrogate.clip=0"], "surrogate ", "clip=0"),
        (["surrogate=kl", "surrogate.beta=-1"], "surrogate ", "beta=-1"),
        (["surrogate=kl_adaptive", "surrogate.target=0"], "surrogate ", "target=0"),
        (["reuse=epochs", "reuse.epochs=0"], "reuse ", "epochs=0"),
        (["reuse=epochs", "reuse.stop_kl=0"], "reuse ", "stop_kl=0"),
        (["batch=segments", "batch.lanes=0"], "batch ", "lanes=0"),
        (["estimator.normalize=steps"], "estimator ", "normalize='steps'"),
        (["rewards=scaled", "rewards.clip=0"], "rewards ", "clip=0"),
        (["observations=normalized", "env=corridor"], "network:", "observations=normalized is for numbers"),
        (["batch=segments"], "batch=segments", "which a learned critic has to continue"),
        (["batch=segments", "weighting=total"], "batch=segments", "TotalReturn needs whole ones"),
        (["batch=segments", *CRITIC, "estimator.reduction=episodes"], "estimator.reduction=episodes", "whole episodes"),
        (
            ["batch=segments", *CRITIC, "estimator.discount_states=true"],
            "estimator.discount_states=true",
            "leave it off",
        ),
        (["batch=segments", *CRITIC, "reuse=epochs", "reuse.minibatches=3"], "reuse.minibatches=3", "4 × 128 = 512"),
        (["estimator.clip_together=true", "estimator.clip_norm=1"], "estimator.clip_together=true", "with_policy"),
        (["weighting=gae", "baseline=value", "baseline.loss=clipped"], "baseline.loss=clipped", "with_policy"),
        (["step=natural", "step.damping=-1"], "step ", "damping=-1"),
        (["step=natural", "step.iterations=0"], "step ", "iterations=0"),
        (["step=trust_region", "step.max_kl=0"], "step ", "max_kl=0"),
        (["step=trust_region", "step.shrink=1"], "step ", "shrink=1"),
        (["step=natural", "reuse=epochs"], "Natural makes one step", "choose reuse=once"),
        (["step=trust_region", "surrogate=clip", "reuse=epochs"], "TrustRegion makes one step", "choose reuse=once"),
        (["step=trust_region"], "TrustRegion compares the surrogate", "Surrogate is no value to compare: choose"),
        (["step=trust_region", "surrogate=kl"], "TrustRegion compares the surrogate", "KLPenalty is no value"),
        (
            ["step=natural", *CRITIC, *TOGETHER, "estimator.clip_together=true", "estimator.clip_norm=1"],
            "estimator.clip_together=true",
            "Natural makes another vector",
        ),
        (["step=natural", "step.exact=true"], "step.exact=true", "CartPole has none"),
        (
            ["step=natural", "step.exact=true", "env=corridor", "head=sigmoid_action_blind"],
            "step.exact",
            "no distribution",
        ),
        (
            ["step=natural", "step.exact=true", "env=corridor", "estimator.entropy_bonus=1"],
            "step.exact",
            "entropy_bonus",
        ),
        (["schedule=linear", "schedule.clip=true"], "schedule.clip=true", "such as surrogate=clip"),
    ],
    ids=lambda part: ",".join(part) if isinstance(part, list) else None,
)
def test_components_that_cannot_train_are_named_with_the_reason(overrides: list[str], named: str, said: str):
    message = refusal(*overrides)
    assert message.startswith(named)
    assert said in message


def test_the_critics_optimizer_is_checked_like_the_policys():
    critic = ["weighting=baseline", "baseline=value", "baseline.optimizer._target_=torch.optim.LBFGS"]
    assert refusal(*critic).startswith("baseline.optimizer:")


@pytest.mark.parametrize("overrides", [[], ["baseline=value"], ["weighting=gae", "baseline=leave_one_out"]])
def test_bootstrapping_needs_a_critic_that_the_weighting_uses(overrides: list[str]):
    assert refusal("estimator.truncation=bootstrap", *overrides).startswith("estimator.truncation=bootstrap")


def test_bootstrapping_with_a_critic_is_accepted():
    check_components(settings_of(["estimator.truncation=bootstrap", "baseline=value", "weighting=gae"]))


def test_a_weighting_with_another_discount_than_the_run_is_refused():
    said = "gamma=1.0 and weighting.gamma=0.5 differ, but there is one discount: set gamma=0.5"
    assert refusal("weighting=rtg", "weighting.gamma=0.5").startswith(said)


def test_a_critic_that_does_not_fit_the_observation_is_refused():
    message = refusal("weighting=baseline", "baseline=value_table")
    assert message.startswith("baseline: a tabular network needs a discrete observation")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device here")
def test_a_device_that_is_not_there_is_refused():
    assert refusal("device=cuda").startswith("device=cuda")


def test_a_users_file_that_cannot_be_imported_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "broken_weighting.py").write_text("raise RuntimeError('this file is broken')")
    monkeypatch.syspath_prepend(tmp_path)
    message = refusal("weighting._target_=broken_weighting.Own")
    assert message.startswith("weighting (broken_weighting.Own)")
    assert "this file is broken" in message


@pytest.mark.parametrize("optimizer", ["SGD", "Adam", "AdamW", "RMSprop", "Adagrad", "NAdam", "RAdam", "Adamax"])
def test_an_optimizer_that_keeps_rows_apart_is_accepted(optimizer: str):
    check_components(settings_of([f"optimizer._target_=torch.optim.{optimizer}"]))
