"""Classic faults of policy-gradient code, each as a change to the text of the package."""

import shutil
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Mutation:
    """A fault.

    Attributes:
        changes: of each file, the text that is replaced (it occurs once) and what replaces it.
        verify: arguments with which `python -m pglab.verify` says *wrong*; empty where it judges nothing of what is
            broken.
        test: the test that fails with it, or the file where one does.
    """

    changes: tuple[tuple[str, str, str], ...]
    verify: tuple[str, ...]
    test: str

    def apply(self, source: Path, target: Path) -> None:
        """Copies the project to `target` with the fault in it."""
        for folder in ("pglab", "conf", "tests"):
            shutil.copytree(source / folder, target / folder, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(source / "pyproject.toml", target)
        for name, text in self.faulty(source).items():
            (target / "pglab" / name).write_text(text)

    def faulty(self, source: Path) -> dict[str, str]:
        """The text of each file of the package that the fault changes."""
        texts: dict[str, str] = {}
        for name, sound, faulty in self.changes:
            text = texts.get(name, (source / "pglab" / name).read_text())
            assert text.count(sound) == 1, f"{name} no longer holds once: {sound}"
            texts[name] = text.replace(sound, faulty)
        return texts


PPO, REUSE = "tests/training/test_ppo.py", "tests/training/test_reuse.py"
GROUPS, PROMPTS = "tests/algorithms/test_groups.py", "tests/training/test_prompts.py"
BY_DEFINITION = f"{GROUPS}::test_every_step_of_an_episode_has_the_advantage_of_the_definition"
TOKENS = ("env=stop_or_continue", "env.positions=2", "gamma=1", "network=tabular", "init=zeros", "batch.prompts=1")
HEADS_OF_NUMBERS = "tests/algorithms/test_heads_of_numbers.py"

MUTATIONS = {
    "reward-to-go shifted by one step": Mutation(
        (
            (
                "algorithms/returns.py",
                "    return discounted_sum(reward, gamma)\n",
                "    return pad(discounted_sum(reward, gamma)[..., 1:], (0, 1))\n",
            ),
            (
                "algorithms/packed.py",
                "2 * shift, factor * factor\n        return x\n",
                "2 * shift, factor * factor\n        return torch.cat((x[1:], x[:1] * 0))\n",
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
            ("training/arm.py", "return psi * powers[episodes.since]", "return psi"),
        ),
        ("weighting=rtg",),
        "tests/algorithms/test_weightings.py",
    ),
    "gradient leaking through the baseline": Mutation(
        (
            (
                "training/gradient.py",
                "psi=psi,",
                "psi=psi - logits.mean(-1),",
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
        (
            (
                "training/weigh.py",
                'if episodes.cut is not None or self.arm.estimator.truncation == "bootstrap":',
                "if True:",
            ),
            ("training/weigh.py", '        if self.arm.estimator.truncation == "bootstrap":', "        if True:"),
        ),
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
            (
                "training/gradient.py",
                "return (loss * mask).sum(-1) - beta",
                "return loss.sum(-1) - beta",
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
    "ratio upside down": Mutation(
        (
            (
                "algorithms/objectives.py",
                "(self.log_prob - self.old_log_prob).exp()",
                "(self.old_log_prob - self.log_prob).exp()",
            ),
        ),
        ("weighting=rtg", "surrogate=ratio"),
        f"{PPO}::test_at_the_policy_that_played_every_surrogate_has_the_plain_gradient",
    ),
    "clip on the wrong side for negative Ψ": Mutation(
        (
            (
                "algorithms/objectives.py",
                "-torch.minimum(ratio * seen.psi, clipped * seen.psi)",
                "-torch.minimum(ratio, clipped) * seen.psi",
            ),
        ),
        (),
        f"{PPO}::test_the_clip_stops_the_pull_on_the_side_that_psi_pushes_to_and_nowhere_else",
    ),
    "old log-probs taken after the first step": Mutation(
        (
            (
                "training/reuse.py",
                "                part.step(estimate)\n",
                "                part.step(estimate)\n"
                "                if shown is None and lesson.old is not None:\n"
                "                    later = replace(lesson, old=None).remembering().old\n"
                "                    lesson.old.log_prob.copy_(later.log_prob)\n",
            ),
        ),
        (),
        f"{REUSE}::test_every_step_of_an_update_compares_with_the_policy_that_played",
    ),
    "advantages of a batch normalised over the wrong axis": Mutation(
        (
            (
                "algorithms/losses.py",
                "mean = (psi * mask).sum(over, keepdim=True) / count",
                "mean = (psi * mask).sum(-1, keepdim=True) / mask.sum(-1, keepdim=True).clamp(min=1)",
            ),
        ),
        (),
        "tests/algorithms/test_losses.py"
        "::test_standardized_weights_have_mean_zero_and_deviation_one_over_the_steps_alone",
    ),
    "advantages of a minibatch normalised over the wrong axis": Mutation(
        (
            (
                "training/gradient.py",
                "mean = total / count.clamp(min=1)",
                "mean = (total.sum() / count.sum().clamp(min=1)).expand_as(total)",
            ),
        ),
        (),
        f"{REUSE}::test_weights_are_standardised_in_each_minibatch",
    ),
    "bootstrap from the reset observation instead of the last one": Mutation(
        (
            (
                "training/weigh.py",
                "torch.cat((episodes.last_obs, ",
                "torch.cat((episodes.obs[torch.from_numpy(episodes.start)].roll(-1, 0), ",
            ),
        ),
        (),
        "tests/training/test_borders.py::test_an_advantage_is_continued_by_the_critic_at_the_border_and_not_at_an_end",
    ),
    "statistics updated during evaluation": Mutation(
        (
            (
                "training/bundle.py",
                "        returns, length = (x.reshape(-1, episodes) for x in (played.returns(), played.length))\n",
                "        self._observe(self._arms, played)\n"
                "        returns, length = (x.reshape(-1, episodes) for x in (played.returns(), played.length))\n",
            ),
        ),
        (),
        f"{PPO}::test_policies_see_observations_standardised_by_the_batches_before",
    ),
    "minibatches that repeat a step": Mutation(
        (
            (
                "training/reuse.py",
                "order = np.lexsort((keys, row))",
                "order = np.repeat(np.cumsum(length) - length, length) + np.abs(keys) % np.repeat(length, length)",
            ),
        ),
        (),
        f"{REUSE}::test_minibatches_of_an_epoch_have_every_step_once_and_each_epoch_another_order",
    ),
    "log-prob of the clipped action": Mutation(
        (
            (
                "algorithms/gaussian.py",
                'self._within(action) if self.clip == "log_prob" else action',
                'self._within(action) if self.clip != "none" else action',
            ),
        ),
        ("env=continuous_bandit", "head=gaussian", "head.clip=action"),
        HEADS_OF_NUMBERS,
    ),
    "tanh without its Jacobian": Mutation(
        (
            (
                "algorithms/gaussian.py",
                "return NORMAL.log_prob(outputs, action) - slope.sum(0)",
                "return NORMAL.log_prob(outputs, action)",
            ),
        ),
        ("env=continuous_bandit", "head=tanh_gaussian"),
        HEADS_OF_NUMBERS,
    ),
    "σ shared by all numbers of an action": Mutation(
        (
            (
                "algorithms/gaussian.py",
                "(-0.5 * ((a - mean) * (-log_sigma).exp()).square() - log_sigma - HALF_LOG_TWO_PI)",
                "(-0.5 * ((a - mean) * (-log_sigma[:1]).exp()).square() - log_sigma[:1] - HALF_LOG_TWO_PI)",
            ),
        ),
        ("env=lqr", "env.controls=2", "head=gaussian", "network=linear"),
        HEADS_OF_NUMBERS,
    ),
    "entropy of the untransformed distribution": Mutation(
        (
            (
                "algorithms/gaussian.py",
                "return NORMAL.entropy(outputs) + expected.sum(0)",
                "return NORMAL.entropy(outputs)",
            ),
        ),
        ("env=continuous_bandit", "head=tanh_gaussian"),
        HEADS_OF_NUMBERS,
    ),
    "ddof swapped": Mutation(
        (("algorithms/groups.py", "(self.count - ddof)", "(self.count - 1 + ddof)"),), (), BY_DEFINITION
    ),
    "deviation of the batch in place of the group's": Mutation(
        (
            (
                "algorithms/groups.py",
                "((self.returns - self.mean) * self.exists).square().sum(-1, keepdim=True)",
                "((self.returns - self.mean) * self.exists).square().mean(-2, keepdim=True).sum(-1, keepdim=True)",
            ),
        ),
        (),
        BY_DEFINITION,
    ),
    "group index off by one": Mutation(
        (
            (
                "algorithms/groups.py",
                "pad(x, (0, -x.shape[-1] % group)).unflatten",
                "pad(x, (0, -x.shape[-1] % group)).roll(1, -1).unflatten",
            ),
        ),
        ("weighting=rloo", "batch.group=2", *TOKENS),
        BY_DEFINITION,
    ),
    "prompt index off by one": Mutation(
        (("training/wave.py", "episode // wave.group", "(episode + 1) // wave.group"),),
        (),
        f"{PROMPTS}::test_a_group_shares_its_prompt_and_prompts_are_the_same_in_every_arm",
    ),
    "1 / length missing": Mutation(
        (
            ("training/weigh.py", "psi = psi / batch.mask.sum(-1, keepdim=True).clamp(min=1)", "pass"),
            ("training/weigh.py", "weight = weight / packed.everywhere(length)", "pass"),
        ),
        ("weighting=rloo", "batch.group=2", "estimator.reduction=sequences", *TOKENS),
        f"{PROMPTS}::test_a_reduction_weighs_steps_as_its_formula_says",
    ),
    "a baseline of the others that includes the sample": Mutation(
        (
            (
                "algorithms/groups.py",
                "own.returns.sum(-1, keepdim=True) - own.returns\n",
                "own.returns.sum(-1, keepdim=True) * (own.count - 1) / own.count\n",
            ),
        ),
        ("weighting=rloo", "batch.group=2", *TOKENS),
        BY_DEFINITION,
    ),
}
