"""REINFORCE and PPO written out plainly, one run and one step at a time: what the benchmark compares with."""

from collections.abc import Callable

import gymnasium
import numpy as np
import torch
from torch import Tensor, nn
from torch.distributions import Categorical

LANES, STEPS = 4, 128  # of PPO's batches


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
