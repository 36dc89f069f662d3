"""Whole episodes of many runs, one run after another, each in lanes that are never idle.

Which episodes a batch holds is said in `pglab.training.rollout`: the shortest run of episodes 0, 1, 2, … that meets
the target. An episode is a function of its keys, so a lane begins the next one as soon as it is free, as long as that
one may still be needed; one that is not needed any more is let go.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba.extending import register_jitable

from pglab.native.compiling import compiled
from pglab.native.draws import fold_in
from pglab.native.lanes import Kind, begins, looks, steps
from pglab.native.vector import WIDTH, at, put

PLAYED, FULL_RESULT, FULL_LOG = range(3)  # how a call ended: with all runs, or for want of room
CHECK = 8  # steps between two looks at which lanes are still needed
STREAM, OFFSET, LENGTH, ENDED = range(4)  # of an episode in the log
TERMINATED, TRUNCATED, BOTH = 1, 2, 3


@register_jitable
def first_unneeded(table, first, before, following, steps_wanted, episodes_wanted):  # type: ignore[no-untyped-def]
    """The first episode from `first` on that the batch does not need, as far as lengths are known.

    Args:
        before: steps of the episodes before the first.
    """
    episode = first
    while episode < following and (before < steps_wanted or episode < episodes_wanted):
        before += table[episode, LENGTH]
        episode += 1
    return episode


def episodes_player(kind: Kind) -> Any:
    """The compiled player of one kind."""
    begin, advance, look = begins(kind), steps(kind), looks(kind)
    numbers, states, resets = max(kind.numbers, 1), kind.states, kind.resets
    uniforms = max(kind.draws, kind.steps, 1)

    @compiled(*kind.parts)
    def play(  # type: ignore[no-untyped-def]
        flat, sizes, free, clip, low, high, constants, horizon, group, stored,
        first_states, transitions, actions, problems, target_steps, target_episodes, lanes_of, log, streams,
        run, episodes, steps_before, of_run, length, ended, last_obs, obs, action, reward,
    ):  # fmt: skip
        """Plays from a run on; returns how it ended, the run that comes next, and the episodes and steps by now.

        Args:
            flat, sizes, free, clip: see `pglab.native.network.forward`; `flat` is `[K, Q]`.
            low, high: bounds of an action's numbers.
            horizon: steps after which an episode is truncated.
            group: consecutive episodes that share a prompt.
            stored: numbers of an observation.
            first_states, transitions, actions, problems: keys of each run.
            target_steps, target_episodes: of each run; 0 and 0: it does not play.
            lanes_of: how many lanes each run is played in, a multiple of `WIDTH`.
            log, streams: room for the episodes of one run in so many streams.
            run, episodes, steps_before: the first run to play, and what the results hold of those before it.
            of_run, length, ended, last_obs: of each episode; `ended` is `TERMINATED`, `TRUNCATED` or `BOTH`.
            obs, action, reward: of each step, flat but for the reward.
        """
        width = np.int64(0)
        for size in sizes:
            width += size
        values = np.zeros((width + sizes[0] + free) * streams, np.float32)
        work = np.zeros((uniforms + 3) * streams, np.float32)
        acted, taken = np.zeros(numbers * streams, np.float32), np.zeros(numbers * streams, np.float32)
        earned, terminated = np.zeros(streams, np.float32), np.zeros(streams, np.bool_)
        state, scratch, seen = np.zeros(states * streams), np.zeros(resets + 1), np.zeros(stored)
        acting, moving = np.zeros(streams, np.uint64), np.zeros(streams, np.uint64)
        time, number, drop = np.zeros(streams, np.int64), np.zeros(streams, np.int64), np.zeros(streams, np.bool_)
        stream, offset = np.zeros(streams, np.int64), np.zeros(streams, np.int64)
        row = stored + numbers + 1
        capacity = len(log) // (streams * row)
        table = np.zeros((0, 4), np.int64)

        while run < len(flat):
            steps_wanted, episodes_wanted = target_steps[run], target_episodes[run]
            if steps_wanted <= 0 and episodes_wanted <= 0:
                run += 1
                continue
            needs = max(steps_wanted, episodes_wanted) + streams + 1  # an episode has a step at least
            if len(table) < needs:
                table = np.zeros((needs, 4), np.int64)
            parameters = flat[run]
            playing, following, total, ticks = 0, 0, 0, 0
            first, before = 0, 0  # the first episode that has not ended, and the steps before it
            for lane in range(lanes_of[run]):
                stream[lane], offset[lane] = lane, 0

            while True:
                # Fills the lanes that are free: after those that play, with their streams.
                while playing < lanes_of[run] and (total < steps_wanted or following < episodes_wanted):
                    lane = playing
                    key = fold_in(first_states[run], following)
                    prompt = key if group == 1 else fold_in(first_states[run], following // group)
                    begin(state, streams, lane, problems[run], key, prompt, scratch, constants)
                    acting[lane], moving[lane] = fold_in(actions[run], following), fold_in(transitions[run], following)
                    time[lane], number[lane], drop[lane] = 0, following, False
                    table[following, ENDED], table[following, LENGTH] = 0, 0
                    playing += 1
                    following += 1
                if playing == 0:
                    break
                lanes = -(-playing // WIDTH) * WIDTH
                advance(
                    parameters, sizes, free, clip, low, high, constants, state, streams, lanes,
                    acting, moving, time, values, work, acted, taken, earned, terminated,
                )  # fmt: skip
                total += playing
                ticks += 1
                freed = False
                for lane in range(playing):
                    place = (stream[lane] * capacity + offset[lane] + time[lane]) * row
                    for i in range(stored):
                        put(log, place + i, at(values, i * lanes + lane))
                    for i in range(numbers):
                        put(log, place + stored + i, at(acted, i * lanes + lane))
                    put(log, place + stored + numbers, at(earned, lane))
                    time[lane] += 1
                    freed |= terminated[lane] | (time[lane] == horizon)
                if total >= steps_wanted and following >= episodes_wanted and (freed or ticks % CHECK == 0):
                    for lane in range(playing):
                        table[number[lane], LENGTH] = time[lane]
                    while first < following and table[first, ENDED]:
                        before += table[first, LENGTH]
                        first += 1
                    beyond = first_unneeded(table, first, before, following, steps_wanted, episodes_wanted)
                    for lane in range(playing):
                        drop[lane] = number[lane] >= beyond
                        freed |= drop[lane]
                if not freed:
                    for lane in range(playing):
                        if offset[lane] + time[lane] + 2 > capacity:
                            return FULL_LOG, run, episodes, steps_before
                    continue
                # From the last lane on, so that one which takes the place of another has been looked at.
                for back in range(lanes_of[run]):
                    lane = lanes_of[run] - 1 - back
                    if lane >= playing:
                        continue
                    over = time[lane] == horizon
                    if not (terminated[lane] or over or drop[lane]):
                        if offset[lane] + time[lane] + 2 > capacity:
                            return FULL_LOG, run, episodes, steps_before
                        continue
                    if over:
                        look(state, streams, lane, seen, constants)
                        place = (stream[lane] * capacity + offset[lane] + time[lane]) * row
                        for i in range(stored):
                            log[place + i] = seen[i]
                    episode = number[lane]
                    table[episode, STREAM], table[episode, OFFSET] = stream[lane], offset[lane]
                    table[episode, LENGTH] = time[lane]
                    table[episode, ENDED] = (TERMINATED if terminated[lane] else 0) + (TRUNCATED if over else 0)
                    offset[lane] += time[lane] + 1
                    if offset[lane] + 2 > capacity:
                        return FULL_LOG, run, episodes, steps_before
                    playing -= 1
                    if lane < playing:
                        for i in range(states):
                            state[i * streams + lane] = state[i * streams + playing]
                        acting[lane], moving[lane] = acting[playing], moving[playing]
                        time[lane], number[lane] = time[playing], number[playing]
                        stream[lane], stream[playing] = stream[playing], stream[lane]
                        offset[lane], offset[playing] = offset[playing], offset[lane]

            count = first_unneeded(table, 0, 0, following, steps_wanted, episodes_wanted)
            total = 0
            for episode in range(count):
                total += table[episode, LENGTH]
            if episodes + count > len(of_run) or steps_before + total >= len(reward):  # one is for padding
                return FULL_RESULT, run, episodes, steps_before
            for episode in range(count):
                steps = table[episode, LENGTH]
                of_run[episodes], length[episodes], ended[episodes] = run, steps, table[episode, ENDED]
                place = (table[episode, STREAM] * capacity + table[episode, OFFSET]) * row
                for step in range(steps_before, steps_before + steps):
                    for i in range(stored):
                        put(obs, step * stored + i, at(log, place + i))
                    for i in range(numbers):
                        put(action, step * numbers + i, at(log, place + stored + i))
                    put(reward, step, at(log, place + stored + numbers))
                    place += row
                for i in range(stored):
                    last_obs[episodes * stored + i] = log[place + i] if table[episode, ENDED] & TRUNCATED else 0.0
                steps_before += steps
                episodes += 1
            run += 1
        return PLAYED, run, episodes, steps_before

    return play
