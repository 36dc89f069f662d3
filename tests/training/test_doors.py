"""Every door, filled with another part than the built-in one."""

import math
from dataclasses import dataclass, field, replace
from functools import partial
from typing import ClassVar

import numpy as np
import pytest
import torch

from pglab.algorithms import weightings as w
from pglab.algorithms.losses import Estimator
from pglab.algorithms.objectives import Surrogate
from pglab.envs.finite import corridor
from pglab.envs.spaces import Box
from pglab.envs.world import Step
from pglab.models.networks import Linear, Tabular
from pglab.models.parameters import Zeros
from pglab.testing import check_env
from pglab.training.arm import BatchSize
from pglab.training.bundle import Bundle
from pglab.training.diagnostics import GradientDiagnostics
from pglab.training.episodes import Episodes
from pglab.training.rollout import Waves
from pglab.watching.episode import WatchedPolicy

SGD = torch.optim.SGD


def rows_of(bundle, number, row):
    """All that an update showed of one run, as bytes."""
    return [
        [np.asarray(column[row]).tobytes() for column in vars(measures).values()] for measures in bundle.history[number]
    ]


def policies(bundle, number):
    return {name: array.tobytes() for name, array in bundle.parameters()[number].items()}


@dataclass(frozen=True)
class Ratio:
    """-Ψ π(a|s) / π_old(a|s), clipped to 1 ± ε from the side that Ψ pushes to (Schulman et al. 2017, eq. 7)."""

    clip: float = 0.2
    uses_old_log_prob: ClassVar[bool] = True

    def __call__(self, log_prob, old_log_prob, psi):
        ratio = (log_prob - old_log_prob).exp()
        return -torch.minimum(ratio * psi, ratio.clamp(1 - self.clip, 1 + self.clip) * psi)


@dataclass(frozen=True)
class Squared:
    """(log π)² Ψ: no estimate of anything, but not the built-in loss."""

    def __call__(self, log_prob, old_log_prob, psi):
        assert old_log_prob is None  # costs nothing where it is not asked for
        return log_prob.square() * psi


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


def test_another_player_gives_the_same_runs(make_arm, make_shapes, train):
    arms = [make_arm(seeds=[0, 5]), make_arm(seeds=[2], weighting=w.TotalReturn(1.0), updates=5)]
    waves, apart = (train(make_shapes(player=player), arms) for player in (Waves(32), OneAfterAnother(96)))
    for number, arm in enumerate(arms):
        assert policies(waves, number) == policies(apart, number)
        for row in range(len(arm.seeds)):
            assert rows_of(waves, number, row) == rows_of(apart, number, row)
    assert waves.evaluate(20)[0].returns.tolist() == apart.evaluate(20)[0].returns.tolist()


class Aim:
    """Earns -(a - 2)² for an action that is a number; every episode is one step."""

    observation, actions, horizon, reset_draws, step_draws = Box(1), Box(1), 1, 0, 0

    def reset(self, uniform):
        return (torch.zeros(*uniform.shape[:-1], 1),)

    def observe(self, state):
        return state[0]

    def step(self, state, action, uniform):
        return Step(state, -(action[..., 0] - 2.0).square(), torch.ones(action.shape[:-1], dtype=torch.bool))


@dataclass(frozen=True)
class Gaussian:
    """N(z, 1) for each number of a Box, from two uniforms each (Box and Muller 1958)."""

    draws: ClassVar[int] = 2

    def width(self, space):
        return space.size

    def sample(self, logits, uniform):
        radius = (-2.0 * torch.log1p(-uniform[..., :1])).sqrt()
        return logits + radius * torch.cos(2.0 * math.pi * uniform[..., 1:])

    def log_prob(self, logits, action):
        return (-0.5 * (action - logits).square() - 0.5 * math.log(2 * math.pi)).sum(-1)

    def entropy(self, logits):
        return torch.full_like(logits, 0.5 * math.log(2 * math.pi * math.e)).sum(-1)


def aiming(make_arm, make_shapes, seeds, **changes):
    plain = {"init": Zeros(), "batch": BatchSize(episodes=200), "optimizer": partial(SGD, lr=0.1), "updates": 60}
    shapes = make_shapes(world=Aim(), head=Gaussian(), network=Linear())
    return shapes, make_arm(**plain, estimator=Estimator("episodes"), seeds=seeds, **changes)


def test_a_continuous_action_is_played_learnt_from_and_evaluated(make_arm, make_shapes, train):
    shapes, arm = aiming(make_arm, make_shapes, [0, 1])
    bundle = train(shapes, [arm])
    first, last = bundle.history[0][0], bundle.history[0][-1]
    assert first.return_mean == pytest.approx(-5.0, abs=1.0)  # E (a - 2)² = 2² + 1
    assert last.return_mean == pytest.approx(-1.0, abs=0.3)  # the deviation is all that is left
    assert bundle.parameters()[0]["weight"][:, 0, 0] == pytest.approx(2.0, abs=0.2)
    assert bundle.evaluate(500)[0].returns.mean() == pytest.approx(-1.0, abs=0.3)
    shapes, alone = aiming(make_arm, make_shapes, [1])
    assert rows_of(train(shapes, [alone]), 0, 0) == rows_of(bundle, 0, 1)


def test_where_actions_are_no_index_what_counts_them_is_nan_or_refuses_in_words(make_arm, make_shapes):
    shapes, arm = aiming(make_arm, make_shapes, [0])
    ((_, measures),) = Bundle(shapes, [arm], GradientDiagnostics()).step()
    assert np.isfinite(measures.grad_variance).all()
    for name in ("kl", "objective", "exact_cosine", "optimal_action"):
        assert np.isnan(getattr(measures, name)).all()
    flat = torch.zeros(shapes.policy().model.layout.size)
    moments = list(WatchedPolicy(Aim(), shapes.policy(), flat, 0).episode())
    assert [type(moment.action) for moment in moments] == [type(None), list]
    with pytest.raises(ValueError, match=r"greedy play needs actions that can be counted, .* has Box\(size=1\)"):
        list(WatchedPolicy(Aim(), shapes.policy(), flat, 0, greedy=True).episode())


def test_a_world_with_continuous_actions_keeps_the_contract():
    check_env(Aim())


def test_a_built_in_head_refuses_actions_that_cannot_be_counted(make_shapes):
    with pytest.raises(ValueError, match=r"a softmax head needs actions that can be counted"):
        make_shapes(world=Aim()).policy()


@dataclass(frozen=True)
class AverageByState:
    """b = the running average of the returns from each symbol, kept by a critic of its own."""

    rate: float = 0.5

    def critic(self, observation, generators, device):
        return Averages(torch.zeros(len(generators), observation.size, device=device), self.rate)

    def __call__(self, batch, returns):
        return batch.value


@dataclass
class Averages:
    table: torch.Tensor
    rate: float
    seen: list = field(default_factory=list)

    def values(self, rows, obs):
        return self.table[rows[:, None], obs[..., 0].long()]

    def fit(self, batch):
        total, count = torch.zeros_like(self.table), torch.zeros_like(self.table)
        for part in batch:
            cell = (part.rows[:, None].expand_as(part.returns)[part.mask], part.obs[..., 0].long()[part.mask])
            total.index_put_(cell, part.returns[part.mask], accumulate=True)
            count.index_put_(cell, torch.ones(len(cell[0])), accumulate=True)
        self.table += torch.where(count > 0, self.rate * (total / count.clamp(min=1) - self.table), 0.0)

    def state(self):
        return {"table": self.table.clone()}

    def restore(self, state):
        self.table.copy_(state["table"])


@pytest.fixture
def tabular(make_arm, make_shapes):
    def tabular(seeds, **changes):
        shapes = make_shapes(world=corridor(30), network=Tabular())
        arm = make_arm(
            weighting=w.ReturnMinusBaseline(1.0, AverageByState()), init=Zeros(), seeds=seeds,
            batch=BatchSize(episodes=8), optimizer=partial(SGD, lr=0.1), **changes,
        )  # fmt: skip
        return shapes, arm

    return tabular


def test_a_critic_of_ones_own_is_read_before_it_is_fitted_and_kept_with_the_run(tabular, train):
    shapes, arm = tabular([0, 4])
    bundle = train(shapes, [arm])
    table = bundle.state()[0]["critic/table"]
    assert table.shape == (2, 1)
    assert (table < -2).all()
    shapes, alone = tabular([4])
    assert rows_of(train(shapes, [alone]), 0, 0) == rows_of(bundle, 0, 1)

    shapes, whole = tabular([0, 4], updates=5)
    straight = train(shapes, [whole])
    resumed = Bundle(shapes, [whole])
    resumed.restore([{name: tensor.clone() for name, tensor in state.items()} for state in bundle.state()])
    while not resumed.finished:
        resumed.step()
    assert policies(resumed, 0) == policies(straight, 0)
    assert torch.equal(resumed.state()[0]["critic/table"], straight.state()[0]["critic/table"])


def test_a_critic_of_ones_own_explains_its_variance_and_continues_truncated_episodes(tabular):
    shapes, arm = tabular([0], estimator=Estimator(truncation="bootstrap"))
    bundle = Bundle(shapes, [arm], GradientDiagnostics(every=1))
    bundle.step()
    ((_, measures),) = bundle.step()
    assert np.isfinite(measures.explained_variance).all()
    assert arm.bias == ("the sum is divided by the batch's steps, whose number is random",
                        "truncated episodes are continued by the critic")  # fmt: skip


def test_the_built_in_parts_are_what_an_arm_has_unless_it_is_given_others(make_arm):
    arm = make_arm()
    assert arm.objective == Surrogate()
    assert type(arm.rule).__name__ == "OneStep"
