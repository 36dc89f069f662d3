"""PPO's choices, one by one and together: bits, identities, and what each must not do."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch

from pglab.algorithms import baselines as b
from pglab.algorithms import objectives as o
from pglab.algorithms import weightings as w
from pglab.algorithms.losses import Estimator
from pglab.algorithms.rewards import Clipped, Scaled, Sign
from pglab.envs.cartpole import CartPole
from pglab.models.networks import MLP
from pglab.models.parameters import OrthogonalScaled, PyTorchDefault
from pglab.training.arm import BatchSize
from pglab.training.bundle import Bundle
from pglab.training.observations import Standardized
from pglab.training.reuse import Epochs
from pglab.training.schedule import Linear
from pglab.training.segments import Segments
from pglab.training.update import Lesson
from tests.training.outcome import policies, rows_of

ADAM, SGD = torch.optim.Adam, torch.optim.SGD
SMALL = Segments(lanes=3, steps=16)


def value(**changes):
    return b.Value(MLP((8,)), PyTorchDefault(), partial(ADAM, lr=1e-2), fit_steps=2, **changes)


def gae(gamma=0.97, **changes):
    return w.GeneralizedAdvantage(gamma, 0.9, value(**changes))


CHOICES = {
    "a2c": {"weighting": gae(fit="with_policy", target="lambda_returns")},
    "ratio": {"objective": o.Ratio(), "rule": Epochs(2, 3)},
    "clip": {"objective": o.Clip(0.1), "rule": Epochs(2, 4), "weighting": gae(fit="with_policy", loss="clipped")},
    "kl": {"objective": o.KLPenalty(0.5), "rule": Epochs(3, 1)},
    "adaptive": {"objective": o.AdaptiveKLPenalty(1.0, 0.003), "rule": Epochs(2, 2), "optimizer": partial(SGD, lr=0.3)},
    "stopped": {"objective": o.Clip(0.2), "rule": Epochs(4, 2, stop_kl=1e-4), "optimizer": partial(ADAM, lr=3e-2)},
    "recomputed": {"objective": o.Clip(), "rule": Epochs(2, 2, recompute=True), "weighting": gae(fit="with_policy")},
    "huber, normalised": {
        "objective": o.Clip(), "rule": Epochs(2, 2),
        "weighting": gae(fit="with_policy", loss="huber", normalize_targets=True, coefficient=0.5),
        "estimator": Estimator(normalize="minibatch", clip_norm=0.3, clip_together=True, entropy_bonus=0.01),
    },
    "annealed": {
        "objective": o.Clip(), "rule": Epochs(2, 2), "schedule": Linear(4, clip=True), "init": OrthogonalScaled(),
        "estimator": Estimator(normalize="minibatch", clip_norm=0.3),
    },
    "scaled rewards": {"rewards": Scaled(3.0), "weighting": gae(fit="with_policy", target="lambda_returns")},
    "signs": {"rewards": Sign()},
    "fitted after": {"weighting": gae(normalize_targets=True, loss="huber")},
}  # fmt: skip


def arms(make_arm, seeds, batch=SMALL):
    plain = {"gamma": 0.97, "weighting": gae(), "updates": 4, "batch": batch, "seeds": seeds}
    return [make_arm(**{**plain, **choice}) for choice in CHOICES.values()]


@pytest.fixture(params=[SMALL, BatchSize(steps=60)], ids=["segments", "episodes"])
def batch(request):
    return request.param


@pytest.fixture(params=[False, True], ids=["raw", "standardised"])
def shapes(request, make_shapes):
    """Those of a bundle, with observations as they are or standardised."""
    return make_shapes(network=Standardized(2.0).of(MLP((16,)))) if request.param else make_shapes()


def test_every_choice_has_the_same_bits_alone_and_in_a_bundle(make_arm, shapes, train, batch):
    together = train(shapes, arms(make_arm, [4, 1], batch))
    for number, arm in enumerate(arms(make_arm, [1], batch)):
        alone = train(shapes, [arm])
        assert rows_of(together, number, 1) == rows_of(alone, 0, 0)
        assert {name: array[1:].tobytes() for name, array in together.parameters()[number].items()} == policies(
            alone, 0
        )
    assert len({tuple(policies(together, number).values()) for number in range(len(CHOICES))}) == len(CHOICES)


def test_every_choice_goes_on_from_its_state_with_the_same_bits(make_arm, shapes, train, batch):
    whole = train(shapes, arms(make_arm, [4, 1], batch))
    first = Bundle(shapes, arms(make_arm, [4, 1], batch))
    first.step()
    first.step()
    second = Bundle(shapes, arms(make_arm, [4, 1], batch))
    second.restore(first.state())
    while not second.finished:
        second.step()
    for number, (mine, theirs) in enumerate(zip(second.state(), whole.state(), strict=True)):
        assert mine.keys() == theirs.keys()
        differing = [name for name in mine if not torch.equal(mine[name].nan_to_num(), theirs[name].nan_to_num())]
        assert (differing, number) == ([], number)


def test_ppo_with_one_epoch_of_one_minibatch_is_a2c(make_arm, make_shapes, train):
    plain = {
        "gamma": 0.97,
        "weighting": gae(fit="with_policy", target="lambda_returns"),
        "batch": SMALL,
        "seeds": [0, 1],
    }
    estimator = Estimator(normalize="batch", clip_norm=0.5, clip_together=True, entropy_bonus=0.01)
    a2c = make_arm(**plain, estimator=estimator)
    ppo = make_arm(**plain, estimator=replace(estimator, normalize="minibatch"), objective=o.Clip(), rule=Epochs(1, 1))
    assert policies(train(make_shapes(), [a2c]), 0) == policies(train(make_shapes(), [ppo]), 0)


@pytest.mark.parametrize("objective", [o.Ratio(), o.Clip(), o.KLPenalty(3.0), o.AdaptiveKLPenalty()], ids=str)
def test_at_the_policy_that_played_every_surrogate_has_the_plain_gradient(make_arm, make_shapes, objective):
    plain, other = (
        Bundle(make_shapes(), [make_arm(objective=chosen, seeds=[0, 1])]).estimates()
        for chosen in (o.SURROGATE, objective)
    )
    torch.testing.assert_close(other, plain, rtol=1e-6, atol=1e-6 * float(plain.abs().max()))


@pytest.mark.parametrize("psi", [1.0, -1.0])
@pytest.mark.parametrize("ratio", [0.5, 0.9, 1.1, 1.5])
def test_the_clip_stops_the_pull_on_the_side_that_psi_pushes_to_and_nowhere_else(psi, ratio):
    log_prob = torch.tensor([[ratio]]).log().requires_grad_()
    seen = o.Seen(log_prob, torch.tensor([[psi]]), torch.zeros(1, 1), strength=torch.tensor([[0.2]]))
    (slope,) = torch.autograd.grad(o.Clip(0.2)(seen).sum(), log_prob)
    stopped = ratio > 1.2 if psi > 0 else ratio < 0.8
    assert float(slope) == pytest.approx(0.0 if stopped else -psi * ratio)
    assert float(o.Clip(0.2)(seen).detach()) == pytest.approx(-min(ratio * psi, min(max(ratio, 0.8), 1.2) * psi))


def test_the_weight_of_the_penalty_follows_the_divergence():
    rule = o.AdaptiveKLPenalty(1.0, target=0.01)
    kl = torch.tensor([0.001, 0.0066, 0.0067, 0.01, 0.015, 0.0151])
    assert rule.adapt(torch.ones(6), kl).tolist() == [0.5, 0.5, 1.0, 1.0, 1.0, 2.0]


def test_rates_fall_in_a_straight_line_and_the_last_update_still_learns(make_arm, make_shapes, train):
    rule = {"optimizer": partial(SGD, lr=0.1), "updates": 1, "batch": BatchSize(episodes=3)}
    first, half = Linear(1), Linear(2)
    assert [half.rate(update) for update in range(3)] == [1.0, 0.5, 0.0]
    assert policies(train(make_shapes(), [make_arm(**rule, schedule=first)]), 0) == policies(
        train(make_shapes(), [make_arm(**rule)]), 0
    )


def test_a_critic_with_normalised_targets_predicts_them_in_their_own_units():
    critic = value(normalize_targets=True).critic(
        CartPole.observation, [torch.Generator().manual_seed(0)] * 2, torch.device("cpu")
    )
    obs = torch.randn(2, 32, 4)
    first, second = 100 + 10 * torch.randn(2, 32), 100 + 10 * torch.randn(2, 32)
    rows, mask = torch.arange(2), torch.ones(2, 32, dtype=torch.bool)
    for target in (first, second):
        critic.observe([b_stretch(rows, obs, target, mask)])
    both = torch.cat((first, second), 1).double()
    mean, deviation = critic._scale(rows)
    torch.testing.assert_close(mean[:, 0].double(), both.mean(1), rtol=1e-5, atol=0)
    torch.testing.assert_close(deviation[:, 0].double(), both.std(1, correction=0), rtol=1e-4, atol=0)
    assert (critic.values(rows, obs).mean(1) - 100).abs().max() < 30


def b_stretch(rows, obs, target, mask):
    from pglab.algorithms.critics import Stretch

    return Stretch(rows, obs, target, torch.zeros_like(target), mask)


def test_rewards_are_divided_by_the_deviation_of_the_discounted_return_so_far_across_borders(make_arm, make_shapes):
    gamma = 0.9
    arm = make_arm(gamma=gamma, weighting=gae(gamma), rewards=Scaled(100.0), batch=Segments(2, 40), seeds=[3])
    bundle = Bundle(make_shapes(world=CartPole(30)), [arm])
    (trainee,) = bundle._arms
    everything, carried = [], np.zeros(2)
    for _ in range(3):
        played = bundle._play(bundle._arms)
        trainee.weigher.scale.add(played)
        for start, length, lane, ended in zip(played.start, played.length, played.lane, played.ended, strict=True):
            for step in range(start, start + length):
                carried[lane] = gamma * carried[lane] + float(played.reward[step])
                everything.append(carried[lane])
            carried[lane] *= not ended
        assert float(trainee.weigher.scale.deviation[0]) == pytest.approx(np.std(everything), rel=1e-5)
        learned = trainee.weigher._learned_from(played)[:-1]
        torch.testing.assert_close(learned, played.reward[:-1] / float(np.std(everything)), rtol=1e-5, atol=0)
        bundle._runs.update[:] += 1


@pytest.mark.parametrize(
    "decays", [partial(torch.optim.AdamW, lr=0.1), partial(torch.optim.SGD, lr=0.1, weight_decay=0.5)]
)
def test_weight_decay_changes_no_statistics_of_observations(make_arm, make_shapes, train, decays):
    shapes, common = make_shapes(network=Standardized(1.5).of(MLP((16,)))), {"seeds": [0, 1], "updates": 2}
    rule = Epochs(4, 4)
    seen, lesson_step = [], Lesson.step

    def watched(lesson, estimate):
        lesson_step(lesson, estimate)
        named = lesson.policy.model.layout.unflatten(lesson.parameters)
        seen.append(named["observation_scale"].clone())

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Lesson, "step", watched)
        train(shapes, [make_arm(rule=rule, optimizer=decays, batch=SMALL, weighting=gae(1.0), **common)])
    assert len(seen) == 32
    assert all(torch.equal(one, seen[16]) for one in seen[16:])
    assert not torch.equal(seen[16], seen[0])


def test_policies_see_observations_standardised_by_the_batches_before(make_arm, make_shapes):
    shapes = make_shapes(network=Standardized(1.5).of(MLP((16,))))
    bundle = Bundle(shapes, [make_arm(seeds=[0, 1], updates=3, weighting=gae(1.0))])
    seen, play = [], bundle._play

    def watched(training):
        seen.append(play(training))
        return seen[-1]

    bundle._play = watched
    for _ in range(2):
        named = bundle.parameters()[0]
        for row in (0, 1):
            earlier = [played.obs[:-1][np.repeat(played.run, played.length) == row] for played in seen]
            earlier = torch.cat(earlier).double() if earlier else torch.zeros(0, 4)
            mean, scale = (earlier.mean(0), 1 / earlier.std(0, correction=0)) if len(earlier) else (0.0, 1.0)
            np.testing.assert_allclose(named["observation_mean"][row], mean, rtol=1e-4, atol=1e-6)
            np.testing.assert_allclose(named["observation_scale"][row], scale, rtol=1e-4)
        bundle.step()
    before = bundle.parameters()[0]["observation_mean"]
    bundle.evaluate(5)  # changes no statistics
    assert (bundle.parameters()[0]["observation_mean"] == before).all()
    network, x = shapes.network, torch.tensor([[[3.0, -3.0, 0.2, 0.0]]])
    inner = MLP((16,))
    ones = {name: torch.zeros(1, *shape) for name, shape in network.shapes(shapes.world.observation, 2).items()}
    ones |= {"observation_mean": torch.ones(1, 4), "observation_scale": torch.full((1, 4), 2.0)}
    ones["weight_1"] += 0.1
    clipped = torch.tensor([[[1.5, -1.5, -1.5, -1.5]]])
    torch.testing.assert_close(network.forward(ones, x), inner.forward(ones, clipped))


def test_clipped_rewards_and_signs():
    reward, one = torch.tensor([-3.0, -0.5, 0.0, 2.0]), torch.ones(4)
    assert Clipped(1.0)(reward, one).tolist() == [-1.0, -0.5, 0.0, 1.0]
    assert Sign()(reward, one).tolist() == [-1.0, -1.0, 0.0, 1.0]
