"""What a plan says of memory: the size of a run, which the checkpoint of one that has learned has."""

import pytest

from pglab.build import build_arm, build_shapes, size_of
from pglab.cli import compose_runs
from pglab.training.bundle import Bundle


@pytest.mark.parametrize(
    "overrides",
    [
        ("optimizer=adam", "network.sizes=[64,64]"),
        ("optimizer=sgd", "network.sizes=[200]"),
        ("optimizer=adam", "weighting=baseline", "baseline=value", "baseline.network.sizes=[64,64]"),
        ("experiment=ppo_cleanrl", "env.horizon=20"),
    ],
)
def test_the_size_of_a_run_is_that_of_its_checkpoint(overrides):
    (composed,) = compose_runs([*overrides, "updates=1", "evaluation.episodes=0"])
    settings = composed.settings
    arm = build_arm(settings, [0])
    bundle = Bundle(build_shapes(settings), [arm])
    bundle.step()
    (state,) = bundle.state()
    assert size_of(settings)[0] == pytest.approx(sum(part.nbytes for part in state.values()), rel=0.2)


def test_the_size_of_a_step_is_what_is_seen_and_done_in_it():
    (composed,) = compose_runs(["env=cartpole"])
    assert size_of(composed.settings)[1] == 4 * 4 + 8
    (composed,) = compose_runs(["env=pendulum", "head=gaussian"])
    assert size_of(composed.settings)[1] == 3 * 4 + 4
