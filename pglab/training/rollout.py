"""Playing whole episodes of many runs at once, taken in order of start.

Episodes are played in *waves*: every episode of a wave begins at step 0 together. A run's
episodes are laid out in *blocks* of C lanes, and a block is the unit of all batched arithmetic:
its shape is the same whatever else is in the bundle, so its bits are too. Blocks whose episodes
have all ended are dropped along the way.

Episode e of update u is the same whichever wave, block or lane plays it. The batch is the
shortest run of episodes 0, 1, 2, … that meets the target, which is what a sequential collector
takes: long and short episodes have the same chance to be in it. Episodes begun beyond that are
thrown away; they are the price of playing side by side and are not counted.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pglab.envs.world import Parking, World
from pglab.models.model import Policy
from pglab.training.episodes import Episodes
from pglab.training.randomness import fold_in, uniform, uniforms

SEGMENT = 16  # steps between two looks at which episodes have ended
SURPLUS = 1.1  # episodes begun for each one expected to be needed


@dataclass(frozen=True)
class Target:
    """When the batches of R runs are complete: both minima reached, `[R]` each."""

    steps: np.ndarray
    episodes: np.ndarray


@dataclass(frozen=True)
class Streams:
    """Keys of R runs for one update (or evaluation), `[R]` each; `problems` is the same for all of them."""

    first_states: Tensor
    transitions: Tensor
    actions: Tensor
    problems: Tensor


class _Wave:
    """Blocks of lanes that begin together, and what happened in each lane."""

    def __init__(self, run: np.ndarray, first_episode: np.ndarray, lanes: int) -> None:
        self.run = run  # [B] ascending
        self.episode = first_episode[:, None] + np.arange(lanes)  # [B, C]
        self.begun = np.ones(self.episode.shape, dtype=bool)
        self.length = np.zeros(self.episode.shape, dtype=np.int64)
        self.alive = np.ones(self.episode.shape, dtype=bool)
        self.terminated = np.zeros(self.episode.shape, dtype=bool)
        self.truncated = np.zeros(self.episode.shape, dtype=bool)
        self.last_obs: Tensor | None = None  # [B, C, D]
        self.segments: list[tuple[Tensor, Tensor, Tensor]] = []
        self.positions: list[np.ndarray] = []  # where a block lies in a segment, [B]

    def needed(self, played: np.ndarray, target: Target) -> np.ndarray:
        """Lanes `[B, C]` that the batch may still need, as far as their lengths are known.

        `played` `[R]` counts the steps of the run's earlier waves. Lengths only grow, so a lane
        that is not needed now never will be.
        """
        lengths = self.length.reshape(-1)
        before = np.cumsum(lengths) - lengths
        run = np.repeat(self.run, self.episode.shape[1])
        first = np.searchsorted(run, run)
        steps = played[run] + before - before[first]
        short = (steps < target.steps[run]) | (self.episode.reshape(-1) < target.episodes[run])
        return short.reshape(self.length.shape) & self.begun

    def close(self, live: np.ndarray, terminated: Tensor, truncated: Tensor, last_obs: Tensor) -> None:
        """Takes note of the episodes that ended in a segment; the arguments are `[n, L, C]`."""
        ended = terminated | truncated
        first = ended.to(torch.int8).argmax(0, keepdim=True)
        flags = torch.stack((ended.any(0), terminated.gather(0, first)[0], truncated.gather(0, first)[0]))
        any_ended, was_terminated, was_truncated = flags.cpu().numpy()
        steps = np.where(any_ended, first[0].cpu().numpy() + 1, len(ended))
        alive = self.alive[live]
        self.length[live] += np.where(alive, steps, 0)
        ending = alive & any_ended
        self.alive[live] = alive & ~any_ended
        self.terminated[live] |= ending & was_terminated
        self.truncated[live] |= ending & was_truncated
        cut = ending & was_truncated
        if cut.any():
            block, lane = np.nonzero(cut)
            if self.last_obs is None:
                self.last_obs = torch.zeros(*self.length.shape, last_obs.shape[-1], device=last_obs.device)
            self.last_obs[live[block], lane] = last_obs[block, lane]


def collect(
    world: World,
    policy: Policy,
    parameters: Tensor,
    streams: Streams,
    target: Target,
    expected_length: np.ndarray,
    lanes: int,
) -> Episodes:
    """Plays the batches of R runs.

    Args:
        parameters: flat policy parameters, `[R, P]`.
        streams: random keys of the runs.
        target: when a run's batch is complete.
        expected_length: guess of each run's mean episode length, `[R]`, NaN where unknown; it
            decides how many episodes to begin at once, never what is in the batch.
        lanes: C, episodes a block.
    """
    runs = len(parameters)
    played, begun = np.zeros(runs, dtype=np.int64), np.zeros(runs, dtype=np.int64)
    pending = np.arange(runs)
    waves = []
    with torch.inference_mode():
        while len(pending):
            count = _episodes_to_begin(pending, played, begun, target, expected_length, lanes)
            blocks = -(-count // lanes)
            if blocks.sum() == 1:  # a matrix product alone in its batch would have other bits
                blocks += 1
            run = np.repeat(pending, blocks)
            order = np.arange(len(run)) - np.repeat(np.cumsum(blocks) - blocks, blocks)
            wave = _Wave(run, begun[run] + order * lanes, lanes)
            if isinstance(world, Parking):  # elsewhere the rest of a block costs nothing
                wave.begun = wave.episode < (begun[pending] + count).repeat(blocks)[:, None]
            _play(wave, world, policy, parameters, streams, played, target)
            wave.alive = wave.needed(played, target)
            steps = np.where(wave.alive, wave.length, 0).sum(1)
            np.add.at(played, run, steps)
            np.add.at(begun, run, wave.alive.sum(1))
            waves.append(wave)
            met = (played >= target.steps) & (begun >= target.episodes)
            pending = pending[~met[pending]]
    return _pack(waves)


def _episodes_to_begin(
    pending: np.ndarray,
    played: np.ndarray,
    begun: np.ndarray,
    target: Target,
    expected_length: np.ndarray,
    lanes: int,
) -> np.ndarray:
    """How many episodes of each pending run to begin at once; a block where nothing is known."""
    length = np.where(begun > 0, played / np.maximum(begun, 1), expected_length)[pending]
    by_steps = (target.steps - played)[pending] / length * SURPLUS
    by_episodes = (target.episodes - begun)[pending]
    count = np.fmax(np.where(np.isnan(by_steps), lanes, by_steps), by_episodes)
    return np.maximum(np.ceil(count), 1).astype(np.int64)


def _play(
    wave: _Wave,
    world: World,
    policy: Policy,
    parameters: Tensor,
    streams: Streams,
    played: np.ndarray,
    target: Target,
) -> None:
    device = parameters.device
    run = torch.from_numpy(wave.run).to(device)
    episode = torch.from_numpy(wave.episode).to(device)
    keys = {name: fold_in(getattr(streams, name)[run][:, None], episode) for name in ("transitions", "actions")}
    first_keys = fold_in(streams.first_states[run][:, None], episode)
    state = world.reset(reset_uniforms(world, streams.problems[run][:, None], first_keys))
    flat = parameters[run]
    weights = policy.model.layout.unflatten(flat)
    wave.alive &= wave.needed(played, target)
    live = np.arange(len(wave.run))
    t = 0
    while wave.alive.any():
        if isinstance(world, Parking):
            world.park(state, torch.from_numpy(wave.alive[live]))
        steps = SEGMENT if world.horizon is None else min(SEGMENT, world.horizon - t)
        shape = (steps, len(live), wave.episode.shape[1])
        times = torch.arange(t, t + steps, device=device)[:, None, None]
        action_uniform = uniform(fold_in(keys["actions"], times))
        step_uniform = uniforms(fold_in(keys["transitions"], times), world.step_draws, torch.float32)
        log_obs = torch.empty(*shape, world.observation.stored, device=device)
        log_action = torch.empty(shape, dtype=torch.int64, device=device)
        log_reward = torch.empty(shape, device=device)
        terminated = torch.empty(shape, dtype=torch.bool, device=device)
        truncated = torch.zeros(shape, dtype=torch.bool, device=device)
        for j in range(steps):
            obs = world.observe(state)
            action = policy.act(weights, obs, action_uniform[j])
            step = world.step(state, action, step_uniform[j])
            log_obs[j].copy_(obs)
            log_action[j].copy_(action)
            log_reward[j].copy_(step.reward)
            terminated[j].copy_(step.terminated)
            if step.truncated is not None:
                truncated[j].copy_(step.truncated)
            state = step.state
        t += steps
        if t == world.horizon:
            truncated[-1] = True
        position = np.full(len(wave.run), -1)
        position[live] = np.arange(len(live))
        wave.positions.append(position)
        wave.segments.append((log_obs, log_action, log_reward))
        wave.close(live, terminated, truncated, world.observe(state))
        wave.alive &= wave.needed(played, target)
        stay = np.asarray(wave.alive[live].any(1))
        if stay.sum() == 1:  # a matrix product alone in its batch would have other bits
            stay[np.flatnonzero(~stay)[:1]] = True
        if not stay.all():
            live = live[stay]
            index = torch.from_numpy(np.flatnonzero(stay)).to(device)
            state = tuple(part.index_select(0, index) for part in state)
            keys = {name: key.index_select(0, index) for name, key in keys.items()}
            flat = flat.index_select(0, index)
            weights = policy.model.layout.unflatten(flat)


def reset_uniforms(world: World, problems: Tensor, first_states: Tensor) -> Tensor:
    """What `world.reset` takes, `[..., reset_draws]`: the numbers of each run's problem, then the episode's own.

    Args:
        problems: a key of each run, to broadcast to `first_states`.
        first_states: a key of each episode, `[...]`.
    """
    of_run = getattr(world, "problem_draws", 0)
    own = uniforms(first_states, world.reset_draws - of_run, torch.float64)
    if not of_run:
        return own
    return torch.cat((uniforms(problems, of_run, torch.float64).expand(*own.shape[:-1], of_run), own), -1)


def _pack(waves: list[_Wave]) -> Episodes:
    """The needed episodes of all waves, end to end, by run and in order of start."""
    parts, index = [], []
    offset = 0
    for wave in waves:
        lanes = wave.episode.shape[1]
        block, lane = np.nonzero(wave.alive)
        parts.append((wave, block, lane))
        sizes = np.array([segment[1].numel() for segment in wave.segments])
        base = offset + np.cumsum(sizes) - sizes
        width = np.array([segment[1][0].numel() for segment in wave.segments])
        where = np.stack(wave.positions)
        length = wave.length[block, lane]
        t = np.arange(length.sum()) - np.repeat(np.cumsum(length) - length, length)
        b, c = np.repeat(block, length), np.repeat(lane, length)
        segment, j = np.divmod(t, SEGMENT)
        index.append(base[segment] + j * width[segment] + where[segment, b] * lanes + c)
        offset += sizes.sum()
    run = np.concatenate([wave.run[block] for wave, block, _ in parts])
    length = np.concatenate([wave.length[block, lane] for wave, block, lane in parts])
    order = np.argsort(run, kind="stable")
    flat = np.concatenate(index)
    if len(waves) > 1:
        moved = (np.cumsum(length) - length)[order] - (np.cumsum(length[order]) - length[order])
        flat = flat[np.repeat(moved, length[order]) + np.arange(len(flat))]
    segments = [segment for wave in waves for segment in wave.segments]
    device = segments[0][0].device
    steps = torch.from_numpy(flat).to(device)

    def packed(column: int) -> Tensor:
        logs = torch.cat([segment[column].flatten(0, 2) for segment in segments])
        taken = logs.index_select(0, steps)
        return torch.cat((taken, torch.zeros_like(taken[:1])))

    size = segments[0][0].shape[-1]
    last = torch.zeros(len(run), size, device=device)
    at = 0
    for wave, block, lane in parts:
        if wave.last_obs is not None:
            last[at : at + len(block)] = wave.last_obs[block, lane]
        at += len(block)
    return Episodes(
        run[order],
        length[order],
        np.concatenate([wave.terminated[block, lane] for wave, block, lane in parts])[order],
        np.concatenate([wave.truncated[block, lane] for wave, block, lane in parts])[order],
        last[torch.from_numpy(order).to(device)],
        packed(0),
        packed(1),
        packed(2),
    )
