"""One wave: banks of lanes whose episodes begin together, played until nobody needs them.

Every few steps the lanes that still play are moved together, so that few are computed that do not.
"""

from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from pglab.bits import IMAGE, close_up
from pglab.envs.spaces import as_space, type_of
from pglab.envs.world import Parking, Preparing, World
from pglab.models.model import Policy
from pglab.training.episodes import Episodes
from pglab.training.randomness import Streams, fold_in, reset_uniforms, uniform, uniforms

SEGMENT = 16  # steps between two looks at which episodes have ended


@dataclass
class Wave:
    """B banks of C lanes, and what happened in each lane; a lane is known by its place among the B × C.

    Attributes:
        run: row of each bank's run, `[B]`, ascending.
        episode: number of the episode in each lane, `[B, C]`.
        begun: lanes that play, `[B, C]`.
        missing_steps, wanted_episodes: what the bank's run still lacks, in steps, and has to have, in episodes, `[B]`.
        group: consecutive episodes that share a prompt.
        alive: lanes that still play; after the wave those that belong to the batch, `[B, C]`.
        length, terminated, truncated: of the episodes so far, `[B, C]`.
        last_obs: the observation after the last step of truncated episodes, `[B, C, D]`.
        segments: obs, action and reward of `SEGMENT` steps each, `[L, w, …]`.
        positions: where a lane lies in a segment, `[B, C]` each.
    """

    run: np.ndarray
    episode: np.ndarray
    begun: np.ndarray
    missing_steps: np.ndarray
    wanted_episodes: np.ndarray
    group: int = 1
    alive: np.ndarray = field(init=False)
    length: np.ndarray = field(init=False)
    terminated: np.ndarray = field(init=False)
    truncated: np.ndarray = field(init=False)
    last_obs: Tensor | None = None
    segments: list[tuple[Tensor, Tensor, Tensor]] = field(default_factory=list)
    positions: list[np.ndarray] = field(default_factory=list)

    def __post_init__(self) -> None:
        shape = self.episode.shape
        self.alive, self.length = np.ones(shape, dtype=bool), np.zeros(shape, dtype=np.int64)
        self.terminated, self.truncated = np.zeros(shape, dtype=bool), np.zeros(shape, dtype=bool)

    @property
    def needed(self) -> np.ndarray:
        """Lanes `[B, C]` that the batch may still need, as far as their lengths are known.

        Lengths only grow, so a lane that is not needed now never will be.
        """
        lengths = self.length.reshape(-1)
        before = np.cumsum(lengths) - lengths
        first = np.searchsorted(self.run, self.run) * self.length.shape[1]
        steps = before.reshape(self.length.shape) - before[first][:, None]
        short = (steps < self.missing_steps[:, None]) | (self.episode < self.wanted_episodes[:, None])
        return short & self.begun

    def lives(self, lanes: np.ndarray) -> np.ndarray:
        """Of some lanes `[b, C]` those that still play."""
        return self.alive.reshape(-1)[lanes]

    def keep(self, lanes: np.ndarray, *logs: Tensor) -> None:
        """Takes what happened in a segment `[L, b, C, …]` in some lanes `[b, C]`; of images only what episodes need."""
        position = np.full(self.length.size, -1)
        wanted = np.ones(lanes.shape, dtype=bool)
        obs, action, reward = (log.flatten(1, 2) for log in logs)
        if obs.shape[-1] > IMAGE:
            wanted = self.lives(lanes)
            which = torch.from_numpy(np.flatnonzero(wanted)).to(obs.device)
            obs, action, reward = (log.index_select(1, which) for log in (obs, action, reward))
        position[lanes[wanted]] = np.arange(wanted.sum())
        self.positions.append(position.reshape(self.length.shape))
        self.segments.append((obs, action, reward))

    def close(self, lanes: np.ndarray, terminated: Tensor, truncated: Tensor, last_obs: Tensor) -> None:
        """Takes note of the episodes that ended in a segment; the arguments are `[b, C]`, `[L, b, C]`, `[b, C, D]`."""
        ended = terminated | truncated
        first = ended.to(torch.int8).argmax(0, keepdim=True)
        flags = torch.stack((ended.any(0), terminated.gather(0, first)[0], truncated.gather(0, first)[0]))
        any_ended, was_terminated, was_truncated = flags.cpu().numpy()
        steps = np.where(any_ended, first[0].cpu().numpy() + 1, len(ended))
        alive = self.lives(lanes)
        ending = alive & any_ended
        cut = ending & was_truncated
        self.length.reshape(-1)[lanes] += np.where(alive, steps, 0)
        self.alive.reshape(-1)[lanes] = alive & ~any_ended
        self.terminated.reshape(-1)[lanes] |= ending & was_terminated
        self.truncated.reshape(-1)[lanes] |= cut
        if cut.any():
            if self.last_obs is None:
                self.last_obs = last_obs.new_zeros(*self.length.shape, last_obs.shape[-1])
            self.last_obs.flatten(0, 1)[lanes[cut]] = last_obs[cut]


def play(wave: Wave, world: World, policy: Policy, parameters: Tensor, streams: Streams) -> None:
    """Plays a wave to its end; afterwards its lanes are `alive` that belong to the batch."""
    device, space = parameters.device, as_space(world.actions)
    run = torch.from_numpy(wave.run).to(device)
    episode = torch.from_numpy(wave.episode).to(device)
    transitions, actions = (fold_in(key[run][:, None], episode) for key in (streams.transitions, streams.actions))
    first_keys = fold_in(streams.first_states[run][:, None], episode)
    prompts = None if wave.group == 1 else fold_in(streams.first_states[run][:, None], episode // wave.group)
    if isinstance(world, Preparing):
        world.prepare(torch.from_numpy(wave.begun))
    state = world.reset(reset_uniforms(world, streams.problems[run][:, None], first_keys, prompts))
    flat = parameters[run]
    acting = policy.acting(flat)
    wave.alive &= wave.needed
    lanes, in_bank = np.arange(wave.episode.size).reshape(wave.episode.shape), wave.episode.shape[1]
    by_bank = isinstance(world, Parking)  # its lanes that do not play cost nothing, and stay where they are
    t = 0
    while wave.alive.any():
        if isinstance(world, Parking):
            world.park(state, torch.from_numpy(wave.lives(lanes)))
        steps = SEGMENT if world.horizon is None else min(SEGMENT, world.horizon - t)
        shape = (steps, *lanes.shape)
        times = torch.arange(t, t + steps, device=device)[:, None, None]
        action_uniform = action_uniforms(policy, fold_in(actions, times))
        step_uniform = uniforms(fold_in(transitions, times), world.step_draws, torch.float32)
        log_obs = torch.empty(*shape, world.observation.stored, dtype=type_of(world.observation), device=device)
        log_action = torch.empty(*shape, *space.axes, dtype=space.dtype, device=device)
        log_reward = torch.empty(shape, device=device)
        terminated = torch.empty(shape, dtype=torch.bool, device=device)
        truncated = torch.zeros(shape, dtype=torch.bool, device=device)
        for j in range(steps):
            obs = world.observe(state)
            action = acting(obs, action_uniform[j])
            step = world.step(state, policy.taken(action), step_uniform[j])
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
        wave.keep(lanes, log_obs, log_action, log_reward)
        wave.close(lanes, terminated, truncated, world.observe(state))
        wave.alive &= wave.needed
        playing = wave.lives(lanes)
        if by_bank:
            playing[:] = playing.any(1, keepdims=True)
        kept = close_up(wave.run[lanes[:, 0] // in_bank], playing)
        if kept is not None:
            lanes, places = lanes.reshape(-1)[kept], torch.from_numpy(kept).to(device)
            banks = places[:, 0] // in_bank
            state = tuple(part[banks] if by_bank else part.flatten(0, 1)[places] for part in state)
            transitions, actions = transitions.flatten()[places], actions.flatten()[places]
            flat = flat[banks]
            acting = policy.acting(flat)
    wave.alive = wave.needed


def action_uniforms(policy: Policy, keys: Tensor) -> Tensor:
    """The uniforms behind actions from a key for each: `[...]`, or `[..., draws]` where the head says how many."""
    return uniform(keys) if policy.draws is None else uniforms(keys, policy.draws, torch.float32)


def packed(waves: list[Wave]) -> Episodes:
    """The episodes of all waves that belong to the batches, end to end, by run and in order of start.

    What happened in the waves is taken out of them piece by piece, so that it is never in memory twice.
    """
    parts, index, bases = [], [], []
    offset = 0
    for wave in waves:
        bank, lane = np.nonzero(wave.alive)
        parts.append((wave, bank, lane))
        sizes = np.array([reward.numel() for _, _, reward in wave.segments])
        base = offset + np.cumsum(sizes) - sizes
        width = np.array([reward[0].numel() for _, _, reward in wave.segments])
        where = np.stack(wave.positions)
        length = wave.length[bank, lane]
        t = np.arange(length.sum()) - np.repeat(np.cumsum(length) - length, length)
        b, c = np.repeat(bank, length), np.repeat(lane, length)
        segment, j = np.divmod(t, SEGMENT)
        index.append(base[segment] + j * width[segment] + where[segment, b, c])
        bases.append(base)
        offset += sizes.sum()
    run = np.concatenate([wave.run[bank] for wave, bank, _ in parts])
    length = np.concatenate([wave.length[bank, lane] for wave, bank, lane in parts])
    order = np.argsort(run, kind="stable")
    flat = np.concatenate(index)
    if len(waves) > 1:
        moved = (np.cumsum(length) - length)[order] - (np.cumsum(length[order]) - length[order])
        flat = flat[np.repeat(moved, length[order]) + np.arange(len(flat))]
    last = waves[0].segments[0][0].new_zeros(len(run), waves[0].segments[0][0].shape[-1])
    at = 0
    for wave, bank, lane in parts:
        if wave.last_obs is not None:
            last[at : at + len(bank)] = wave.last_obs[bank, lane]
        at += len(bank)
    obs, action, reward = _taken_out(waves, np.concatenate(bases), flat)
    return Episodes(
        run=run[order],
        length=length[order],
        terminated=np.concatenate([wave.terminated[bank, lane] for wave, bank, lane in parts])[order],
        truncated=np.concatenate([wave.truncated[bank, lane] for wave, bank, lane in parts])[order],
        last_obs=last[torch.from_numpy(order).to(last.device)],
        obs=obs,
        action=action,
        reward=reward,
    )


def _taken_out(waves: list[Wave], bases: np.ndarray, flat: np.ndarray) -> list[Tensor]:
    """Obs, action and reward of some steps and a row of zeros, `[S + 1, …]` each, out of the waves' segments.

    Args:
        bases: where each segment begins, if all are laid end to end.
        flat: where each step is there, `[S]`.
    """
    segments = [segment for wave in waves for segment in wave.segments]
    for wave in waves:
        wave.segments = []
    columns = [log.new_zeros(len(flat) + 1, *log.shape[2:]) for log in segments[0]]
    by_place = np.argsort(flat)
    edges = np.append(np.searchsorted(flat[by_place], bases), len(flat))
    for base, begin, end in reversed(list(zip(bases, edges[:-1], edges[1:], strict=True))):
        steps = by_place[begin:end]
        to, source = (torch.from_numpy(places).to(columns[0].device) for places in (steps, flat[steps] - base))
        for column, log in zip(columns, segments.pop(), strict=True):
            column.index_copy_(0, to, log.flatten(0, 1).index_select(0, source))
    return columns
