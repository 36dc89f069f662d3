"""Common random numbers: every draw is a pure function of (seed, stream, what it is for).

A run's seed opens separate streams (`numpy.random.SeedSequence`). Within a stream each number is
hashed from its coordinates (update, episode, step), so that the first state of episode 17 of
update 40, and the uniform behind its third action, are the same in every arm, in any bundle,
with any number of lanes, and after any interruption; nothing has to be stored or replayed.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pglab.envs.world import World

STREAMS = (
    "weights",
    "critic_weights",
    "first_states",
    "transitions",
    "actions",
    "evaluation_first_states",
    "evaluation_transitions",
    "evaluation_actions",
    "watched_first_states",
    "watched_transitions",
    "watched_actions",
    "problems",
    "minibatches",
)

GOLDEN = -0x61C8864680B583EB  # the constants of SplitMix64 as signed 64-bit integers
MIX_1 = -0x40A7B892E31B1A47
MIX_2 = -0x6B2FB644ECCEEE15


@dataclass(frozen=True)
class Streams:
    """Keys of K runs, `[K]` each; `problems` is the same in all updates."""

    first_states: Tensor
    transitions: Tensor
    actions: Tensor
    problems: Tensor

    @classmethod
    def of(cls, seeds: Sequence[int], purpose: str, device: torch.device) -> "Streams":
        """Keys of each seed's streams for training (""), "evaluation_" or "watched_"."""
        names = (f"{purpose}first_states", f"{purpose}transitions", f"{purpose}actions", "problems")
        return cls(*(stream_keys(seeds, name, device) for name in names))

    def of_update(self, update: Tensor) -> "Streams":
        """Keys of the updates with the given numbers, `[K]`."""
        first_states, transitions, actions = (
            fold_in(key, update) for key in (self.first_states, self.transitions, self.actions)
        )
        return Streams(first_states, transitions, actions, self.problems)


def stream_key(seed: int, stream: str) -> int:
    """The 64-bit key of one stream of a seed, as a signed integer."""
    sequence = np.random.SeedSequence(seed, spawn_key=(STREAMS.index(stream),))
    return int(sequence.generate_state(1, np.uint64).view(np.int64)[0])


def stream_keys(seeds: Sequence[int], stream: str, device: torch.device) -> Tensor:
    """Keys of one stream for K seeds, `[K]`."""
    return torch.tensor([stream_key(seed, stream) for seed in seeds], dtype=torch.int64, device=device)


def generator(seed: int, stream: str) -> torch.Generator:
    """A torch generator (on the CPU) for draws whose number is not known ahead, such as weights."""
    return torch.Generator().manual_seed(stream_key(seed, stream))


def fold_in(key: Tensor, index: Tensor) -> Tensor:
    """The key that belongs to `index` ≥ 0 under `key`; 64-bit integers that broadcast.

    The output function of SplitMix64 at position `index` + 1 of the sequence that starts at
    `key` (Steele, Lea and Flood 2014).
    """
    z = key + (index + 1) * GOLDEN
    z = (z ^ _shift(z, 30)) * MIX_1
    z = (z ^ _shift(z, 27)) * MIX_2
    return z ^ _shift(z, 31)


def uniform(key: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
    """A number in [0, 1) from each key: its top 24 bits (53 in double precision)."""
    bits = 24 if dtype == torch.float32 else 53
    return _shift(key, 64 - bits).to(dtype) * 2.0**-bits


def uniforms(keys: Tensor, draws: int, dtype: torch.dtype) -> Tensor:
    """`[..., draws]` uniforms under each key."""
    return uniform(fold_in(keys[..., None], torch.arange(draws, device=keys.device)), dtype)


def reset_uniforms(world: World, problems: Tensor, first_states: Tensor, prompts: Tensor | None = None) -> Tensor:
    """Uniforms for `world.reset`, `[..., reset_draws]`: the numbers of each run's problem, then the episode's own.

    Args:
        problems: a key of each run, to broadcast to `first_states`.
        first_states: a key of each episode, `[...]`.
        prompts: the key of the episode whose prompt each has, `[...]`; by default its own.
    """
    of_run = getattr(world, "problem_draws", 0)
    own = uniforms(first_states, world.reset_draws - of_run, torch.float64)
    if prompts is not None:
        of_prompt = getattr(world, "prompt_draws", 0)
        own = torch.cat((uniforms(prompts, of_prompt, torch.float64), own[..., of_prompt:]), -1)
    if not of_run:
        return own
    return torch.cat((uniforms(problems, of_run, torch.float64).expand(*own.shape[:-1], of_run), own), -1)


def _shift(z: Tensor, bits: int) -> Tensor:
    """Logical right shift of a signed integer."""
    return (z >> bits) & ((1 << (64 - bits)) - 1)
