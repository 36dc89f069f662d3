"""`check_head` passes every head of pglab that is right and catches each broken one by its rule."""

from dataclasses import dataclass

import pytest
import torch

from pglab.algorithms.heads import ActionBlindSigmoid, Sigmoid, Softmax
from pglab.testing import check_head


@pytest.mark.parametrize(("head", "actions"), [(Softmax(), 2), (Softmax(), 3), (Softmax(), 7), (Sigmoid(), 2)])
def test_every_head_of_pglab_keeps_the_contract(head, actions):
    check_head(head, actions)


def test_the_action_blind_head_is_told_what_is_wrong_with_it():
    with pytest.raises(AssertionError, match=r"log_prob ignores the action.*Σ_a exp log_prob = 0.18\d* instead of 1"):
        check_head(ActionBlindSigmoid())


def test_a_head_that_does_not_fit_the_actions_fails_with_its_own_message():
    with pytest.raises(AssertionError, match=r"Sigmoid: width\(Discrete\(size=3\)\) raised ValueError: a sigmoid head"):
        check_head(Sigmoid(), actions=3)


@dataclass(frozen=True)
class Mixed(Softmax):
    """A head unlike those of pglab: with probability ε uniform, and its intervals in reverse order."""

    epsilon: float = 0.1

    def pi(self, logits):
        return (1 - self.epsilon) * logits.softmax(-1) + self.epsilon / logits.shape[-1]

    def sample(self, logits, uniform):
        upper = self.pi(logits).flip(-1).cumsum(-1)[..., :-1]
        return logits.shape[-1] - 1 - (uniform[..., None] >= upper).sum(-1)

    def log_prob(self, logits, action):
        return self.pi(logits).log().gather(-1, action[..., None])[..., 0]

    def entropy(self, logits):
        return -(self.pi(logits) * self.pi(logits).log()).sum(-1)


@pytest.mark.parametrize("actions", [1, 2, 5])
def test_a_head_may_sample_in_any_order_and_need_not_be_a_softmax(actions):
    check_head(Mixed(), actions)


class NoWidth(Softmax):
    def width(self, actions):
        return 0


class WidthAsANumber(Softmax):
    def width(self, actions):
        return float(actions.size)


class OtherAction(Softmax):
    def log_prob(self, logits, action):
        return super().log_prob(logits, 1 - action)


class NotNormalised(Softmax):
    def log_prob(self, logits, action):
        return logits.gather(-1, action[..., None])[..., 0]


class RandomSample(Softmax):
    def sample(self, logits, uniform):
        return super().sample(logits, torch.rand(uniform.shape, dtype=uniform.dtype))


class HotterSample(Softmax):
    def sample(self, logits, uniform):
        return super().sample(0.99 * logits, uniform)


class Greedy(Softmax):
    def sample(self, logits, uniform):
        return logits.argmax(-1)


class CountsFromOne(Softmax):
    def sample(self, logits, uniform):
        return super().sample(logits, uniform) + 1


class ActionsAsNumbers(Softmax):
    def sample(self, logits, uniform):
        return super().sample(logits, uniform).to(uniform)


class OneActionTooManyAtTheEnd(Softmax):
    def sample(self, logits, uniform):
        return (uniform[..., None] >= logits.softmax(-1).cumsum(-1) - 1e-9).sum(-1)


class SortsItsUniforms(Softmax):
    def sample(self, logits, uniform):
        action = super().sample(logits, uniform)
        uniform.zero_()
        return action


class LogOfARoundedProbability(Softmax):
    def log_prob(self, logits, action):
        one = torch.sigmoid(logits[..., 1] - logits[..., 0])
        return torch.where(action == 1, one, 1 - one).log()


class Detached(Softmax):
    def log_prob(self, logits, action):
        return super().log_prob(logits.detach(), action)


class OneLogitPulledUp(Softmax):
    def log_prob(self, logits, action):
        return super().log_prob(logits, action) + logits[..., 0] - logits[..., 0].detach()


class HalfDetached(Softmax):
    def log_prob(self, logits, action):
        return super().log_prob(0.5 * logits + 0.5 * logits.detach(), action)


class Bits(Softmax):
    def entropy(self, logits):
        return super().entropy(logits) / torch.tensor(2.0).log()


class MeanEntropy(Softmax):
    def entropy(self, logits):
        return super().entropy(logits).mean()


class EntropyOfAllRows(Softmax):
    def entropy(self, logits):
        entropy = super().entropy(logits)
        return entropy + 0.0 * entropy.sum()


class NormalisedOverRows(Softmax):
    def log_prob(self, logits, action):
        return super().log_prob(logits, action) + 0.0 * logits.sum()


class SampleOfAllRows(Softmax):
    def sample(self, logits, uniform):
        return super().sample(logits - logits.flatten()[0].nan_to_num(50.0), uniform) * logits.isfinite().all().long()


class NaiveEntropy(Softmax):
    def entropy(self, logits):
        pi = logits.softmax(-1)
        return -(pi * pi.log()).sum(-1)


class OneAxisOnly(Softmax):
    def log_prob(self, logits, action):
        return logits.log_softmax(-1)[torch.arange(len(logits)), action]


class SecondAxis(Softmax):
    def log_prob(self, logits, action):
        axis = min(1, logits.dim() - 1)
        return logits.log_softmax(axis).gather(-1, action[..., None])[..., 0]


class FewerUniforms(Softmax):
    def sample(self, logits, uniform):
        return super().sample(logits, uniform if uniform.dim() < 2 else uniform[..., :1].expand_as(uniform))


class Refuses(Softmax):
    def log_prob(self, logits, action):
        return torch.distributions.Categorical(logits=logits, validate_args=True).log_prob(action)


class Single(Softmax):
    def log_prob(self, logits, action):
        return super().log_prob(logits, action).float()


BROKEN = {
    NoWidth: r"width\(Discrete\(size=2\)\) is 0, which must be the number of a network's outputs",
    WidthAsANumber: r"width\(Discrete\(size=2\)\) is 2.0",
    OtherAction: r"sample and log_prob disagree: .* takes action 0 with probability .* give log_prob of",
    NotNormalised: r"log_prob is not the logarithm of a distribution; Σ_a exp log_prob = .* instead of 1",
    RandomSample: "sample took other actions when called again",
    HotterSample: "sample and log_prob disagree",
    Greedy: "sample and log_prob disagree",
    CountsFromOne: "sample took action 2 of 2 for uniform",
    ActionsAsNumbers: r"sample returned shape \[\] of torch.float64 .*: return one integer action for each",
    OneActionTooManyAtTheEnd: "sample took action 2 of 2 for uniform 1: .* however near 1",
    SortsItsUniforms: "sample changed its input uniform in place",
    LogOfARoundedProbability: r"log_prob is not finite for logits \[-50, 50\]",
    Detached: "log_prob has no gradient in the logits",
    OneLogitPulledUp: r"the expected score Σ_a π ∇log π is \[1, .*\] instead of 0",
    HalfDetached: "the gradient of log_prob is not its slope",
    Bits: "entropy is .* instead of -Σ_a π log π = .* nats",
    MeanEntropy: r"entropy returned shape \[\] of torch.float64 for logits \[1, 2\]",
    EntropyOfAllRows: "entropy leaks between rows: NaN logits in row 0 changed row 1",
    NormalisedOverRows: "log_prob leaks between rows",
    SampleOfAllRows: "sample leaks between rows",
    NaiveEntropy: "entropy is not finite for logits|the gradient of entropy is not finite for logits",
    OneAxisOnly: "log_prob raised TypeError|log_prob raised IndexError|log_prob returned shape",
    SecondAxis: r"log_prob of a row depends on the leading axes: logits \[2, 5, W\]",
    FewerUniforms: "sample of a row depends on the leading axes",
    Refuses: "log_prob, with NaN logits in one row of several .*, raised ValueError",
    Single: "log_prob returned shape .* of torch.float32 for logits .* of torch.float64",
}


@pytest.mark.parametrize("head", BROKEN, ids=lambda head: head.__name__)
def test_a_broken_head_is_caught_and_the_rule_is_named(head):
    with pytest.raises(AssertionError, match=BROKEN[head]) as caught:
        check_head(head())
    assert str(caught.value).startswith(f"{head.__name__}: ")
