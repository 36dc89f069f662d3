"""Sequences of tokens with a reward at their end, as a language model is trained on, as finite MDPs.

An episode begins at a prompt, its first state. Each step appends a token, or ends the sequence; so the length of a
sequence is the number of its tokens, the one that ends it included. Small enough for every sequence to be enumerated.
The exit has the symbol of state 0, see `pglab.envs.problems`.
"""

from collections.abc import Sequence

import numpy as np

from pglab.envs.finite import FiniteMDP

MOST_STATES = 1500  # a table of states × actions × states must be held


def stop_or_continue(positions: int = 4, prompts: int = 1) -> FiniteMDP:
    """Stop (action 0) or continue (action 1) at each of N positions; reward 1 for having continued at all of them.

    A sequence that stops at the k-th choice has length k, the rewarded one N. A uniform policy has J = 2^-N.
    State p N + t is prompt p after t choices to continue.

    Args:
        positions: N, at least 1.
        prompts: of equal probability, all alike; each has parameters of its own.
    """
    for name, number in (("positions", positions), ("prompts", prompts)):
        if number < 1:
            raise ValueError(f"{name}={number} must be at least 1")
    exit_ = positions * prompts
    _check_size(exit_ + 1, f"{prompts} prompts of {positions} positions")
    transition = np.zeros((exit_ + 1, 2, exit_ + 1))
    reward = np.zeros_like(transition)
    state = np.arange(exit_)
    last = state % positions == positions - 1
    transition[state, 0, exit_] = 1.0
    transition[state, 1, np.where(last, exit_, state + 1)] = 1.0
    transition[exit_, :, exit_] = 1.0
    reward[state[last], 1, exit_] = 1.0
    return _from_prompts(transition, reward, positions * np.arange(prompts))


def token_tree(vocabulary: int = 2, depth: int = 3, prompts: int = 4, seed: int = 0, binary: bool = False) -> FiniteMDP:
    """Sequences of up to D tokens out of V words and an end token, each with a reward of its own.

    Actions 0 … V-1 append a word, action V ends the sequence; after D words it ends by itself. The rewards of the
    sequences are drawn once from U[0, 1), or, where they are to be binary, are 1 with probability ½ and else 0.

    Args:
        vocabulary: V, at least 1.
        depth: D, at least 1.
        prompts: of equal probability, each with rewards of its own.
        seed: of the problem, not of a run.
        binary: whether rewards are 0 or 1.
    """
    for name, number in (("vocabulary", vocabulary), ("depth", depth), ("prompts", prompts)):
        if number < 1:
            raise ValueError(f"{name}={number} must be at least 1")
    inner = sum(vocabulary**d for d in range(depth))  # prefixes that a token is appended to
    exit_ = prompts * inner
    _check_size(exit_ + 1, f"{prompts} prompts, vocabulary={vocabulary}, depth={depth}")
    generator = np.random.default_rng(seed)
    transition = np.zeros((exit_ + 1, vocabulary + 1, exit_ + 1))
    reward = np.zeros_like(transition)
    grows = sum(vocabulary**d for d in range(depth - 1))  # prefixes that a word leaves shorter than D
    for prompt in range(prompts):
        for prefix in range(inner):
            state, words = prompt * inner + prefix, np.arange(vocabulary)
            following = (
                prompt * inner + vocabulary * prefix + 1 + words if prefix < grows else np.full(words.shape, exit_)
            )
            transition[state, words, following] = 1.0
            transition[state, vocabulary, exit_] = 1.0
            ends = np.append(following == exit_, True)
            drawn = generator.random(vocabulary + 1)
            reward[state, :, exit_] = np.where(ends, np.round(drawn) if binary else drawn, 0.0)
    transition[exit_, :, exit_] = 1.0
    return _from_prompts(transition, reward, inner * np.arange(prompts))


def verifiable_bandit(p: Sequence[float] = (0.05, 0.5), answers: int = 20) -> FiniteMDP:
    """One token: an answer to a prompt, right (reward 1) or wrong (reward 0).

    A uniform policy answers prompt i rightly with probability p_i: that is the share of the answers that are right,
    the first ones.

    Args:
        p: of each prompt, strictly between 0 and 1; a whole number of the answers.
        answers: to each prompt, at least 2.
    """
    if answers < 2 or not len(p):
        raise ValueError(f"answers={answers} must be at least 2, and p={list(p)} have one number for each prompt")
    right = np.round(np.asarray(p, dtype=float) * answers).astype(int)
    for share, number in zip(p, right, strict=True):
        if not 0 < number < answers or abs(number - share * answers) > 1e-9 * answers:
            raise ValueError(
                f"p={share} is no share of {answers} answers with a right and a wrong one among them: p · answers must "
                f"be a whole number from 1 to {answers - 1}; choose another p or env.answers"
            )
    exit_ = len(right)
    transition = np.zeros((exit_ + 1, answers, exit_ + 1))
    transition[..., exit_] = 1.0
    reward = np.zeros_like(transition)
    reward[:exit_, :, exit_] = np.arange(answers) < right[:, None]
    return _from_prompts(transition, reward, np.arange(exit_))


def _from_prompts(transition: np.ndarray, reward: np.ndarray, prompts: np.ndarray) -> FiniteMDP:
    """With the last state as the exit, and prompts of equal probability."""
    states = len(transition)
    start = np.zeros(states)
    start[prompts] = 1.0 / len(prompts)
    terminal = np.arange(states) == states - 1
    return FiniteMDP(transition, reward, start, terminal, symbol=np.where(terminal, 0, np.arange(states)))


def _check_size(states: int, what: str) -> None:
    if states > MOST_STATES:
        raise ValueError(f"{what} make {states:,} states, more than {MOST_STATES:,}: choose smaller numbers")
