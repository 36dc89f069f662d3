"""PPO as a plain loop over Gymnasium, written out from CleanRL's ppo.py (Huang et al. 2022): one run, in torch."""

import gymnasium
import numpy as np
import torch
from torch import nn
from torch.distributions import Categorical

LANES, STEPS, EPOCHS, MINIBATCHES = 4, 128, 4, 4
RATE, GAMMA, LAMBDA, CLIP = 2.5e-4, 0.99, 0.95, 0.2
ENTROPY, VALUE, LARGEST = 0.01, 0.5, 0.5


def layer(inputs, outputs, gain):
    linear = nn.Linear(inputs, outputs)
    nn.init.orthogonal_(linear.weight, gain)
    nn.init.zeros_(linear.bias)
    return linear


def network(inputs, outputs, gain):
    hidden = (layer(inputs, 64, 2**0.5), nn.Tanh(), layer(64, 64, 2**0.5), nn.Tanh())
    return nn.Sequential(*hidden, layer(64, outputs, gain))


def train(seed, updates, env_id="CartPole-v1"):
    """The returns of the episodes that ended in each update, a list of lists."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    envs = [gymnasium.make(env_id) for _ in range(LANES)]
    actor = network(envs[0].observation_space.shape[0], envs[0].action_space.n, 0.01)
    critic = network(envs[0].observation_space.shape[0], 1, 1.0)
    parameters = [*actor.parameters(), *critic.parameters()]
    adam = torch.optim.Adam(parameters, lr=RATE, eps=1e-5)
    now = torch.tensor(np.stack([env.reset(seed=1000 * seed + n)[0] for n, env in enumerate(envs)]))
    earned, history = np.zeros(LANES), []
    for update in range(updates):
        adam.param_groups[0]["lr"] = RATE * (1 - update / updates)
        obs = torch.zeros(STEPS, *now.shape)
        action, log_prob, value, reward, done = (torch.zeros(STEPS, LANES) for _ in range(5))
        returns = []
        for t in range(STEPS):
            with torch.no_grad():
                chosen = Categorical(logits=actor(now))
                obs[t], action[t], value[t] = now, chosen.sample(), critic(now)[:, 0]
                log_prob[t] = chosen.log_prob(action[t])
            seen = []
            for n, env in enumerate(envs):
                after, reward_n, terminated, truncated, _ = env.step(int(action[t, n]))
                reward[t, n], done[t, n] = float(reward_n), float(terminated or truncated)
                earned[n] += float(reward_n)
                if done[t, n]:
                    returns.append(earned[n])
                    earned[n] = 0.0
                    after = env.reset()[0]
                seen.append(after)
            now = torch.tensor(np.stack(seen))
        advantage, later = torch.zeros(STEPS, LANES), torch.zeros(LANES)
        with torch.no_grad():
            following = critic(now)[:, 0]
        for t in reversed(range(STEPS)):
            goes_on = 1 - done[t]
            delta = reward[t] + GAMMA * following * goes_on - value[t]
            advantage[t] = later = delta + GAMMA * LAMBDA * goes_on * later
            following = value[t]
        target = advantage + value
        flat = [x.flatten(0, 1) for x in (obs, action, log_prob, advantage, target, value)]
        for _ in range(EPOCHS):
            for part in rng.permutation(LANES * STEPS).reshape(MINIBATCHES, -1):
                learn(actor, critic, adam, parameters, *(x[part] for x in flat))
        history.append(returns)
    return history


def learn(actor, critic, adam, parameters, obs, action, old_log_prob, advantage, target, old_value):
    """One step on one minibatch."""
    policy, value = Categorical(logits=actor(obs)), critic(obs)[:, 0]
    ratio = (policy.log_prob(action) - old_log_prob).exp()
    advantage = (advantage - advantage.mean()) / (advantage.std() + 1e-8)
    policy_loss = torch.max(-advantage * ratio, -advantage * ratio.clamp(1 - CLIP, 1 + CLIP)).mean()
    near = old_value + (value - old_value).clamp(-CLIP, CLIP)
    value_loss = 0.5 * torch.max((value - target) ** 2, (near - target) ** 2).mean()
    adam.zero_grad()
    (policy_loss - ENTROPY * policy.entropy().mean() + VALUE * value_loss).backward()
    nn.utils.clip_grad_norm_(parameters, LARGEST)
    adam.step()
