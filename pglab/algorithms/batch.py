"""The batch of whole episodes that every weighting and baseline reads."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor


@dataclass(frozen=True)
class Batch:
    """Whole episodes, one a row, zeros after the end of each.

    Axes: `...` leading axes that no function may care about, E episodes in order of start,
    T steps, D observation. An episode of zero length (mask all false) is padding.

    Attributes:
        obs: observation s_t, `[..., E, T, D]`; of images (D above 1024) left out, D = 0.
        action: action a_t, a whole number `[..., E, T]`; of a Box `[..., E, T, D]`.
        reward: reward r_t that followed a_t, `[..., E, T]`; where truncated episodes are
            bootstrapped, the last reward of such an episode includes γ V(s_T).
        mask: whether step t belongs to the episode, `[..., E, T]`, boolean.
        terminated: whether the problem itself ended after step t, `[..., E, T]`, boolean.
        truncated: whether a time limit cut the episode after step t, `[..., E, T]`, boolean.
        value: V(s_t) of a learned critic fitted on earlier batches only, `[..., E, T]`,
            or None where no critic is trained.
        memory: what a baseline with a `remember` method kept of earlier batches,
            each entry `[...]`; empty for all others.
    """

    obs: Tensor
    action: Tensor
    reward: Tensor
    mask: Tensor
    terminated: Tensor
    truncated: Tensor
    value: Tensor | None = None
    memory: Mapping[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class BesideGreedy(Batch):
    """A batch beside which the greedy episode was played from each prompt.

    Attributes:
        greedy: R(τ) of that from the prompt of each episode, `[..., E]`.
    """

    greedy: Tensor | None = None
