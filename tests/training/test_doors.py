"""Objective, update rule and player: each door filled with another part than the built-in one."""

from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar

import numpy as np
import pytest
import torch

from pglab.algorithms import weightings as w
from pglab.algorithms.objectives import Surrogate
from pglab.envs.finite import corridor
from pglab.models.networks import Tabular
from pglab.models.parameters import Zeros
from pglab.training.arm import BatchSize
from pglab.training.bundle import Bundle
from pglab.training.diagnostics import GradientDiagnostics
from pglab.training.episodes import Episodes
from pglab.training.rollout import Waves
from tests.training.outcome import policies, rows_of

SGD = torch.optim.SGD


@dataclass(frozen=True)
class Ratio:
    """-Ψ π(a|s) / π_old(a|s), clipped to 1 ± ε from the side that Ψ pushes to (Schulman et al. 2017, eq. 7)."""

    clip: float = 0.2
    uses_old_log_prob: ClassVar[bool] = True

    def __call__(self, seen):
        ratio = (seen.log_prob - seen.old_log_prob).exp()
        return -torch.minimum(ratio * seen.psi, ratio.clamp(1 - self.clip, 1 + self.clip) * seen.psi)


@dataclass(frozen=True)
class Squared:
    """(log π)² Ψ: no estimate of anything, but not the built-in loss."""

    def __call__(self, seen):
        assert seen.old_log_prob is None  # costs nothing where it is not asked for
        return seen.log_prob.square() * seen.psi


@dataclass(frozen=True)
class Epochs:
    """Several steps on one batch."""

    number: int

    def __call__(self, lesson):
        shown = lesson.estimate()
        lesson.step(shown)
        for _ in range(self.number - 1):
            lesson.step(lesson.estimate())
        return shown


def mixed_arms(make_arm, seeds):
    plain = {"seeds": seeds, "optimizer": partial(SGD, lr=0.05), "batch": BatchSize(episodes=12)}
    return [
        make_arm(**plain),
        make_arm(**plain, objective=Ratio(), rule=Epochs(3)),
        make_arm(**plain, objective=Squared()),
        make_arm(**plain, objective=Ratio(0.05), rule=Epochs(3)),
        make_arm(**plain, weighting=w.TotalReturn(1.0)),
    ]


def test_arms_with_other_objectives_and_rules_keep_their_bits_in_one_bundle(make_arm, make_shapes, train):
    together = train(make_shapes(), mixed_arms(make_arm, [3, 1]))
    for number in range(5):
        alone = train(make_shapes(), [mixed_arms(make_arm, [1])[number]])
        assert rows_of(together, number, 1) == rows_of(alone, 0, 0)
        own = {name: array[1:].tobytes() for name, array in together.parameters()[number].items()}
        assert own == policies(alone, 0)
    assert len({tuple(policies(together, number).values()) for number in range(5)}) == 5


def test_what_is_measured_follows_the_arms_own_objective(make_arm, make_shapes):
    def variances(arms):
        measured = Bundle(make_shapes(), arms, GradientDiagnostics(every=1)).step()
        return [measures.grad_variance.tolist() for _, measures in measured]

    together = variances(mixed_arms(make_arm, [3, 1]))
    assert together == [variances([arm])[0] for arm in mixed_arms(make_arm, [3, 1])]
    assert together[0] == pytest.approx(together[1])  # the first gradient of the ratio is that of log π
    assert together[0] != pytest.approx(together[2])


def test_the_first_step_of_the_ratio_is_that_of_the_surrogate(make_arm, make_shapes, train):
    one = {"updates": 1, "optimizer": partial(SGD, lr=0.05)}
    plain, ratio = train(make_shapes(), [make_arm(**one), make_arm(**one, objective=Ratio())]).parameters()
    for name in plain:
        np.testing.assert_allclose(ratio[name], plain[name], rtol=1e-5, atol=1e-7)


def test_a_rule_of_two_steps_takes_the_second_from_where_the_first_led(make_arm, make_shapes, train):
    # Tabular bandit-like corridor step by hand: θ ← θ - lr ∇L(θ) twice, L = -(1/n) Σ Ψ log π.
    rate, shapes = 0.1, make_shapes(world=corridor(4), network=Tabular())
    arm = make_arm(
        init=Zeros(), rule=Epochs(2), updates=1, optimizer=partial(SGD, lr=rate), batch=BatchSize(episodes=5)
    )
    batch = []
    watched = replace(shapes, player=lambda *given: batch.append(shapes.player(*given)) or batch[-1])
    theta = torch.from_numpy(train(watched, [arm]).parameters()[0]["weight"][0, :, 0]).double()
    (played,) = batch
    action = played.action[:-1]
    psi = torch.cat([-torch.arange(n, 0, -1.0) for n in played.length.tolist()]).double() / len(action)
    by_hand = torch.zeros(2, dtype=torch.float64)
    for _ in range(2):
        score = torch.nn.functional.one_hot(action, 2) - by_hand.softmax(0)
        by_hand = by_hand + rate * (psi[:, None] * score).sum(0)
    torch.testing.assert_close(theta, by_hand, rtol=1e-5, atol=1e-6)


def test_a_run_that_diverges_in_a_later_step_stays_where_it_was(make_arm, make_shapes, train):
    def lethal(scale):
        return make_arm(rule=Epochs(4), optimizer=partial(SGD, lr=scale), updates=2, seeds=[0, 1])

    sane, wild = lethal(0.05), lethal(1e37)
    bundle = train(make_shapes(), [wild, sane])
    assert bundle.history[0][0].diverged.all()
    assert len(bundle.history[0]) == 1
    assert all(np.isfinite(array).all() for array in bundle.parameters()[0].values())
    assert policies(bundle, 1) == policies(train(make_shapes(), [sane]), 0)


@dataclass(frozen=True)
class Likelihood:
    """log π of each step, whatever Ψ: not zero for a step of padding."""

    def __call__(self, seen):
        return seen.log_prob


def test_a_step_of_padding_has_no_loss(make_arm, make_shapes, train):
    arm = make_arm(objective=Likelihood(), init=Zeros(), updates=1, seeds=[0, 1])
    ((measures,),) = train(make_shapes(), [arm]).history
    assert measures.loss == pytest.approx(-np.log(2.0) * measures.env_steps, rel=1e-5)


def test_an_arm_that_has_ended_keeps_its_state_to_the_last_bit_while_others_train(make_arm, make_shapes):
    short, long = make_arm(updates=1), make_arm(updates=4, weighting=w.TotalReturn(1.0))
    bundle = Bundle(make_shapes(), [short, long])
    bundle.step()
    before = bundle.state()[0]
    while not bundle.finished:
        bundle.step()
    after = bundle.state()[0]
    assert before.keys() == after.keys() >= {"policy/parameters", "policy/step", "counters/update"}
    assert all(torch.equal(before[name].nan_to_num(), after[name].nan_to_num()) for name in before)


@dataclass(frozen=True)
class OneAfterAnother:
    """Plays the runs apart from each other and packs them in order."""

    lanes: int

    def __call__(self, world, policy, parameters, streams, target, expected_length):
        parts = []
        for run in target.unmet(np.zeros(len(parameters)), np.zeros(len(parameters))):
            only = np.arange(len(parameters)) == run
            own = replace(target, steps=target.steps * only, episodes=target.episodes * only)
            parts.append(Waves(self.lanes)(world, policy, parameters, streams, own, expected_length))

        def packed(name):
            return torch.cat([getattr(part, name)[:-1] for part in parts] + [getattr(parts[0], name)[-1:]])

        joined = {name: np.concatenate([getattr(part, name) for part in parts])
                  for name in ("run", "length", "terminated", "truncated")}  # fmt: skip
        last = torch.cat([part.last_obs for part in parts])
        return Episodes(**joined, last_obs=last, obs=packed("obs"), action=packed("action"), reward=packed("reward"))


@dataclass(frozen=True)
class FixedLength:
    """A step of given length down the gradient, whatever the optimizer."""

    length: float
    columns: ClassVar[tuple[str, ...]] = ("slope",)

    def __call__(self, lesson, estimate, may_change):
        slope = estimate.gradient.norm(dim=-1)
        lesson.parameters[may_change] -= (self.length / slope[:, None] * estimate.gradient)[may_change]
        lesson.note(may_change, slope=slope)
        return may_change


def test_a_step_rule_of_ones_own_changes_parameters_and_shows_what_it_measured(make_arm, make_shapes, train):
    def arms(seeds):
        return [make_arm(seeds=seeds, updates=1), make_arm(seeds=seeds, updates=1, step_rule=FixedLength(0.25))]

    bundle = Bundle(make_shapes(), arms([3, 1]))
    before = bundle._runs.parameters.clone()
    (_, plain), (_, own) = bundle.step()
    assert (bundle._runs.parameters - before)[2:].norm(dim=-1).tolist() == pytest.approx([0.25, 0.25], rel=1e-4)
    assert own.columns()["slope"].tolist() == pytest.approx(own.grad_norm.tolist())
    assert own.columns().keys() - plain.columns().keys() == {"slope"}
    assert policies(train(make_shapes(), arms([1])[1:]), 0) == {
        name: array[1:].tobytes() for name, array in bundle.parameters()[1].items()
    }


def test_another_player_gives_the_same_runs(make_arm, make_shapes, train):
    arms = [make_arm(seeds=[0, 5]), make_arm(seeds=[2], weighting=w.TotalReturn(1.0), updates=5)]
    waves, apart = (train(make_shapes(player=player), arms) for player in (Waves(32), OneAfterAnother(96)))
    for number, arm in enumerate(arms):
        assert policies(waves, number) == policies(apart, number)
        for row in range(len(arm.seeds)):
            assert rows_of(waves, number, row) == rows_of(apart, number, row)
    assert waves.evaluate(20)[0].returns.tolist() == apart.evaluate(20)[0].returns.tolist()


def test_the_built_in_parts_are_what_an_arm_has_unless_it_is_given_others(make_arm):
    arm = make_arm()
    assert arm.objective == Surrogate()
    assert type(arm.rule).__name__ == "OneStep"
