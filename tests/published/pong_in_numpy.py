"""\"Pong from pixels\" (Karpathy 2016) written anew in NumPy, one game and one step at a time: to be compared with."""

import gymnasium
import numpy as np

HIDDEN, GAMMA, LEARNING_RATE, DECAY, GAMES_A_BATCH = 200, 0.99, 1e-4, 0.99, 10
UP, DOWN = 2, 3


def games(seed: int, number: int) -> list[float]:
    """The scores of so many games in a row, learning after every ten."""
    random = np.random.default_rng(seed)
    first, second = random.normal(size=(HIDDEN, 6400)) / 80, random.normal(size=HIDDEN) / np.sqrt(HIDDEN)
    sums = [np.zeros_like(first), np.zeros_like(second)]  # of gradients of a batch
    squares = [np.zeros_like(first), np.zeros_like(second)]  # their running means
    env = gymnasium.make("ALE/Pong-v5", frameskip=(2, 5), repeat_action_probability=0.25)
    scores = []
    for game in range(number):
        pictures, hiddens, slopes, rewards = [], [], [], []
        observation, _ = env.reset(seed=int(random.integers(2**31)))
        before, over = None, False
        while not over:
            court = seen(observation)
            picture, before = (np.zeros(6400) if before is None else court - before), court
            hidden = first @ picture
            hidden[hidden < 0] = 0
            up = 1 / (1 + np.exp(-(second @ hidden)))
            goes_up = random.random() < up
            observation, reward, terminated, truncated, _ = env.step(UP if goes_up else DOWN)
            over = terminated or truncated
            pictures.append(picture)
            hiddens.append(hidden)
            slopes.append(goes_up - up)
            rewards.append(reward)
        scores.append(sum(rewards))
        weighted = np.array(slopes) * standardised(discounted(rewards))
        hiddens = np.array(hiddens)
        back = np.outer(weighted, second) * (hiddens > 0)
        sums[0] += back.T @ np.array(pictures)
        sums[1] += weighted @ hiddens
        if (game + 1) % GAMES_A_BATCH == 0:
            for weights, total, square in zip((first, second), sums, squares, strict=True):
                square[:] = DECAY * square + (1 - DECAY) * total**2
                weights += LEARNING_RATE * total / (np.sqrt(square) + 1e-5)
                total[:] = 0
    env.close()
    return scores


def seen(picture: np.ndarray) -> np.ndarray:
    """The court as 6400 numbers, 1 where a bat or the ball is."""
    court = picture[35:195:2, ::2, 0].copy()
    court[(court == 144) | (court == 109)] = 0
    court[court != 0] = 1
    return court.astype(float).ravel()


def discounted(rewards: list[float]) -> np.ndarray:
    """Returns whose sum begins anew at each point."""
    returns, running = np.zeros(len(rewards)), 0.0
    for t in reversed(range(len(rewards))):
        running = rewards[t] if rewards[t] != 0 else GAMMA * running
        returns[t] = running
    return returns


def standardised(returns: np.ndarray) -> np.ndarray:
    return (returns - returns.mean()) / returns.std()
