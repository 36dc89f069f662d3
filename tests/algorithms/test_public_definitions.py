"""Group estimators beside the packages that define them in public: polgrad, and verl where it is installed."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from pglab.algorithms.batch import BesideGreedy
from pglab.algorithms.divergence import kl_estimate
from pglab.algorithms.groups import OPO, RLOO, GroupMean, ReMax
from pglab.algorithms.losses import Estimator
from pglab.algorithms.objectives import Seen, SequenceRatio
from pglab.algorithms.standardized import GRPO, ReinforcePlusPlus
from tests.algorithms.episodes import random_batch

EPISODES, STEPS, GROUP = 12, 5, 4
PROMPT = torch.arange(EPISODES) // GROUP


def close(ours, theirs):
    torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10)


@pytest.fixture(params=range(3))
def batch(request):
    """Episodes of 1 to 5 steps, rewarded at their ends."""
    drawn = random_batch(episodes=EPISODES, steps=STEPS, seed=request.param)
    mask = drawn.mask | (torch.arange(STEPS) == 0)
    last = mask & ~torch.cat((mask[:, 1:], torch.zeros(EPISODES, 1, dtype=torch.bool)), 1)
    generator = torch.Generator().manual_seed(request.param)
    outcome = 1e4 * torch.randn(EPISODES, 1, dtype=torch.float64, generator=generator)
    return replace(drawn, mask=mask, reward=outcome * last)


@pytest.fixture
def polgrad():
    return pytest.importorskip("polgrad.advantages", reason="polgrad, whose definitions these are, is not installed")


@pytest.fixture
def verl():
    return pytest.importorskip(
        "verl.trainer.ppo.core_algos",
        reason="verl, whose definitions these are, is not installed",
        exc_type=ImportError,
    )


def test_advantages_are_those_of_polgrad(batch, polgrad):
    returns = batch.reward.sum(-1)

    def same(weighting, expected):
        close(weighting(batch)[:, 0], expected)

    same(RLOO(1.0, GROUP), polgrad.rloo_advantages(returns, PROMPT))
    plain = polgrad.GroupNormConfig(scale="none")
    same(GroupMean(1.0, GROUP), polgrad.grpo_advantages(returns, PROMPT, plain))
    for ddof, epsilon in ((0, 1e-8), (1, 1e-4), (1, 1e-6)):
        config = polgrad.GroupNormConfig(eps=epsilon, unbiased=ddof == 1)
        same(GRPO(1.0, GROUP, ddof, epsilon), polgrad.grpo_advantages(returns, PROMPT, config))
    for group_mean in (False, True):
        config = polgrad.ReinforcePPConfig(batch_norm=True)
        expected = polgrad.reinforce_pp_advantages(returns, PROMPT if group_mean else None, config=config)
        same(ReinforcePlusPlus(1.0, GROUP, "episodes", group_mean, ddof=1), expected)


def test_advantages_are_those_of_verl(batch, verl):
    given = (batch.reward, batch.mask.double())
    prompt = PROMPT.numpy()
    close(RLOO(1.0, GROUP)(batch), verl.compute_rloo_outcome_advantage(*given, prompt)[0])
    close(OPO(1.0, GROUP)(batch), verl.compute_opo_outcome_advantage(*given, prompt)[0])
    for by_deviation, weighting in ((True, GRPO(1.0, GROUP, ddof=1, epsilon=1e-6)), (False, GroupMean(1.0, GROUP))):
        theirs, _ = verl.compute_grpo_outcome_advantage(*given, prompt, norm_adv_by_std_in_grpo=by_deviation)
        close(weighting(batch), theirs)
    # verl adds 1e-8 to the number of steps, and its ε to the variance.
    whitened = ReinforcePlusPlus(1.0, GROUP, "steps", ddof=1, epsilon=0.0)
    nearly = {"rtol": 0, "atol": 1e-8}
    theirs, _ = verl.compute_reinforce_plus_plus_outcome_advantage(*given, config=SimpleNamespace(gamma=1.0))
    torch.testing.assert_close(whitened(batch), theirs, **nearly)
    theirs, _ = verl.compute_reinforce_plus_plus_baseline_outcome_advantage(*given, prompt)
    torch.testing.assert_close(replace(whitened, group_mean=True)(batch), theirs, **nearly)
    greedy = torch.linspace(-1.0, 1.0, 3, dtype=torch.float64).repeat_interleave(GROUP)
    beside = BesideGreedy(**vars(batch), greedy=greedy)
    close(ReMax(1.0, GROUP)(beside), verl.compute_remax_outcome_advantage(batch.reward, greedy, given[1])[0])


@pytest.mark.parametrize(
    ("reduction", "theirs"),
    [("tokens", "token-mean"), ("sequences", "seq-mean-token-mean"), ("budget", "seq-mean-token-sum-norm")],
)
def test_losses_are_reduced_as_by_verl(batch, verl, reduction, theirs):
    loss, length = batch.reward.cumsum(-1) - 1.0, batch.mask.sum(-1)
    estimator = Estimator(reduction=reduction, budget=STEPS)
    factor = estimator.scale(length.sum(), torch.tensor(EPISODES), torch.float64)
    each = loss / length[:, None] if estimator.by_length else loss
    expected = verl.agg_loss(loss, batch.mask.double(), theirs)
    torch.testing.assert_close(
        factor * each[batch.mask].sum(), expected, rtol=1e-7, atol=0
    )  # verl adds 1e-8 to a length


def test_divergences_from_the_reference_are_those_of_verl(verl):
    drawn = torch.randn(2, 100, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    ours, reference = 0.5 * drawn  # verl cuts k3 at 10
    for form in ("k1", "k2", "k3"):
        close(kl_estimate(form, ours, reference), verl.kl_penalty_forward(ours, reference, form))


def test_the_ratio_of_a_sequence_is_clipped_as_by_verl(batch, verl):
    config = pytest.importorskip("verl.workers.config", reason="verl is not installed", exc_type=ImportError)
    now, old = 0.2 * torch.randn(2, EPISODES, STEPS, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    mask, length = batch.mask.double(), batch.mask.sum(-1, keepdim=True)
    psi = torch.where(PROMPT > 0, 1.0, -1.0).double()[:, None] * mask
    bounds = {"clip_low": 0.05, "clip_high": 0.1}
    clip = SequenceRatio(clip=0.2, **bounds)
    ours, theirs = (now.clone().requires_grad_() for _ in range(2))
    mean = ((now - old) * mask).sum(-1, keepdim=True) / length
    seen = Seen(ours, psi, old, strength=torch.tensor(0.2), sequence_log_ratio=mean.expand_as(now))
    loss = (clip(seen) * mask / length).sum() / EPISODES
    actor = config.ActorConfig(
        strategy="fsdp", rollout_n=1, ppo_micro_batch_size_per_gpu=1, clip_ratio_low=0.05, clip_ratio_high=0.1
    )
    expected, _ = verl.compute_policy_loss_gspo(old, theirs, psi, mask, "seq-mean-token-mean", actor)
    assert (clip(seen) != -seen.sequence_ratio * psi).any()  # some are clipped
    torch.testing.assert_close(loss, expected, rtol=1e-7, atol=0)
    loss.backward()
    expected.backward()
    torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-7, atol=1e-12)
