"""`check_baseline` passes every baseline of pglab and catches each broken one by its rule."""

from dataclasses import dataclass

import pytest
import torch

from pglab.algorithms.baselines import BatchMean, Constant, LeaveOneOut, NoBaseline, RunningMean, Value
from pglab.testing import check_baseline

critic = Value(network=None, init=None, optimizer=None)


@pytest.mark.parametrize(
    "baseline",
    [NoBaseline(), Constant(-20.0), BatchMean(), LeaveOneOut(), RunningMean(), RunningMean(True), critic],
    ids=repr,
)
def test_every_baseline_of_pglab_keeps_the_contract(baseline):
    check_baseline(baseline)


def from_the_past(batch, returns):
    """The rewards so far, the time and the state: all known before the action is chosen."""
    time = torch.arange(returns.shape[-1])
    return 0.3 * (batch.reward.cumsum(-1) - batch.reward) + 0.1 * time + batch.obs[..., 0]


def a_number_that_broadcasts(batch, returns):
    return torch.full((1, 1), 3.0).to(returns)


def nan_after_the_end(batch, returns):
    return torch.where(batch.mask, 1.0, float("nan")).to(returns)


def per_run(batch, returns):
    return returns[..., 0].mean(-1)


def a_float(batch, returns):
    return 1.0


def of_the_action(batch, returns):
    return batch.action.to(returns)


def next_reward(batch, returns):
    return batch.reward


def reward_after_the_next(batch, returns):
    return torch.cat((batch.reward[..., 1:], torch.zeros_like(batch.reward[..., :1])), -1)


def length_of_the_episode(batch, returns):
    return batch.mask.sum(-1, keepdim=True).to(returns).expand_as(returns)


def own_return_included(batch, returns):
    exists = batch.mask[..., 0]
    mean = (returns[..., 0] * exists).sum(-1) / exists.sum(-1)
    return mean[..., None, None].expand_as(returns)


def changes_the_returns(batch, returns):
    return returns.mul_(0.0)


def mean_over_all_runs(batch, returns):
    first = returns[..., 0] * batch.mask[..., 0]
    others = first.sum() - first.sum(-1, keepdim=True)
    return others[..., None].expand_as(returns)


def others_by_shape(batch, returns):
    first = returns[..., 0] * batch.mask[..., 0]
    others = (first.sum(-1, keepdim=True) - first) / max(first.shape[-1] - 1, 1)
    return others[..., None].expand_as(returns)


BROKEN = {
    nan_after_the_end: r"nan_after_the_end returned a weight that is not finite at \[..., E, T\] = ",
    per_run: r"per_run returned shape \[3\], which does not broadcast to the returns' \[..., E, T\] = \[3, 1, 1\]",
    a_float: "a_float returned a float; a tensor is expected",
    of_the_action: "depends on the action that it is subtracted for: with another one at step 0 of episode 0",
    next_reward: "depends on the reward that follows the action: with another one at step 0 of episode 0",
    reward_after_the_next: "depends on what follows the action",
    length_of_the_episode: "depends on when the episode ends",
    own_return_included: "depends on the reward that follows the action: .* declare the reason in an attribute `bias`",
    changes_the_returns: "changed its input returns in place",
    mean_over_all_runs: "leaks between runs: with other episodes in run 0",
    others_by_shape: "counts padding: with more empty episodes a weight changed",
}


@pytest.mark.parametrize("baseline", [from_the_past, a_number_that_broadcasts])
def test_what_is_known_before_the_action_may_be_subtracted(baseline):
    check_baseline(baseline)


@pytest.mark.parametrize("baseline", BROKEN, ids=lambda baseline: baseline.__name__)
def test_a_broken_baseline_is_caught_and_the_rule_is_named(baseline):
    with pytest.raises(AssertionError, match=BROKEN[baseline]):
        check_baseline(baseline)


def where_a_step_costs_one(batch, returns):
    """The own action, but never with the random rewards of the search for such a dependence."""
    return (batch.action * (batch.reward == -1.0)).to(returns)


def test_what_the_search_for_dependence_misses_the_exact_mean_shows():
    with pytest.raises(AssertionError, match="where_a_step_costs_one is biased when subtracted from rewards-to-go"):
        check_baseline(where_a_step_costs_one)


@dataclass(frozen=True)
class Declared:
    bias: str = "it includes the episode itself"

    def __call__(self, batch, returns):
        return own_return_included(batch, returns)


def test_a_bias_may_be_declared():
    check_baseline(Declared())


class Remembers(RunningMean):
    """A running mean with one thing wrong in what it keeps."""

    def __init__(self, wrong):
        super().__init__()
        object.__setattr__(self, "wrong", wrong)

    def remember(self, memory, batch, returns):
        return self.wrong(memory, batch, returns, dict(super().remember(memory, batch, returns)))


def not_a_mapping(memory, batch, returns, kept):
    return kept["total"]


def not_a_tensor(memory, batch, returns, kept):
    return kept | {"updates": 1}


def one_for_all_runs(memory, batch, returns, kept):
    return kept | {"total": kept["total"].sum()}


def summed_over_the_runs(memory, batch, returns, kept):
    return kept | {"total": kept["total"].sum().expand_as(kept["total"])}


def spoilt_by_the_others(memory, batch, returns, kept):
    total = kept["total"]
    return kept | {"total": total + 0.0 * total.sum()}


def counts_the_rows(memory, batch, returns, kept):
    return kept | {"episodes": memory.get("episodes", 0) + torch.full_like(kept["episodes"], returns.shape[-2])}


def as_long_as_the_batch(memory, batch, returns, kept):
    return kept | {"by_step": returns.double().sum(-2)}


def as_precise_as_the_batch(memory, batch, returns, kept):
    return {name: x.to(returns) for name, x in kept.items()}


def divided_by_nothing(memory, batch, returns, kept):
    return kept | {"spread": kept["total"] / 0.0}


def random_numbers(memory, batch, returns, kept):
    return kept | {"total": kept["total"] + torch.rand(())}


def into_the_old_memory(memory, batch, returns, kept):
    for x in memory.values():
        x.add_(1.0)
    return kept


def with_a_gradient(memory, batch, returns, kept):
    return kept | {"total": kept["total"] * torch.ones((), requires_grad=True)}


MISREMEMBERED = {
    not_a_mapping: "`remember` must return a mapping from names to tensors, not Tensor",
    not_a_tensor: "`remember` must return a mapping from names to tensors, not dict",
    one_for_all_runs: r"returned 'total' of shape \[\] for a batch with leading axes \[1\]",
    summed_over_the_runs: "`remember` keeps for run 0 of 3 other than alone in 'total'",
    spoilt_by_the_others: "`remember` leaks between runs: NaN in run 0 changes what the others remember in 'total'",
    counts_the_rows: "`remember` counts padding: more empty episodes in 'episodes'",
    as_long_as_the_batch: "returned other names, dtypes or trailing axes for a batch",
    as_precise_as_the_batch: "returned other names, dtypes or trailing axes .*double precision",
    divided_by_nothing: "returned 'spread' that is not finite",
    random_numbers: "`remember` is not a function of its arguments",
    into_the_old_memory: r"changed its input batch.memory\['total'\] in place",
    with_a_gradient: "returned 'total' with a gradient attached",
}


@pytest.mark.parametrize("wrong", MISREMEMBERED, ids=lambda wrong: wrong.__name__)
def test_a_broken_memory_is_caught_and_the_rule_is_named(wrong):
    with pytest.raises(AssertionError, match=MISREMEMBERED[wrong]):
        check_baseline(Remembers(wrong))


def test_a_memory_may_have_trailing_axes():
    def with_moments(memory, batch, returns, kept):
        return kept | {"moments": torch.stack((kept["total"], kept["episodes"]), -1)}

    check_baseline(Remembers(with_moments))


class ReadsItsMemoryWrongly(RunningMean):
    """Fails only when there is something to remember."""

    def __call__(self, batch, returns):
        if not batch.memory:
            return torch.zeros_like(returns)
        return batch.memory["total"].sum().to(returns).expand_as(returns)


def test_the_next_call_finds_the_memory_in_its_batch():
    with pytest.raises(AssertionError, match="ReadsItsMemoryWrongly leaks between runs"):
        check_baseline(ReadsItsMemoryWrongly())
