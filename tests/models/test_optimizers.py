import math
from functools import partial

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import optim

from pglab.models.optimizers import Rows, check_rows_apart
from tests.slow import first

OPTIMIZERS = {
    "sgd": partial(optim.SGD, lr=0.1),
    "momentum": partial(optim.SGD, lr=0.1, momentum=0.9),
    "nesterov": partial(optim.SGD, lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.01),
    "adam": partial(optim.Adam, lr=0.01),
    "amsgrad": partial(optim.Adam, lr=0.01, amsgrad=True),
    "adamw": partial(optim.AdamW, lr=0.01, weight_decay=0.1),
    "rmsprop": partial(optim.RMSprop, lr=0.01, momentum=0.5, centered=True),
    "adagrad": partial(optim.Adagrad, lr=0.01),
    "nadam": partial(optim.NAdam, lr=0.01),
}
each_optimizer = pytest.mark.parametrize("make", OPTIMIZERS.values(), ids=OPTIMIZERS.keys())
SIZE = 128


def everyone(runs):
    return torch.ones(runs, dtype=torch.bool)


def random(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def play(rows, steps):
    """Parameters after `(gradient, may_change)` steps."""
    for gradient, may_change in steps:
        rows.step(gradient, torch.tensor(may_change))
    return rows.parameters


@each_optimizer
@given(st.integers(1, 5), st.integers(0, 1000))
def test_an_optimizer_takes_the_same_steps_on_stacked_rows_as_on_each_row_alone(make, runs, seed):
    start = random(runs, SIZE, seed=seed)
    together, alone = Rows(start.clone(), make), [Rows(row[None].clone(), make) for row in start]
    for t in range(4):
        gradient = random(runs, SIZE, seed=seed + 1 + t)
        assert together.step(gradient, everyone(runs)).all()
        for k, rows in enumerate(alone):
            rows.step(gradient[k : k + 1], everyone(1))
            assert torch.equal(together.parameters[k], rows.parameters[0])


@pytest.mark.parametrize("make", first(3, OPTIMIZERS.values()), ids=OPTIMIZERS.keys())
@given(st.lists(st.lists(st.booleans(), min_size=3, max_size=3), min_size=1, max_size=6))
def test_a_row_that_sometimes_stays_out_is_as_it_would_be_alone(make, pattern):
    start = random(3, SIZE)
    steps = [(random(3, SIZE, seed=t), may_change) for t, may_change in enumerate(pattern)]
    together = play(Rows(start.clone(), make), steps)
    for k in range(3):
        alone = play(Rows(start[k : k + 1].clone(), make), [(g[k : k + 1], [may_change[k]]) for g, may_change in steps])
        assert torch.equal(together[k], alone[0])


@each_optimizer
@given(st.lists(st.lists(st.booleans(), min_size=3, max_size=3), min_size=1, max_size=6), st.integers(0, 6))
def test_a_row_is_where_the_steps_that_it_took_alone_lead(make, pattern, stop):
    """Its counters count its own steps, also after what was stored has been taken up again."""
    start = random(3, SIZE)
    steps = [(random(3, SIZE, seed=t), may_change) for t, may_change in enumerate(pattern)]
    before = Rows(start.clone(), make)
    play(before, steps[:stop])
    after = Rows(start.clone(), make)
    after.restore(before.state())
    together = play(after, steps[stop:])
    for k in range(3):
        own = [(g[k : k + 1], [True]) for g, may_change in steps if may_change[k]]
        assert torch.equal(together[k], play(Rows(start[k : k + 1].clone(), make), own)[0])


@pytest.mark.parametrize("make", [OPTIMIZERS["adamw"], OPTIMIZERS["nesterov"]])
def test_weight_decay_leaves_columns_alone_that_are_fixed(make):
    start, fixed = random(2, SIZE), torch.arange(SIZE) % 3 == 0
    rows = Rows(start.clone(), make, fixed)
    gradient = torch.where(fixed, 0.0, random(2, SIZE, seed=1))
    for _ in range(3):
        rows.step(gradient, everyone(2))
    assert torch.equal(rows.parameters[:, fixed], start[:, fixed])
    assert not (rows.parameters[:, ~fixed] == start[:, ~fixed]).any()


@each_optimizer
@pytest.mark.parametrize("when", [0, 2])
def test_a_step_that_a_row_does_not_take_leaves_no_trace_in_it_and_none_in_its_neighbours(make, when):
    """Neither of its gradient, nor of whether it was forbidden or would have led out of the numbers."""
    usual = [(random(3, SIZE, seed=1 + t), [True, True, True]) for t in range(5)]
    undisturbed = play(Rows(random(3, SIZE), make), usual)
    outcomes = []
    for allowed, bad in ((False, 0.0), (False, 7.0), (False, math.nan), (True, math.nan), (True, math.inf)):
        gradient = usual[when][0].clone()
        gradient[1, SIZE // 2] = bad
        rows = Rows(random(3, SIZE), make)
        before = play(rows, usual[:when])[1].clone()
        assert rows.step(gradient, torch.tensor([True, allowed, True])).tolist() == [True, False, True]
        assert torch.equal(rows.parameters[1], before)
        outcomes.append(play(rows, usual[when + 1 :]))
        assert torch.equal(outcomes[-1][[0, 2]], undisturbed[[0, 2]])
        assert not torch.equal(outcomes[-1][1], before)
        assert torch.equal(outcomes[-1][1], outcomes[0][1])


@pytest.mark.parametrize("make", [OPTIMIZERS[name] for name in ("sgd", "momentum", "nesterov", "rmsprop", "adagrad")])
@given(st.lists(st.booleans(), min_size=1, max_size=6))
def test_without_a_step_counter_a_step_not_taken_might_as_well_not_have_been(make, pattern):
    steps = [(random(1, SIZE, seed=t), [may_change]) for t, may_change in enumerate(pattern)]
    taken = [step for step, may_change in zip(steps, pattern, strict=True) if may_change]
    assert torch.equal(play(Rows(random(1, SIZE), make), steps), play(Rows(random(1, SIZE), make), taken))


def test_a_step_too_large_for_the_numbers_is_not_taken():
    rows = Rows(torch.zeros(2, SIZE), partial(optim.SGD, lr=1e30))
    gradient = torch.ones(2, SIZE)
    gradient[0] = 1e30  # finite, but the step overflows
    assert rows.step(gradient, everyone(2)).tolist() == [False, True]
    assert not rows.parameters[0].any()
    assert torch.equal(rows.parameters[1], torch.full((SIZE,), -1e30))


@pytest.mark.parametrize("make", [OPTIMIZERS[name] for name in ("adam", "adamw", "rmsprop", "adagrad", "nadam")])
def test_a_step_whose_square_overflows_is_not_taken(make):
    # The step itself would be finite, even zero: without a mark, the run would stand still for good.
    rows = Rows(random(2, SIZE), make)
    gradient = torch.ones(2, SIZE)
    gradient[0] = 1e25
    assert rows.step(gradient, everyone(2)).tolist() == [False, True]
    before = rows.parameters.clone()
    assert rows.step(torch.ones(2, SIZE), everyone(2)).all()
    assert (rows.parameters != before).all()


@each_optimizer
def test_steps_change_the_rows_of_a_table_in_place_and_no_others(make):
    table = random(4, SIZE)
    alone = Rows(table[1:3].clone(), make)
    rows = Rows(table[1:3], make)
    for t in range(3):
        gradient = random(2, SIZE, seed=t)
        alone.step(gradient, everyone(2))
        rows.step(gradient, everyone(2))
    assert torch.equal(table[1:3], alone.parameters)
    assert torch.equal(table[[0, 3]], random(4, SIZE)[[0, 3]])
    assert not torch.equal(table[1:3], random(4, SIZE)[1:3])
    assert not rows.parameters.requires_grad
    assert not table.requires_grad


@each_optimizer
def test_an_optimizer_that_works_element_by_element_is_accepted(make):
    check_rows_apart(make)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (partial(optim.LBFGS, lr=0.1), "LBFGS cannot take a step on stacked runs: .*closure"),
        (partial(optim.Muon, lr=0.1), "Muon couples runs: .* Choose one that works element by element"),
        (partial(optim.Adafactor, lr=0.1), "Adafactor couples runs"),
        (partial(optim.SGD, lr=-1.0), "SGD: Invalid learning rate"),
        (partial(optim.SGD, speed=1.0), "SGD: .*unexpected keyword argument 'speed'"),
    ],
    ids=lambda value: getattr(getattr(value, "func", None), "__name__", ""),
)
def test_an_optimizer_that_mixes_rows_or_cannot_be_made_is_refused_with_the_reason(make, message):
    with pytest.raises(ValueError, match=message):
        check_rows_apart(make)


class SharedNorm(optim.Optimizer):
    """Divides by the norm of the whole gradient: fine for one run, wrong for several."""

    def __init__(self, params):
        super().__init__(params, {})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                p -= 0.01 * p.grad / p.grad.norm()


def test_an_optimizer_of_ones_own_that_divides_by_a_common_norm_is_refused():
    with pytest.raises(ValueError, match="SharedNorm couples runs"):
        check_rows_apart(SharedNorm)
