"""REINFORCE, PPO and "Pong from pixels" written out plainly, one run and one step at a time.

The benchmark compares with their speed, the slow tests with their learning curves.
"""

from collections.abc import Callable

import gymnasium
import numpy as np
import torch
from torch import Tensor, nn
from torch.distributions import Categorical

LANES, STEPS = 4, 128  # of PPO's batches
HIDDEN, GAMES = 200, 10  # units and games of a batch of Pong


def total_return(rewards: list[float]) -> list[float]:
    """R(τ) at every step of an episode."""
    return [sum(rewards)] * len(rewards)


def reward_to_go(rewards: list[float]) -> list[float]:
    """Σ_{k≥t} r_k at every step t of an episode."""
    return np.cumsum(rewards[::-1])[::-1].tolist()


def textbook(
    updates: int, seed: int, weigh: Callable[[list[float]], list[float]], env_id: str = "CartPole-v0"
) -> list[tuple[int, float]]:
    """The simplest policy gradient as one would write it out: one run, one step at a time.

    Whole episodes until there are more than 5000 steps, then one Adam step on
    -(log π · weight).mean() (OpenAI Spinning Up, "Intro to Policy Optimization", part 3).

    Returns:
        Steps and mean return of each update's batch.
    """
    torch.manual_seed(seed)
    env = gymnasium.make(env_id)
    policy = nn.Sequential(nn.Linear(4, 32), nn.Tanh(), nn.Linear(32, 2))
    optimizer = torch.optim.Adam(policy.parameters(), lr=1e-2)
    obs, _ = env.reset(seed=seed)
    history = []
    for _ in range(updates):
        batch_obs, batch_actions, batch_weights, returns, rewards = [], [], [], [], []
        while True:
            batch_obs.append(obs)
            with torch.no_grad():
                action = Categorical(logits=policy(torch.as_tensor(obs))).sample().item()
            obs, reward, terminated, truncated, _ = env.step(action)
            batch_actions.append(action)
            rewards.append(float(reward))
            if terminated or truncated:
                batch_weights += weigh(rewards)
                returns.append(sum(rewards))
                rewards = []
                obs, _ = env.reset()
                if len(batch_obs) > 5000:
                    break
        logits = policy(torch.as_tensor(np.array(batch_obs)))
        log_prob = Categorical(logits=logits).log_prob(torch.as_tensor(batch_actions))
        loss = -(log_prob * torch.as_tensor(batch_weights)).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        history.append((len(batch_obs), float(np.mean(returns))))
    return history


def textbook_ppo(updates: int, seed: int, env_id: str = "CartPole-v1") -> list[tuple[int, float]]:
    """PPO as one would write it out, with the settings of the experiment `ppo_cleanrl` (Huang et al. 2022).

    Returns:
        Steps of each update's batch and mean return of the episodes that ended in it, NaN where none did.
    """
    torch.manual_seed(seed)
    envs = [gymnasium.make(env_id) for _ in range(LANES)]
    policy, critic = _network(2, last=0.01), _network(1, last=1.0)
    parameters = [*policy.parameters(), *critic.parameters()]
    optimizer = torch.optim.Adam(parameters, lr=2.5e-4, eps=1e-5)
    obs = np.stack([env.reset(seed=LANES * seed + lane)[0] for lane, env in enumerate(envs)])
    earned, history = np.zeros(LANES), []
    for update in range(updates):
        optimizer.param_groups[0]["lr"] = 2.5e-4 * (1 - update / updates)
        batch_obs = torch.zeros(STEPS, LANES, obs.shape[1])
        actions = torch.zeros(STEPS, LANES, dtype=torch.int64)
        log_prob, value, reward, ended = (torch.zeros(STEPS, LANES) for _ in range(4))
        returns: list[float] = []
        for t in range(STEPS):
            batch_obs[t] = torch.as_tensor(obs)
            with torch.no_grad():
                pi = Categorical(logits=policy(batch_obs[t]))
                actions[t] = pi.sample()
                log_prob[t], value[t] = pi.log_prob(actions[t]), critic(batch_obs[t])[:, 0]
            for lane, env in enumerate(envs):
                obs[lane], gained, terminated, truncated, _ = env.step(int(actions[t, lane]))
                reward[t, lane] = float(gained)
                earned[lane] += float(gained)
                if terminated or truncated:
                    ended[t, lane] = 1.0
                    returns.append(earned[lane])
                    earned[lane] = 0.0
                    obs[lane], _ = env.reset()
        with torch.no_grad():
            following = critic(torch.as_tensor(obs))[:, 0]
        advantage = _gae(reward, value, ended, following, gamma=0.99, lam=0.95)
        target = advantage + value
        for _ in range(4):
            for chosen in torch.randperm(STEPS * LANES).chunk(4):
                x = batch_obs.flatten(0, 1)[chosen]
                pi = Categorical(logits=policy(x))
                ratio = (pi.log_prob(actions.flatten()[chosen]) - log_prob.flatten()[chosen]).exp()
                psi = advantage.flatten()[chosen]
                psi = (psi - psi.mean()) / (psi.std(correction=0) + 1e-8)
                gain = torch.minimum(ratio * psi, ratio.clamp(0.8, 1.2) * psi).mean()
                old, wanted, now = value.flatten()[chosen], target.flatten()[chosen], critic(x)[:, 0]
                moved = old + (now - old).clamp(-0.2, 0.2)
                miss = torch.maximum((now - wanted).square(), (moved - wanted).square()).mean()
                loss = -gain - 0.01 * pi.entropy().mean() + 0.5 * 0.5 * miss
                optimizer.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(parameters, 0.5)
                optimizer.step()
        history.append((STEPS * LANES, float(np.mean(returns)) if returns else float("nan")))
    return history


def _network(outputs: int, last: float) -> nn.Sequential:
    layers = [nn.Linear(4, 64), nn.Linear(64, 64), nn.Linear(64, outputs)]
    for layer, gain in zip(layers, (2**0.5, 2**0.5, last), strict=True):
        nn.init.orthogonal_(layer.weight, gain)
        nn.init.zeros_(layer.bias)
    return nn.Sequential(layers[0], nn.Tanh(), layers[1], nn.Tanh(), layers[2])


def _gae(reward: Tensor, value: Tensor, ended: Tensor, following: Tensor, gamma: float, lam: float) -> Tensor:
    """Σ_k (γλ)^k δ_{t+k} within each episode, `[STEPS, LANES]`; `following` is V after the last step."""
    advantage, carried = torch.zeros_like(reward), torch.zeros_like(following)
    for t in reversed(range(len(reward))):
        going = 1.0 - ended[t]
        delta = reward[t] + gamma * following * going - value[t]
        advantage[t] = carried = delta + gamma * lam * going * carried
        following = value[t]
    return advantage


def textbook_pong(games: int, seed: int) -> list[tuple[int, float]]:
    """Games of "Pong from pixels" (Karpathy 2016) one after another in NumPy, which learns after every tenth.

    Returns:
        Steps and score of each game.
    """
    random = np.random.default_rng(seed)
    weights = [random.normal(size=(HIDDEN, 6400)) / 80, random.normal(size=HIDDEN) / HIDDEN**0.5]
    gradients, squares = ([np.zeros_like(one) for one in weights] for _ in range(2))
    env = gymnasium.make("ale_py:ALE/Pong-v5", frameskip=(2, 5), repeat_action_probability=0.25)
    history = []
    for game in range(1, games + 1):
        pictures, layers, slopes, rewards = [], [], [], []
        observation, _ = env.reset(seed=int(random.integers(2**31)))
        before, over = None, False
        while not over:
            court = _court(observation)
            picture, before = (np.zeros(6400) if before is None else court - before), court
            layer = np.maximum(weights[0] @ picture, 0)
            probability = 1 / (1 + np.exp(-(weights[1] @ layer)))
            up = random.random() < probability
            observation, reward, terminated, truncated, _ = env.step(2 if up else 3)
            over = terminated or truncated
            pictures.append(picture)
            layers.append(layer)
            slopes.append(up - probability)
            rewards.append(float(reward))
        returns = _to_points(rewards)
        slope = np.array(slopes) * (returns - returns.mean()) / returns.std()
        layer = np.array(layers)
        gradients[0] += (np.outer(slope, weights[1]) * (layer > 0)).T @ np.array(pictures)
        gradients[1] += slope @ layer
        if game % GAMES == 0:
            for one, gradient, square in zip(weights, gradients, squares, strict=True):
                square[:] = 0.99 * square + 0.01 * gradient**2
                one += 1e-4 * gradient / (np.sqrt(square) + 1e-5)
                gradient[:] = 0
        history.append((len(rewards), sum(rewards)))
    env.close()
    return history


def _court(picture: np.ndarray) -> np.ndarray:
    """6400 numbers: 1 where a bat or the ball is."""
    court = picture[35:195:2, ::2, 0]
    return ((court != 0) & (court != 144) & (court != 109)).astype(float).ravel()


def _to_points(rewards: list[float]) -> np.ndarray:
    """Discounted returns whose sum begins anew at each point."""
    returns, later = np.zeros(len(rewards)), 0.0
    for t in reversed(range(len(rewards))):
        returns[t] = later = rewards[t] if rewards[t] != 0 else 0.99 * later
    return returns
