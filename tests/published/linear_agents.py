"""The three linear agents on CartPole as plain loops over Gymnasium, one episode after another, in NumPy."""

import warnings

import gymnasium
import numpy as np

GAMMA = 0.99


def features(state):
    return np.append(1.0, state)


class SoftmaxAgent:
    """Weights `[5, 2]` from U[0, 1)."""

    rate, shortest = 2.5e-5, 0

    def __init__(self, rng):
        self.w = rng.random((5, 2))

    def act(self, phi, rng):
        """An action, and ∇log π of it."""
        z = phi @ self.w
        pi = np.exp(z - z.max())
        pi /= pi.sum()
        action = int(rng.random() >= pi[0])
        return action, np.outer(phi, np.eye(2)[action] - pi)


class BrokenSigmoidAgent:
    """Weights `[5]` from U[-0.5, 0.5); the score leaves the action out."""

    rate, shortest = 2.5e-5, 50

    def __init__(self, rng):
        self.w = rng.random(5) - 0.5

    def act(self, phi, rng):
        sigma = 1 / (1 + np.exp(-phi @ self.w))
        action = int(rng.random() < sigma)
        return action, self.score(action, sigma) * phi

    def score(self, action, sigma):
        return 1 - sigma


class SigmoidAgent(BrokenSigmoidAgent):
    """Weights `[5]` from 0.01 · N(0, 1), and the score of a Bernoulli policy."""

    rate = 1e-4

    def __init__(self, rng):
        self.w = 0.01 * rng.standard_normal(5)

    def score(self, action, sigma):
        return action - sigma


AGENTS = {
    "linear_softmax": SoftmaxAgent,
    "linear_sigmoid_broken": BrokenSigmoidAgent,
    "linear_sigmoid": SigmoidAgent,
}


def train(experiment, seed, episodes):
    """The return of each episode of one run, `[episodes]`."""
    rng = np.random.default_rng(seed)
    agent = AGENTS[experiment](rng)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Gymnasium: CartPole-v0 is out of date
        env = gymnasium.make("CartPole-v0")
    env.reset(seed=seed)
    returns = []
    for _ in range(episodes):
        state, _ = env.reset()
        scores, rewards, over = [], [], False
        while not over:
            action, score = agent.act(features(state), rng)
            state, reward, terminated, truncated, _ = env.step(action)
            over = terminated or truncated
            scores.append(score)
            rewards.append(reward)
        returns.append(sum(rewards))
        if len(rewards) >= agent.shortest:
            reward = np.array(rewards)
            psi = np.cumsum((reward * GAMMA**reward)[::-1])[::-1]  # γ to the reward, as published
            agent.w += agent.rate * np.tensordot(psi, np.array(scores), 1)
    return returns
