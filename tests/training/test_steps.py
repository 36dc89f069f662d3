"""Whatever step is taken, a run has the same bits in any bundle and goes on with them."""

from functools import partial

import numpy as np
import pytest
import torch

from pglab.algorithms import objectives as o
from pglab.algorithms.losses import Estimator
from pglab.models.networks import MLP
from pglab.training.arm import BatchSize
from pglab.training.bundle import Bundle
from pglab.training.natural import Natural
from pglab.training.observations import Standardized
from pglab.training.segments import Segments
from pglab.training.trust_region import TrustRegion
from tests.training.lessons import gae
from tests.training.outcome import policies, rows_of

SGD = torch.optim.SGD


def test_a_step_to_infinity_is_not_taken_and_leaves_other_runs_alone(make_arm, make_shapes, train):
    def natural(rate):
        return make_arm(step_rule=Natural(), optimizer=partial(SGD, lr=rate), updates=2, seeds=[0, 1])

    bundle = train(make_shapes(), [natural(1e38), natural(0.05)])
    assert bundle.history[0][0].diverged.all()
    assert all(np.isfinite(array).all() for array in bundle.parameters()[0].values())
    assert policies(bundle, 1) == policies(train(make_shapes(), [natural(0.05)]), 0)


CHOICES = {
    "natural": {"step_rule": Natural(), "optimizer": partial(SGD, lr=0.1)},
    "few iterations": {"step_rule": Natural(0.1, 2), "optimizer": partial(torch.optim.Adam, lr=1e-2)},
    "beside a critic": {
        "step_rule": Natural(), "weighting": gae(fit="with_policy"), "estimator": Estimator(clip_norm=0.5),
    },
    "trust region": {"step_rule": TrustRegion(), "objective": o.Ratio()},
    "wide": {
        "step_rule": TrustRegion(0.5, 1e-4), "objective": o.Clip(), "weighting": gae(fit="with_policy"),
        "estimator": Estimator(entropy_bonus=0.01, normalize="batch"),
    },
    "first order": {},
}  # fmt: skip


def arms(make_arm, seeds, batch):
    plain = {"gamma": 0.97, "weighting": gae(), "updates": 3, "batch": batch, "seeds": seeds}
    return [make_arm(**{**plain, **choice}) for choice in CHOICES.values()]


@pytest.fixture(
    params=[(Segments(3, 16), MLP((16,))), (BatchSize(steps=60), Standardized(2.0).of(MLP((16,))))],
    ids=["segments", "episodes, standardised"],
)
def small(request, make_shapes):
    """A batch, and shapes that it is played in."""
    batch, network = request.param
    return batch, make_shapes(network=network)


def test_every_step_has_the_same_bits_alone_and_in_a_bundle(make_arm, train, small):
    batch, shapes = small
    together = train(shapes, arms(make_arm, [4, 1], batch))
    backwards = train(shapes, arms(make_arm, [1, 7, 4], batch)[::-1])
    for number, arm in enumerate(arms(make_arm, [1], batch)):
        alone = train(shapes, [arm])
        assert rows_of(together, number, 1) == rows_of(backwards, len(CHOICES) - 1 - number, 0) == rows_of(alone, 0, 0)
        own = {name: array[1:].tobytes() for name, array in together.parameters()[number].items()}
        assert own == policies(alone, 0)
    assert len({tuple(policies(together, number).values()) for number in range(len(CHOICES))}) == len(CHOICES)


def test_every_step_goes_on_from_a_state_with_the_same_bits(make_arm, train, small):
    batch, shapes = small
    whole = train(shapes, arms(make_arm, [4, 1], batch))
    first, second = (Bundle(shapes, arms(make_arm, [4, 1], batch)) for _ in range(2))
    first.step()
    second.restore(first.state())
    while not second.finished:
        second.step()
    for mine, theirs in zip(second.state(), whole.state(), strict=True):
        assert [name for name in mine if not torch.equal(mine[name].nan_to_num(), theirs[name].nan_to_num())] == []


def test_only_arms_whose_step_measures_itself_have_columns_of_it(make_arm, make_shapes, train):
    bundle = train(make_shapes(), arms(make_arm, [0], BatchSize(steps=60)))
    shown = [set(history[0].columns()) for history in bundle.history]
    plain = shown[-1]
    assert not [name for name in plain if name.startswith("step_")]
    assert [sorted(names - plain) for names in shown[:-1]] == [["step_kl", "step_length"]] * 3 + [
        ["step_backtracks", "step_kl", "step_length"]
    ] * 2
