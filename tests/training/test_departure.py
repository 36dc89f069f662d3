"""Where an update led, epoch by epoch, is measured right and costs no bit of training."""

from dataclasses import dataclass, fields
from functools import partial

import numpy as np
import pytest
import torch

from pglab.algorithms import baselines as b
from pglab.algorithms import objectives as o
from pglab.algorithms import weightings as w
from pglab.algorithms.heads import ActionBlindSigmoid
from pglab.envs.pendulum import Pendulum
from pglab.models.networks import MLP
from pglab.models.parameters import PyTorchDefault
from pglab.training.bundle import Bundle
from pglab.training.diagnosed import UpdateMeasures, measures_of
from pglab.training.diagnostics import GradientDiagnostics
from pglab.training.observations import Standardized
from pglab.training.reuse import Epochs
from pglab.training.schedule import Linear
from pglab.training.segments import Segments
from tests.training.test_action_spaces import Gaussian as GaussianHead

ADAM = torch.optim.Adam
EVERY = GradientDiagnostics(every=1, epochs=True)
OF_THE_UPDATE = {field.name for field in fields(UpdateMeasures)} - {
    field.name for field in fields(UpdateMeasures.__base__)
}


def gae(**changes):
    return w.GeneralizedAdvantage(0.97, 0.9, b.Value(MLP((8,)), PyTorchDefault(), partial(ADAM, lr=1e-2), **changes))


def arms(make_arm, seeds):
    plain = {"gamma": 0.97, "seeds": seeds, "updates": 3, "weighting": gae(fit="with_policy")}
    plain |= {"batch": Segments(lanes=3, steps=16), "optimizer": partial(ADAM, lr=3e-2)}
    return [
        make_arm(**plain, objective=o.Clip(0.05), rule=Epochs(3, 2), schedule=Linear(3, clip=True)),
        make_arm(**plain, objective=o.Ratio(), rule=Epochs(5, 1, stop_kl=0.02)),
        make_arm(**{**plain, "weighting": gae(fit_steps=20)}),
    ]


def measured(shapes, arms, diagnostics=EVERY):
    bundle = Bundle(shapes, arms, diagnostics)
    history = [[] for _ in arms]
    while not bundle.finished:
        for number, measures in bundle.step():
            history[number].append(measures)
    return bundle, history


def as_bytes(measures, row, names):
    return {name: np.asarray(getattr(measures, name)[row]).tobytes() for name in names}


@pytest.fixture
def standardised(make_shapes):
    return make_shapes(network=Standardized(5.0).of(MLP((16,))))


def test_measuring_changes_no_bit_of_training_and_has_the_same_bits_in_company(make_arm, standardised):
    plain, _ = without = measured(standardised, arms(make_arm, [4, 1]), None)
    watched, together = measured(standardised, arms(make_arm, [4, 1]))
    _, backwards = measured(standardised, arms(make_arm, [1, 9])[::-1])
    for number, arm in enumerate(arms(make_arm, [1])):
        _, (alone,) = measured(standardised, [arm])
        for update, measures in enumerate(alone):
            names = list(measures.columns())
            assert {*names, "noted"} == {field.name for field in fields(measures_of(getattr(arm.rule, "epochs", 1)))}
            assert as_bytes(together[number][update], 1, names) == as_bytes(measures, 0, names)
            assert as_bytes(backwards[2 - number][update], 0, names) == as_bytes(measures, 0, names)
            training = list(without[1][number][update].columns())
            assert as_bytes(without[1][number][update], 1, training) == as_bytes(measures, 0, training)
    for number in range(3):
        for name, array in plain.parameters()[number].items():
            assert array.tobytes() == watched.parameters()[number][name].tobytes()


def test_the_last_epoch_is_the_update_and_one_that_a_run_did_not_make_is_empty(make_arm, make_shapes):
    _, (clipped, stopped, once) = measured(make_shapes(), arms(make_arm, [0, 1, 2]))
    for measures in clipped:
        assert (measures.kl_epoch_3 == measures.kl).all()
        assert (measures.approx_kl_epoch_3 == measures.approx_kl).all()
        assert (measures.kl_epoch_1 != measures.kl_epoch_2).all()
    for measures in once:
        assert (measures.kl_epoch_1 == measures.kl).all()
        assert np.isnan(measures.clip_fraction).all()
    ended = []
    for measures in stopped:
        epochs = np.array([getattr(measures, f"kl_epoch_{number}") for number in range(1, 6)])
        for of_run, end in zip(epochs.T, measures.kl, strict=True):
            made = np.isfinite(of_run).sum()
            assert np.isnan(of_run[made:]).all()
            assert of_run[made - 1] == end
            assert (of_run[: made - 1] <= 0.02).all()
            ended.append(made)
    assert min(ended) < 5


def test_ratios_clip_fraction_and_divergence_are_those_of_the_actions_played(make_arm, make_shapes):
    (arm, *_) = arms(make_arm, [3])
    bundle = Bundle(make_shapes(), [arm], EVERY)
    played, play = [], bundle._play
    bundle._play = lambda training: played.append(play(training)) or played[-1]
    for clip in (0.05, 0.05 * 2 / 3):  # as the schedule has it
        before = bundle.parameters()[0]
        ((_, measures),) = bundle.step()
        obs, action = played[-1].obs[:-1].double().numpy(), played[-1].action[:-1].numpy()
        old, new = (log_pi(named, obs) for named in (before, bundle.parameters()[0]))
        ratio = np.exp(new - old)[np.arange(len(action)), action]
        assert measures.ratio_mean == pytest.approx(ratio.mean(), rel=1e-5)
        assert measures.ratio_max == pytest.approx(ratio.max(), rel=1e-5)
        assert measures.clip_fraction == pytest.approx((np.abs(ratio - 1) > clip).mean())
        assert 0 < measures.clip_fraction < 1
        assert measures.approx_kl == pytest.approx((ratio - 1 - np.log(ratio)).mean(), rel=1e-3)
        assert measures.kl == pytest.approx((np.exp(old) * (old - new)).sum(-1).mean(), rel=1e-3)
        moved = [bundle.parameters()[0][name].astype(float) - before[name] for name in before]
        assert measures.update_length == pytest.approx(np.sqrt(sum((x**2).sum() for x in moved)), rel=1e-5)


def log_pi(named, obs):
    """log π of every action at observations `[n, 4]`, `[n, 2]`, by hand."""
    hidden = np.tanh(obs @ named["weight_1"][0].T + named["bias_1"][0])
    z = hidden @ named["weight_2"][0].T + named["bias_2"][0]
    return z - np.logaddexp(z[:, :1], z[:, 1:])


def test_a_critic_explains_more_after_it_has_learned(make_arm, make_shapes):
    critic = b.Value(MLP((16,)), PyTorchDefault(), partial(ADAM, lr=3e-2), fit_steps=200)
    arm = make_arm(weighting=w.ReturnMinusBaseline(1.0, critic), updates=1, seeds=[0, 1, 2])
    _, ((measures,),) = measured(make_shapes(), [arm])
    assert (measures.explained_variance_after > measures.explained_variance + 0.3).all()


def test_a_head_that_is_wrong_on_purpose_has_no_ratio_and_a_box_of_actions_has_all_but_the_exact_divergence(
    make_arm, make_shapes
):
    ((_, wrong),) = Bundle(make_shapes(head=ActionBlindSigmoid()), [make_arm()], EVERY).step()
    assert np.isnan([getattr(wrong, name) for name in ("kl", "approx_kl", "ratio_mean", "ratio_max")]).all()
    shapes = make_shapes(world=Pendulum(40), head=GaussianHead())
    ((_, box),) = Bundle(shapes, [make_arm(objective=o.Clip(), rule=Epochs(2, 2))], EVERY).step()
    assert np.isnan(box.kl).all()
    assert np.isfinite([box.approx_kl, box.ratio_mean, box.ratio_max, box.clip_fraction, box.approx_kl_epoch_2]).all()


@dataclass(frozen=True)
class Twice:
    """A rule of one's own that says how often it goes over the batch."""

    epochs: int = 2

    def __call__(self, lesson):
        for _ in range(self.epochs):
            estimate = lesson.estimate()
            lesson.step(estimate)
            lesson.passed(lesson.runs)
        return estimate


def test_a_rule_of_ones_own_has_its_epochs_measured(make_arm, make_shapes):
    ((_, measures),) = Bundle(make_shapes(), [make_arm(rule=Twice(), seeds=[0, 1])], EVERY).step()
    assert (measures.kl_epoch_2 == measures.kl).all()
    assert (measures.kl_epoch_1 < measures.kl_epoch_2).all()


def test_without_asking_for_epochs_there_are_no_such_columns(make_arm, make_shapes):
    ((_, measures),) = Bundle(make_shapes(), [make_arm()], GradientDiagnostics(every=1)).step()
    assert not OF_THE_UPDATE & {field.name for field in fields(measures)}
    assert len(OF_THE_UPDATE) == 6
