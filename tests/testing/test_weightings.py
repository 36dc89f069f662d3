"""`check_weighting` passes every weighting of pglab and catches each broken one by its rule."""

from dataclasses import dataclass

import pytest
import torch

from pglab.algorithms.baselines import BatchMean, Constant, LeaveOneOut, NoBaseline, RunningMean, Value
from pglab.algorithms.returns import discount_powers, rewards_to_go, total_returns
from pglab.algorithms.weightings import GeneralizedAdvantage, ReturnMinusBaseline, RewardToGo, TotalReturn
from pglab.testing import check_weighting

critic = Value(network=None, init=None, optimizer=None)
BASELINES = [NoBaseline(), Constant(1.5), BatchMean(), LeaveOneOut(), RunningMean(), RunningMean(True), critic]
WEIGHTINGS = [
    *(TotalReturn(gamma) for gamma in (1.0, 0.9, 0.0)),
    *(RewardToGo(gamma) for gamma in (1.0, 0.9, 0.0)),
    *(ReturnMinusBaseline(0.9, baseline, "rtg") for baseline in BASELINES),
    *(ReturnMinusBaseline(1.0, baseline, "total") for baseline in BASELINES),
    *(GeneralizedAdvantage(0.9, lam, baseline) for lam in (0.0, 0.7, 1.0) for baseline in BASELINES),
]


@pytest.mark.parametrize("weighting", WEIGHTINGS, ids=repr)
def test_every_weighting_of_pglab_keeps_the_contract(weighting):
    check_weighting(weighting)


def to_go(batch):
    return rewards_to_go(batch.reward.detach(), 1.0)


def test_a_plain_function_can_be_a_weighting():
    check_weighting(to_go)


class Learns:
    """A weighting with a parameter of its own."""

    def __init__(self):
        self.scale = torch.ones((), requires_grad=True)

    def __call__(self, batch):
        return to_go(batch) * self.scale


class Counts:
    """A weighting with a state: twice the weights at every second call."""

    def __init__(self):
        self.calls = 0

    def __call__(self, batch):
        self.calls += 1
        return to_go(batch) * (1 + self.calls % 2)


def shifted_by_one_step(batch):
    psi = to_go(batch).roll(-1, dims=-1)
    psi[..., -1] = 0.0
    return psi


def changes_its_input(batch):
    batch.reward.mul_(0.5)
    return to_go(batch)


def numbers_only(batch):
    return to_go(batch).tolist()


def sums_over_the_steps(batch):
    return to_go(batch).sum(-1)


def whole_numbers(batch):
    return batch.mask.long()


def single_precision(batch):
    return to_go(batch).float()


def expects_one_run_axis(batch):
    runs, _, _ = batch.reward.shape
    return to_go(batch) * (runs > 0)


def divides_by_the_spread(batch):
    psi = to_go(batch)
    return psi / psi.var((-2, -1), correction=0, keepdim=True).sqrt()


def weighs_padding(batch):
    return to_go(batch) + 1.0


def keeps_the_gradient(batch):
    return rewards_to_go(batch.reward, 1.0)


def centred_over_all_runs(batch):
    psi = to_go(batch)
    return (psi - psi.mean()) * batch.mask


def scaled_by_the_other_runs(batch):
    # Changes nothing while the other runs are finite.
    return to_go(batch) + 0.0 * batch.reward.detach().flatten()[-1] * batch.mask


def counts_axes_from_the_front(batch):
    psi = to_go(batch)
    return psi * (1 + torch.arange(len(psi))[(...,) + (None,) * (psi.dim() - 1)]) * batch.mask


def divides_by_all_steps(batch):
    return to_go(batch) / batch.reward.shape[-1]


def counts_empty_episodes(batch):
    return to_go(batch) / batch.reward.shape[-2]


def random_weights(batch):
    return to_go(batch) * torch.rand(())


def first_episode_only(batch):
    psi = to_go(batch)
    return torch.cat((2 * psi[..., :1, :], psi[..., 1:, :]), -2)


BROKEN = {
    shifted_by_one_step: "shifted_by_one_step is biased: .* correct it, or declare the reason in an attribute `bias`",
    first_episode_only: r"is biased: .* of 1 episode of the corridor with horizon 4 .* = 2 ∇J",
    changes_its_input: "changed its input batch.reward in place: work on a copy",
    numbers_only: "returned a list; a tensor of weights is expected",
    sums_over_the_steps: r"returned weights of shape \[1\] for rewards .* of shape \[1, 1\]: return one weight",
    whole_numbers: r"returned torch.int64 for rewards of torch.float64",
    single_precision: r"returned torch.float32 for rewards of torch.float64: convert it",
    expects_one_run_axis: r"called with a batch \[..., E, T\] = \[1, 1\], raised ValueError: not enough values",
    divides_by_the_spread: r"not finite at \[..., E, T\] = \[0, 0\] for rewards of shape \[1, 1\]: take care of 0/0",
    weighs_padding: r"gave a weight to a step after the end of its episode, at \[..., E, T\] = .*`batch.mask`",
    keeps_the_gradient: r"gradient attached where the batch's tensors have one, .*: return `psi.detach\(\)`",
    centred_over_all_runs: "leaks between runs: with other episodes in run 0, the weights of run 1 changed",
    scaled_by_the_other_runs: "leaks between runs: with NaN in run 2, the weights of run 0 changed",
    counts_axes_from_the_front: r"depends on the leading axes: in a batch \[2, 3, E, T\] run \[0, 0\]",
    divides_by_all_steps: "counts padding: with more steps after the end of every episode a weight changed at",
    counts_empty_episodes: "counts padding: with more empty episodes a weight changed at",
    random_weights: "gave the same batch other weights when called again",
    Learns(): r"returned weights with a gradient attached, which .*: return `psi.detach\(\)`",
    Counts(): "gave the same batch other weights when called again",
}


@pytest.mark.parametrize(
    "weighting", BROKEN, ids=lambda weighting: getattr(weighting, "__name__", type(weighting).__name__)
)
def test_a_broken_weighting_is_caught_and_the_rule_is_named(weighting):
    with pytest.raises(AssertionError, match=BROKEN[weighting]):
        check_weighting(weighting)


@dataclass(frozen=True)
class NearSighted:
    """The next n rewards only."""

    n: int
    bias: str | tuple[str, ...] = ()

    def __call__(self, batch):
        psi = rewards_to_go(batch.reward.detach(), 1.0).clone()
        psi[..., : -self.n] -= psi[..., self.n :].clone()
        return psi


def test_a_bias_must_be_declared_and_may_be_with_a_reason():
    with pytest.raises(AssertionError, match="NearSighted is biased"):
        check_weighting(NearSighted(2))
    for bias in ("later rewards are left out", ("one reason", "another")):
        check_weighting(NearSighted(2, bias))


@pytest.mark.parametrize("bias", [True, "", (None,)])
def test_a_bias_that_is_no_reason_in_words_is_refused(bias):
    with pytest.raises(AssertionError, match="bias"):
        check_weighting(NearSighted(2, bias))


def test_a_declared_bias_need_not_be_there():
    check_weighting(NearSighted(20, bias="later rewards are left out"))


def test_a_declared_bias_excuses_nothing_else():
    @dataclass(frozen=True)
    class Leaky:
        bias: str = "on purpose"

        def __call__(self, batch):
            return centred_over_all_runs(batch)

    with pytest.raises(AssertionError, match="Leaky leaks between runs"):
        check_weighting(Leaky())


def discounted_total(batch):
    return total_returns(batch.reward.detach(), 0.9) * batch.mask


def without_the_factor(batch):
    return rewards_to_go(batch.reward.detach(), 0.9)


def with_the_factor(batch):
    return without_the_factor(batch) * discount_powers(batch.reward.shape[-1], 0.9, batch.reward)


discounted_total.discounted_from_start = True


def test_the_discount_of_the_objective_is_that_of_the_argument():
    for weighting in (discounted_total, without_the_factor):
        check_weighting(weighting, gamma=0.9)
        with pytest.raises(AssertionError, match=r"is biased: .*\(γ = 1\)"):
            check_weighting(weighting)


def test_a_weighting_that_brings_the_factor_itself_must_say_so():
    with pytest.raises(AssertionError, match=r"\(γ = 0.9\), with the factor .*discounted_from_start = True"):
        check_weighting(with_the_factor, gamma=0.9)


def test_the_discount_is_the_weightings_own_unless_another_is_asked_for():
    check_weighting(RewardToGo(0.9))
    with pytest.raises(AssertionError, match=r"RewardToGo is biased: .*\(γ = 1\)"):
        check_weighting(RewardToGo(0.9), gamma=1.0)


def test_values_are_there_only_where_training_would_train_a_critic():
    def reads_values(batch):
        return to_go(batch) - batch.value

    with pytest.raises(AssertionError, match=r"reads_values, called with a batch .* raised TypeError"):
        check_weighting(reads_values)


@dataclass(frozen=True)
class ForgetsTheMemoryIsOfSeveralRuns:
    baseline: RunningMean

    def __call__(self, batch):
        psi = to_go(batch)
        if batch.memory:
            psi = (psi - (batch.memory["total"] / batch.memory["episodes"]).mean()) * batch.mask
        return psi


def test_the_memory_of_a_weightings_baseline_is_in_its_batches():
    with pytest.raises(AssertionError, match="leaks between runs"):
        check_weighting(ForgetsTheMemoryIsOfSeveralRuns(RunningMean()))
