"""Images as bytes and convolutions over them: the same function, the same bits in any company, and learning."""

from functools import partial

import numpy as np
import pytest
import torch
from torch.nn import functional

from pglab.algorithms import baselines as b
from pglab.algorithms import weightings as w
from pglab.algorithms.losses import Estimator
from pglab.algorithms.objectives import Clip
from pglab.bits import IMAGE, step_blocks
from pglab.envs.spaces import Box
from pglab.models.convolutions import Conv
from pglab.models.model import Model
from pglab.models.networks import MLP, Normalized, WithoutBias
from pglab.models.parameters import LecunNormal, Orthogonal, PyTorchDefault
from pglab.testing import check_env
from pglab.training.arm import BatchSize
from pglab.training.reuse import Epochs
from pglab.training.segments import Segments
from tests.training.images import SIDE, Dot
from tests.training.test_fusion import results

SMALL = Conv([[4, 8, 4], [8, 3, 2]], [16])
CRITIC = b.Value(
    SMALL, PyTorchDefault(), partial(torch.optim.Adam, lr=1e-3), fit="with_policy", target="lambda_returns"
)


def draw(model, seeds):
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    return model.draw(PyTorchDefault(), generators, torch.device("cpu"))


@pytest.mark.parametrize("activation", ["relu", "tanh"])
@pytest.mark.parametrize(("given", "scaled"), [("unit", (255, 0)), ("centred", (127.5, 1)), ("raw", (1, 0))])
def test_it_is_the_function_of_torchs_own_layers(given, scaled, activation):
    space = Box((3, 20, 28), dtype=torch.uint8)
    model = Model(Conv([[4, 6, 2], [8, 3, 1]], [16], activation, given), space, 5)
    flat = draw(model, range(3))
    obs = torch.randint(0, 256, (3, 32, space.size), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    found = model(model.layout.unflatten(flat), obs)
    for run, images in enumerate(obs.unflatten(-1, space.axes).float() / scaled[0] - scaled[1]):
        own = {name: part[run] for name, part in model.layout.unflatten(flat).items()}
        act = getattr(torch, activation)
        x = act(functional.conv2d(images, own["weight_1"], own["bias_1"], stride=2))
        x = act(functional.conv2d(x, own["weight_2"], own["bias_2"])).flatten(1)
        x = act(functional.linear(x, own["weight_3"], own["bias_3"]))
        expected = functional.linear(x, own["weight_4"], own["bias_4"])
        torch.testing.assert_close(found[run], expected, rtol=1e-3 if given == "raw" else 1e-4, atol=1e-4)


def test_bytes_are_standardised_point_by_point():
    space, generator = Box((1, 20, 20), dtype=torch.uint8), torch.Generator().manual_seed(0)
    model = Model(Normalized(SMALL, 1.5), space, 5)
    flat, (mean, scale) = draw(model, range(2)), torch.rand(2, 2, space.size, generator=generator)
    model.set_buffers(flat, {"observation_mean": 255 * mean, "observation_scale": scale / 50})
    named, obs = model.layout.unflatten(flat), torch.randint(0, 256, (2, 32, space.size), generator=generator)
    standardised = ((obs - 255 * mean[:, None]) * (scale[:, None] / 50)).clamp(-1.5, 1.5)
    expected = SMALL.forward(named, standardised.unflatten(-1, space.axes))
    assert torch.equal(model(named, obs.to(torch.uint8)), expected)


def test_layers_without_biases_are_the_same_layers_with_zeros():
    flat = torch.randn(2, 64, generator=torch.Generator().manual_seed(0))
    space, x = Box(4), torch.randn(2, 32, 4, generator=torch.Generator().manual_seed(1))
    bare, full = Model(WithoutBias((8,), "relu"), space, 2), Model(MLP((8,), "relu"), space, 2)
    named = bare.layout.unflatten(flat)
    assert list(named) == ["weight_1", "weight_2"]
    with_zeros = named | {"bias_1": torch.zeros(2, 8), "bias_2": torch.zeros(2, 2)}
    assert torch.equal(bare(named, x), full(with_zeros, x))


def test_weights_have_the_variance_of_their_inputs():
    drawn = LecunNormal()((64, 4, 8, 8), 256, torch.Generator().manual_seed(0))
    assert float(drawn.std() * 16) == pytest.approx(1.0, abs=0.03)
    assert not LecunNormal()((64,), 256, torch.Generator()).any()
    model = Model(Conv([[16, 4, 4]], []), Box((3, 8, 8), dtype=torch.uint8), 2)
    named = model.layout.unflatten(model.draw(LecunNormal(), [torch.Generator().manual_seed(0)], torch.device("cpu")))
    assert float(named["weight_1"].std()) == pytest.approx(1 / np.sqrt(48), rel=0.1)


def test_large_observations_are_computed_in_small_blocks():
    run, length, device = np.zeros(1, dtype=int), np.array([1000]), torch.device("cpu")
    blocks = list(step_blocks(run, length, device, numbers=IMAGE + 1))
    assert {index.shape[1] for _, index in blocks} == {128}
    steps = np.concatenate([index[rows == 0].flatten().numpy() for rows, index in blocks])
    assert steps[steps < 1000].tolist() == list(range(1000))
    assert all(len(rows) >= 2 for rows, _ in step_blocks(run, length, device, numbers=10**7))


def test_the_world_keeps_its_contract():
    check_env(Dot())


WAYS = {
    "whole episodes": {"batch": BatchSize(episodes=5), "weighting": w.RewardToGo(0.9)},
    "segments": {
        "batch": Segments(4, 32), "weighting": w.GeneralizedAdvantage(0.9, 0.95, CRITIC), "objective": Clip(0.2),
        "rule": Epochs(2, 2), "estimator": Estimator("steps", truncation="bootstrap"),
    },
}  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
def test_a_run_keeps_its_bits_in_any_company_and_after_a_stop(way, make_arm, make_shapes, train):
    def arm(seeds, **changes):
        return make_arm(**{"gamma": 0.9, "updates": 2, **WAYS[way], **changes}, seeds=seeds)

    shapes = make_shapes(world=Dot(), network=SMALL)
    fused = train(shapes, [arm([3, 7, 1]), arm([7], init=Orthogonal()), arm([5, 7], updates=1)])
    for number, row, alone in ((0, 1, arm([7])), (0, 2, arm([1])), (1, 0, arm([7], init=Orthogonal()))):
        assert results(fused, number, row) == results(train(shapes, [alone]), 0, 0)


def test_it_learns_from_what_it_sees(make_arm, make_shapes, train):
    shapes = make_shapes(world=Dot(), network=SMALL)
    some = make_arm(
        weighting=w.RewardToGo(0.9), optimizer=partial(torch.optim.Adam, lr=3e-3), batch=BatchSize(episodes=20),
        updates=40, seeds=[0, 1], gamma=0.9, estimator=Estimator("steps", normalize="batch"),
    )  # fmt: skip
    bundle = train(shapes, [some])
    (rows,) = bundle.history
    assert (rows[-1].return_mean > rows[0].return_mean + 3).all()


def test_what_it_cannot_look_at_is_refused():
    with pytest.raises(ValueError, match="needs images"):
        SMALL.shapes(Box(4), 2)
    with pytest.raises(ValueError, match="filters of 8 × 8 do not fit what layer 1 sees"):
        SMALL.shapes(Box((3, 6, 6), dtype=torch.uint8), 2)
    for wrong in ({"layers": []}, {"layers": [[4, 8]]}, {"sizes": [0]}, {"activation": "sine"}, {"input": "bytes"}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            Conv(**wrong)
    assert Dot.observation.size == SIDE**2
