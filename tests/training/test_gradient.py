"""The blockwise gradient, the estimator's axes and the critic against plain autograd."""

from functools import partial

import numpy as np
import pytest
import torch

from pglab.algorithms import weightings as w
from pglab.algorithms.baselines import RunningMean, Value
from pglab.algorithms.heads import Softmax
from pglab.algorithms.losses import Estimator
from pglab.envs.cartpole import CartPole
from pglab.envs.finite import FiniteMDP, corridor
from pglab.models.networks import MLP, Tabular
from pglab.models.parameters import PyTorchDefault, Zeros
from pglab.training.arm import BatchSize
from pglab.training.bundle import Bundle
from pglab.training.gradient import Weights, clip_norm, policy_gradient


class Begun:
    """A bundle of one arm before its first update, and the batch it would learn from."""

    def __init__(self, shapes, arm):
        self.bundle, self.policy = Bundle(shapes, [arm]), shapes.policy()
        self._arms = self.bundle._arms
        self.episodes = self.bundle._play(self._arms)
        self.parameters = self.bundle._runs.parameters
        self.critic = self._arms[0].weigher.critic

    def weigh(self):
        """Ψ of the batch `[S + 1]`; critic and memory learn from it."""
        return self.bundle._weigh(self._arms, self.episodes)[0].psi

    def values(self):
        """The critic's V of the batch, `[S]`."""
        played = self.episodes
        return self._arms[0].weigher._values(played.run, played.length, played.obs)[:-1]


def begin(make_arm, make_shapes, **changes):
    return Begun(make_shapes(), make_arm(**changes))


def plain_log_prob(policy, parameters, episodes, run):
    """log π of every step of a run by one pass of plain torch, and the entropy."""
    steps = np.repeat(episodes.run == run, episodes.length)
    obs, action = episodes.obs[:-1][steps], episodes.action[:-1][steps]
    named = policy.model.layout.unflatten(parameters)
    hidden = torch.tanh(obs @ named["weight_1"].T + named["bias_1"])
    log_pi = torch.log_softmax(hidden @ named["weight_2"].T + named["bias_2"], -1)
    return log_pi[torch.arange(len(action)), action], -(log_pi.exp() * log_pi).sum(-1), steps


@pytest.mark.parametrize("bonus", [0.0, 0.3])
def test_the_blockwise_gradient_is_the_plain_one(make_arm, make_shapes, bonus):
    begun = begin(make_arm, make_shapes, seeds=[0, 1], batch=BatchSize(steps=2500))
    policy, episodes = begun.policy, begun.episodes
    psi = torch.cat((torch.randn(len(episodes.reward) - 1), torch.zeros(1)))
    ones = torch.ones(2)
    got = policy_gradient(policy, begun.parameters, episodes, Weights(psi, torch.full((2,), bonus), ones, ones))
    for run in (0, 1):
        parameters = begun.parameters[run].clone().requires_grad_()
        log_prob, entropy, steps = plain_log_prob(policy, parameters, episodes, run)
        loss = -(log_prob * psi[:-1][steps]).sum() - bonus * entropy.sum()
        (expected,) = torch.autograd.grad(loss, parameters)
        assert torch.allclose(got.gradient[run], expected, rtol=1e-4, atol=2e-3)
        assert got.loss[run].item() == pytest.approx(loss.item(), rel=1e-4, abs=1e-2)
        assert got.entropy[run].item() == pytest.approx(entropy.mean().item(), rel=1e-5)


@pytest.mark.parametrize(
    ("reduction", "divisor"), [("steps", lambda steps, n: steps), ("episodes", lambda steps, n: n), ("sum", None)]
)
def test_each_reduction_divides_the_same_weights(make_arm, make_shapes, reduction, divisor):
    begun = begin(make_arm, make_shapes, estimator=Estimator(reduction=reduction))
    episodes = begun.episodes
    steps, count = episodes.length.sum(), len(episodes.length)
    expected = np.concatenate([np.arange(length, 0, -1) for length in episodes.length])
    expected = expected / (divisor(steps, count) if divisor else 1)
    assert np.allclose(begun.weigh()[:-1], expected, rtol=1e-6)


def test_normalised_weights_have_mean_zero_and_deviation_one_over_the_steps(make_arm, make_shapes):
    estimator = Estimator(reduction="sum", normalize=True)
    psi = begin(make_arm, make_shapes, estimator=estimator).weigh()[:-1]
    assert psi.mean().item() == pytest.approx(0.0, abs=1e-6)
    assert psi.std(unbiased=False).item() == pytest.approx(1.0, abs=1e-5)


def test_clipping_is_by_the_norm_of_each_run():
    gradient = torch.tensor([[3.0, 4.0], [0.3, 0.4], [0.0, 0.0]])
    clipped = clip_norm(gradient, 1.0)
    assert torch.allclose(clipped, torch.tensor([[0.6, 0.8], [0.3, 0.4], [0.0, 0.0]]))


def test_episodes_below_the_minimum_length_do_not_enter_the_estimate(make_arm, make_shapes, train):
    none_long_enough = make_arm(estimator=Estimator(min_episode_length=61), updates=2)
    bundle = train(make_shapes(), [none_long_enough])
    (named,) = Bundle(make_shapes(), [none_long_enough]).parameters()
    assert all(np.array_equal(bundle.parameters()[0][name], named[name]) for name in named)
    assert [m.grad_norm.tolist() for m in bundle.history[0]] == [[0.0], [0.0]]
    assert not any(m.diverged.any() for m in bundle.history[0])


def test_truncated_episodes_are_continued_by_the_critic_only_on_request(make_arm, make_shapes):
    class FiveEverywhere(MLP):
        def forward(self, parameters, x):
            return torch.full((*x.shape[:-1], 1), 5.0)

    critic = Value(FiveEverywhere((1,)), Zeros(), partial(torch.optim.SGD, lr=0.1))
    for truncation, beyond in (("end", 0.0), ("bootstrap", 0.9 * 5.0)):
        estimator = Estimator(reduction="sum", truncation=truncation)
        shapes = make_shapes(world=CartPole(8))
        arm = make_arm(weighting=w.ReturnMinusBaseline(0.9, critic), estimator=estimator, gamma=0.9)
        begun = Begun(shapes, arm)
        episodes = begun.episodes
        begun.critic.fit = lambda *_: None  # its network has nothing to learn
        psi = begun.weigh()
        last = torch.from_numpy(episodes.start + episodes.length - 1)
        cut = torch.from_numpy(episodes.truncated & ~episodes.terminated)
        assert cut.any()
        assert torch.allclose(psi[last][cut], torch.tensor(1.0 + beyond - 5.0))
        assert torch.allclose(psi[last][~cut], torch.tensor(1.0 - 5.0))


def exit_or_trap():
    """Action 0 ends the episode at once; action 1 leads to where only the time limit does, after 20 steps."""
    transition = np.zeros((3, 2, 3))
    transition[0, 0, 2] = transition[0, 1, 1] = 1.0
    transition[1, :, 1] = transition[2, :, 2] = 1.0
    start, exit_ = np.eye(3)[0], np.eye(3)[2] == 1
    return FiniteMDP(transition, np.full((3, 2, 3), -1.0), start, exit_, 20)


def test_a_run_with_a_truncated_episode_diverges_on_request_and_only_it(make_arm, make_shapes, train):
    def trained(truncation):
        estimator = Estimator(truncation=truncation)
        arm = make_arm(init=Zeros(), estimator=estimator, batch=BatchSize(episodes=1), seeds=list(range(32)))
        return train(make_shapes(world=exit_or_trap(), network=Tabular()), [arm])

    ended, diverging = trained("end"), trained("diverge")
    cut = np.array([measures.length_mean == 20 for measures in ended.history[0]])  # [updates, seeds]
    assert not any(measures.diverged.any() for measures in ended.history[0])
    assert 0 < cut[0].sum() < cut.any(0).sum() < 32
    trains = np.ones(32, dtype=bool)
    for measures, now_cut in zip(diverging.history[0], cut, strict=True):
        assert measures.seed.tolist() == np.flatnonzero(trains).tolist()
        assert measures.diverged.tolist() == now_cut[trains].tolist()
        trains &= ~now_cut
    weights, others = (bundle.parameters()[0]["weight"] for bundle in (diverging, ended))
    assert np.array_equal(weights[trains], others[trains])
    assert (others[cut[0]] != 0).any((1, 2)).all()
    assert (weights[cut[0]] == 0).all()


def test_the_critic_learns_the_value_function_of_the_corridor(make_arm, make_shapes, train):
    # All states look the same, so the best constant is the mean return over the states visited.
    critic = Value(Tabular(), Zeros(), partial(torch.optim.SGD, lr=0.5), fit_steps=30)
    arm = make_arm(
        weighting=w.ReturnMinusBaseline(1.0, critic), optimizer=partial(torch.optim.SGD, lr=0.0),
        init=Zeros(), batch=BatchSize(episodes=2000), updates=2,
    )  # fmt: skip
    shapes = make_shapes(world=corridor(), network=Tabular(), head=Softmax())
    begun = Begun(shapes, arm)
    returns = np.concatenate([-np.arange(length, 0, -1.0) for length in begun.episodes.length])
    begun.weigh()
    assert begun.values()[0].item() == pytest.approx(returns.mean(), rel=1e-3)


def test_weights_use_the_critic_as_earlier_batches_left_it(make_arm, make_shapes):
    critic = Value(MLP((8,)), PyTorchDefault(), partial(torch.optim.Adam, lr=0.1))
    changes = {"weighting": w.ReturnMinusBaseline(1.0, critic), "estimator": Estimator(reduction="sum")}
    begun = begin(make_arm, make_shapes, **changes)
    before = begun.values()
    psi = begun.weigh()[:-1]
    after = begun.values()
    to_go = torch.cat([torch.arange(length, 0, -1.0) for length in begun.episodes.length.tolist()])
    assert torch.allclose(psi, to_go - before, atol=1e-5)
    assert not torch.allclose(before, after, atol=0.01)
    assert not psi.requires_grad


def test_a_running_mean_remembers_every_earlier_batch(make_arm, make_shapes):
    changes = {"weighting": w.ReturnMinusBaseline(1.0, RunningMean()), "estimator": Estimator(reduction="sum")}
    begun = begin(make_arm, make_shapes, **changes)
    to_go = torch.cat([torch.arange(length, 0, -1.0) for length in begun.episodes.length.tolist()])
    assert torch.equal(begun.weigh()[:-1], to_go)
    assert torch.allclose(begun.weigh()[:-1], to_go - float(np.mean(begun.episodes.length)))


def test_the_same_seed_begins_every_arm_with_the_same_batch(make_arm, make_shapes, train):
    arms = [make_arm(weighting=weighting) for weighting in (w.TotalReturn(1.0), w.RewardToGo(1.0))]
    first, second = (history[0] for history in train(make_shapes(), arms).history)
    for name in ("env_steps", "episodes", "return_mean", "return_std", "entropy"):
        assert getattr(first, name).tolist() == getattr(second, name).tolist()
    assert first.loss.tolist() != second.loss.tolist()
