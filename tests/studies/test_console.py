"""Plain lines while a study trains."""

import numpy as np
import pytest

from pglab.studies.console import Console
from pglab.studies.plan import make_plan
from pglab.sweep import compose_runs


def lines_of(arms, tmp_path, monkeypatch, capsys):
    """What is said before and after the first update of each arm, whose mean return is its number."""
    rates = ",".join(str(number / 100) for number in range(1, arms + 1))
    asked = compose_runs(["env=bandit", f"optimizer.lr={rates}", "seeds=2", f"results_dir={tmp_path}"])
    monkeypatch.setattr("pglab.studies.console.EVERY", -1.0)
    console = Console()
    console.start(make_plan(asked))
    console.tick()
    for number in range(arms):
        console.updated(number, {"seed": np.arange(2), "return_mean": np.full(2, float(number))})
    monkeypatch.setattr("pglab.studies.console.time.monotonic", lambda: console._began + 10.0)
    console.tick()
    return capsys.readouterr().out.splitlines()[1:]


@pytest.mark.parametrize(
    ("arms", "means"), [(2, "lr=0.01 0; lr=0.02 1.00"), (6, "0 (lr=0.01) to 5.00 (lr=0.06), 6 arms")]
)
def test_a_plain_line_tells_the_mean_of_each_arm_or_of_many_the_range(arms, means, tmp_path, monkeypatch, capsys):
    before, after = lines_of(arms, tmp_path, monkeypatch, capsys)
    assert "time left unknown" in before
    assert after.endswith(f"s left  mean return now: {means}")
