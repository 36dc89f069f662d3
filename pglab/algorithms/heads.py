"""Policy heads: from a network's outputs to a distribution over actions. Here those of actions that are counted.

A head is a frozen dataclass with `width(space)`, the outputs it needs for a world's space of actions
(`pglab.envs.spaces`), and pure functions of the outputs `[..., W]`: `sample` from given uniforms,
`log_prob`, `entropy` and `kl` (in nats; a natural gradient differentiates it twice). Where it needs them it has
also

- `draws(space)`: uniforms that an action takes, in a last axis; without it an action takes one, `[...]`;
- `free(space)`: parameters of its own that nothing is fed to, by name, with the values that they begin with, `[F]`;
  its functions find them after the network's W outputs;
- `of(space)`: the same head, bound to the space of actions, of which it uses the bounds;
- `taken(action)`: what the world is given, where that is not the action whose probability `log_prob` is;
- `bias`: why ∇log π is not the score of what is played, in words, where that is so; and, where the head can be had
  without, `without_bias()`.

Heads of actions that are numbers are `pglab.algorithms.gaussian` and `pglab.algorithms.beta`.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from pglab.envs.spaces import Space, number_of


@dataclass(frozen=True)
class Softmax:
    """One logit an action: π(a|s) = exp z_a / Σ_b exp z_b."""

    def width(self, space: Space) -> int:
        return number_of(space, "a softmax head")

    def sample(self, logits: Tensor, uniform: Tensor) -> Tensor:
        """The smallest a with u < Σ_{b≤a} π(b|s) (inverse transform); `uniform` is `[...]`."""
        return _sample(_actions_first(logits), uniform)

    def log_prob(self, logits: Tensor, action: Tensor) -> Tensor:
        """log π(a|s), `[...]`."""
        return _log_prob(_actions_first(logits), action)

    def entropy(self, logits: Tensor) -> Tensor:
        """-Σ_a π(a|s) log π(a|s), `[...]`."""
        return _entropy(_actions_first(logits))

    def kl(self, old: Tensor, logits: Tensor) -> Tensor:
        """KL(π_old ‖ π) = Σ_a π_old(a|s) log(π_old(a|s) / π(a|s)), `[...]`."""
        return _kl(_actions_first(old), _actions_first(logits))


@dataclass(frozen=True)
class Sigmoid:
    """One logit for two actions: π(1|s) = σ(z) = 1 / (1 + e^{-z}).

    The same policy as a softmax over (0, z), and computed as that, so that both heads take the
    same action from the same uniform. Score: ∇log π(a|s) = (a - σ(z)) ∇z.
    """

    def width(self, space: Space) -> int:
        actions = number_of(space, "a sigmoid head")
        if actions != 2:
            raise ValueError(f"a sigmoid head chooses between 2 actions, this environment has {actions}")
        return 1

    def sample(self, logits: Tensor, uniform: Tensor) -> Tensor:
        return _sample(_two_actions(logits), uniform)

    def log_prob(self, logits: Tensor, action: Tensor) -> Tensor:
        return _log_prob(_two_actions(logits), action)

    def entropy(self, logits: Tensor) -> Tensor:
        return _entropy(_two_actions(logits))

    def kl(self, old: Tensor, logits: Tensor) -> Tensor:
        return _kl(_two_actions(old), _two_actions(logits))


@dataclass(frozen=True)
class ActionBlindSigmoid(Sigmoid):
    """WRONG ON PURPOSE: samples like `Sigmoid`, but its "score" ignores the action taken.

    It uses ∇log σ(z) = (1 - σ(z)) ∇z for either action, a mistake often made when the score of
    a Bernoulli policy is derived by hand. E[score] = (1 - σ) ∇z ≠ 0: every action taken raises
    π(1|s), and nothing is learnt from which action it was. Kept to show what that looks like.
    """

    def log_prob(self, logits: Tensor, action: Tensor) -> Tensor:
        return _log_prob(_two_actions(logits), torch.ones_like(action))


# Logits of a block are stored feature by feature ([A, n] for n steps), where a softmax over the last axis
# of the [n, A] view would be ten times slower than one over the first axis.
def _actions_first(logits: Tensor) -> Tensor:
    return logits.movedim(-1, 0)


def _two_actions(logits: Tensor) -> Tensor:
    z = logits[..., 0]
    return torch.stack((torch.zeros_like(z), z))


def _sample(z: Tensor, uniform: Tensor) -> Tensor:
    cumulative = torch.softmax(z, 0).cumsum(0)[:-1]
    return (uniform >= cumulative).sum(0)


def _log_prob(z: Tensor, action: Tensor) -> Tensor:
    return torch.log_softmax(z, 0).gather(0, action[None])[0]


def _entropy(z: Tensor) -> Tensor:
    log_pi = torch.log_softmax(z, 0)
    return -(log_pi.exp() * log_pi).sum(0)


def _kl(old: Tensor, new: Tensor) -> Tensor:
    log_old = torch.log_softmax(old, 0)
    return (log_old.exp() * (log_old - torch.log_softmax(new, 0))).sum(0)
