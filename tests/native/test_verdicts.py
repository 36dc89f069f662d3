"""What compiled code plays gets the verdicts that what torch plays gets."""

import pytest

from tests.verify.test_verify import QUICK, found, verify

EXPECTED = {
    "softmax,weighting=total": "unbiased",
    "softmax,weighting=rtg": "unbiased",
    "softmax,weighting=rtg_exponent_slip": "biased as declared",
    "sigmoid_action_blind,weighting=total": "wrong",
    "sigmoid_action_blind,weighting=rtg": "wrong",
    "sigmoid_action_blind,weighting=rtg_exponent_slip": "wrong",
}


@pytest.mark.slow
def test_estimators_of_whole_episodes_are_judged_as_ever(tmp_path):
    sweep = ("weighting=total,rtg,rtg_exponent_slip", "head=softmax,sigmoid_action_blind", "gamma=0.9")
    done = verify(tmp_path, "-m", *sweep, "backend=native", "seeds=1", *QUICK)
    assert "error" not in done.stderr
    verdicts = {name.partition("head=")[2]: finding["verdict"] for name, finding in found(tmp_path).items()}
    assert verdicts == EXPECTED


@pytest.mark.slow
@pytest.mark.parametrize("head", ["gaussian", "tanh_gaussian"])
def test_so_are_those_of_actions_that_are_numbers(tmp_path, head):
    done = verify(tmp_path, f"head={head}", "env=continuous_bandit", "backend=native", *QUICK)
    assert "error" not in done.stderr
    assert [finding["verdict"] for finding in found(tmp_path).values()] == ["unbiased"]
