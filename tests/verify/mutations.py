"""Classic faults of policy-gradient code, each as a change to the text of the package."""

import shutil
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Mutation:
    """A fault.

    Attributes:
        changes: of each file, the text that is replaced (it occurs once) and what replaces it.
        verify: arguments with which `python -m pglab.verify` exercises what is broken.
        test: where a test fails with it.
    """

    changes: tuple[tuple[str, str, str], ...]
    verify: tuple[str, ...]
    test: str

    def apply(self, source: Path, target: Path) -> None:
        """Copies the project to `target` with the fault in it."""
        for folder in ("pglab", "conf", "tests"):
            shutil.copytree(source / folder, target / folder, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(source / "pyproject.toml", target)
        for name, sound, faulty in self.changes:
            file = target / "pglab" / name
            text = file.read_text()
            assert text.count(sound) == 1, f"{name} no longer holds once: {sound}"
            file.write_text(text.replace(sound, faulty))


MUTATIONS = {
    "reward-to-go shifted by one step": Mutation(
        (
            (
                "algorithms/returns.py",
                "    return discounted_sum(reward, gamma)\n",
                "    return pad(discounted_sum(reward, gamma)[..., 1:], (0, 1))\n",
            ),
        ),
        ("weighting=rtg",),
        "tests/algorithms/test_weightings.py",
    ),
    "γ^t dropped without saying so": Mutation(
        (
            (
                "algorithms/weightings.py",
                "psi if discounted_from_start(weighting) else psi * discount_powers(psi.shape[-1], gamma, psi)",
                "psi",
            ),
        ),
        ("weighting=rtg",),
        "tests/algorithms/test_weightings.py",
    ),
    "gradient leaking through the baseline": Mutation(
        (
            (
                "training/gradient.py",
                "objective(log_prob, old, psi[index])",
                "objective(log_prob, old, psi[index] - logits.mean(-1))",
            ),
        ),
        ("weighting=rtg",),
        "tests/training/test_gradient.py",
    ),
    "a baseline that depends on the action": Mutation(
        (
            (
                "algorithms/baselines.py",
                "torch.full_like(returns, self.value)",
                "self.value + batch.action.to(returns)",
            ),
        ),
        ("weighting=baseline", "baseline=constant"),
        "tests/testing/test_baselines.py",
    ),
    "truncation treated as termination with a bootstrapped value": Mutation(
        (("training/weigh.py", 'if self.arm.estimator.truncation == "bootstrap":', "if True:"),),
        ("weighting=baseline", "baseline=value"),
        "tests/training/test_gradient.py",
    ),
    "log_prob of the other action": Mutation(
        (("algorithms/heads.py", ".gather(0, action[None])", ".gather(0, len(z) - 1 - action[None])"),),
        ("weighting=rtg",),
        "tests/algorithms/test_heads.py",
    ),
    "mean over K instead of sum": Mutation(
        (
            (
                "training/gradient.py",
                "layout.gradient(block_loss.sum(), leaves)",
                "layout.gradient(block_loss.mean(), leaves)",
            ),
        ),
        ("weighting=rtg",),
        "tests/training/test_gradient.py",
    ),
    "a mask that lets padded steps count": Mutation(
        (
            (
                "algorithms/weightings.py",
                "((returns - self.baseline(batch, returns)) * batch.mask).detach()",
                "(returns - self.baseline(batch, returns)).detach()",
            ),
            (
                "training/weigh.py",
                "torch.where(batch.mask, psi * scale[:, None, None], 0.0)",
                "psi * scale[:, None, None]",
            ),
        ),
        ("weighting=baseline", "baseline=constant", "baseline.value=3.0"),
        "tests/algorithms/test_weightings.py",
    ),
    "short episodes favoured": Mutation(
        (
            (
                "training/wave.py",
                "        short = (steps < self.missing_steps[:, None])"
                " | (self.episode < self.wanted_episodes[:, None])\n",
                "        ended, wanted = ~self.alive, self.wanted_episodes[:, None]\n"
                "        place = np.argsort(np.argsort(self.length + 10**6 * self.alive, axis=1), axis=1)\n"
                "        short = np.where(ended, place < wanted, ended.sum(1, keepdims=True) < wanted)\n",
            ),
        ),
        ("weighting=rtg",),
        "tests/training/test_rollout.py",
    ),
}
