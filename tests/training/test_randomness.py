from itertools import combinations, pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pglab.training.randomness import STREAMS, fold_in, generator, stream_key, stream_keys, uniform

CPU = torch.device("cpu")
MASK = 2**64 - 1
COUNT = 1 << 16
keys = st.integers(-(2**63), 2**63 - 1)


def split_mix(state):
    """The next output of SplitMix64 and its next state, in unsigned integers as published."""
    state = (state + 0x9E3779B97F4A7C15) & MASK
    z = state
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return z ^ (z >> 31), state


def numbers(stream, count=COUNT, seed=0, dtype=torch.float64):
    """Uniforms 0, 1, 2, … under one key."""
    return uniform(fold_in(torch.tensor(stream_key(seed, stream)), torch.arange(count)), dtype)


def test_fold_in_gives_the_published_outputs_of_splitmix64():
    folded = fold_in(torch.tensor(1234567), torch.arange(5))
    assert [key & MASK for key in folded.tolist()] == [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ]


@given(keys)
def test_fold_in_is_the_sequence_of_splitmix64_from_any_key(key):
    state, expected = key & MASK, []
    for _ in range(10):
        output, state = split_mix(state)
        expected.append(output)
    assert [folded & MASK for folded in fold_in(torch.tensor(key), torch.arange(10)).tolist()] == expected


@given(keys, st.integers(0, 2**62))
def test_fold_in_jumps_to_any_index(key, index):
    expected, _ = split_mix((key + index * 0x9E3779B97F4A7C15) & MASK)
    assert fold_in(torch.tensor(key), torch.tensor(index)).item() & MASK == expected


@given(st.lists(keys, min_size=1, max_size=4), st.lists(st.integers(0, 2**40), min_size=1, max_size=4))
def test_a_key_does_not_depend_on_what_is_folded_beside_it(keys, index):
    grid = fold_in(torch.tensor(keys)[:, None], torch.tensor(index))
    for i, key in enumerate(keys):
        for j, at in enumerate(index):
            assert grid[i, j] == fold_in(torch.tensor(key), torch.tensor(at))


def test_the_order_of_coordinates_matters():
    key = torch.tensor(stream_key(0, "actions"))
    a, b = torch.tensor(3), torch.tensor(5)
    assert fold_in(fold_in(key, a), b) != fold_in(fold_in(key, b), a)


def test_nearby_coordinates_give_keys_that_are_all_different():
    run = stream_keys(list(range(8)), "actions", CPU)[:, None, None, None]
    update, episode, step = torch.arange(20)[:, None, None], torch.arange(20)[:, None], torch.arange(100)
    folded = fold_in(fold_in(fold_in(run, update), episode), step)
    assert folded.shape == (8, 20, 20, 100)
    assert len(folded.unique()) == folded.numel()


@given(st.integers(0, 2**64))
def test_the_streams_of_a_seed_are_the_children_of_its_seed_sequence(seed):
    children = np.random.SeedSequence(seed).spawn(len(STREAMS))
    expected = [int(child.generate_state(1, np.uint64)[0]) for child in children]
    assert [stream_key(seed, stream) & MASK for stream in STREAMS] == expected


def test_streams_keep_their_numbers():
    # A stream that moves changes the results of every seed: new ones go to the end.
    assert STREAMS[:8] == (
        "weights",
        "critic_weights",
        "first_states",
        "transitions",
        "actions",
        "evaluation_first_states",
        "evaluation_transitions",
        "evaluation_actions",
    )
    assert stream_key(0, "weights") & MASK == int(
        np.random.SeedSequence(0, spawn_key=(0,)).generate_state(1, np.uint64)[0]
    )


def test_no_two_streams_of_any_seeds_share_a_key():
    assert len({stream_key(seed, stream) for seed in range(500) for stream in STREAMS}) == 500 * len(STREAMS)


def test_keys_of_many_seeds_are_those_of_each():
    seeds = [5, 0, 17, 5]
    for stream in STREAMS:
        assert stream_keys(seeds, stream, CPU).tolist() == [stream_key(seed, stream) for seed in seeds]


def test_an_unknown_stream_is_an_error():
    with pytest.raises(ValueError, match="not in tuple"):
        stream_key(0, "exploration")


def test_generators_repeat_themselves_and_differ_between_streams_and_seeds():
    def draw(seed, stream):
        return torch.rand(8, generator=generator(seed, stream))

    assert torch.equal(draw(3, "weights"), draw(3, "weights"))
    assert not torch.equal(draw(3, "weights"), draw(4, "weights"))
    assert not torch.equal(draw(3, "weights"), draw(3, "critic_weights"))


@given(st.lists(keys, min_size=1, max_size=50))
def test_uniforms_are_the_top_bits_of_their_keys(keys):
    unsigned = [key & MASK for key in keys]
    single, double = (uniform(torch.tensor(keys), dtype) for dtype in (torch.float32, torch.float64))
    assert (single.dtype, double.dtype) == (torch.float32, torch.float64)
    assert (single.double() * 2**24).tolist() == [key >> 40 for key in unsigned]
    assert (double * 2**53).tolist() == [key >> 11 for key in unsigned]
    assert torch.equal((double * 2**24).floor(), single.double() * 2**24)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_uniforms_reach_zero_and_never_one(dtype):
    extremes = uniform(torch.tensor([0, -1, 2**63 - 1, -(2**63)]), dtype)
    unit = 2.0**-24 if dtype == torch.float32 else 2.0**-53
    assert extremes.tolist() == [0.0, 1 - unit, 0.5 - unit, 0.5]


@pytest.mark.parametrize("stream", STREAMS)
def test_uniforms_have_the_moments_of_a_uniform(stream):
    u = numbers(stream)
    for power in (1, 2, 3, 4):
        mean, variance = 1 / (power + 1), 1 / (2 * power + 1) - 1 / (power + 1) ** 2
        assert abs(u.pow(power).mean().item() - mean) < 4 * (variance / COUNT) ** 0.5
    counts = torch.histc(u, 64, 0, 1)
    chi_square = ((counts - COUNT / 64) ** 2 / (COUNT / 64)).sum().item()
    assert abs(chi_square - 63) < 4 * (2 * 63) ** 0.5


def correlation(x, y):
    return torch.corrcoef(torch.stack((x, y)))[0, 1].item()


@pytest.mark.parametrize("lag", [1, 2, 3, 16, 64])
def test_uniforms_are_not_correlated_with_those_that_follow(lag):
    u = numbers("actions")
    assert abs(correlation(u[:-lag], u[lag:])) < 4 / COUNT**0.5


def test_streams_are_not_correlated():
    streams = [numbers(stream) for stream in STREAMS]
    for one, other in combinations(streams, 2):
        assert abs(correlation(one, other)) < 4 / COUNT**0.5


def test_neighbouring_seeds_updates_and_episodes_are_not_correlated():
    seeds = [numbers("actions", seed=seed) for seed in range(6)]
    key = torch.tensor(stream_key(0, "actions"))
    folded = fold_in(key, torch.arange(6))[:, None]
    updates = list(uniform(fold_in(folded, torch.arange(COUNT)), torch.float64))
    for neighbours in (seeds, updates):
        for one, other in pairwise(neighbours):
            assert abs(correlation(one, other)) < 4 / COUNT**0.5
