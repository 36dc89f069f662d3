"""The axes of the atlas, and the problems on which each is tried."""

from collections.abc import Sequence
from dataclasses import dataclass

RATES = "optimizer.lr=0.003,0.03"  # of Adam
UPDATES = 50  # on all problems: a study is complete where its runs have equally many


@dataclass(frozen=True)
class Problem:
    """A problem, by the overrides that choose it and the size of its batches.

    Attributes:
        kind: in words, what sort of problem it is.
    """

    name: str
    kind: str
    overrides: Sequence[str]


CARTPOLE = Problem("cartpole", "control", ("env=cartpole", "batch.steps=2000"))
LAKE = Problem("frozenlake", "one reward, far away", ("env=frozenlake", "env.is_slippery=false", "batch.steps=500"))
CONTEXTS = Problem("contextual_bandit", "one step", ("env=contextual_bandit", "batch.steps=50"))
LOOP = Problem("two_state_loop", "no end but the time limit", ("env=two_state_loop", "batch.steps=100"))
TREE = Problem("binary_tree", "credit at the end", ("env=binary_tree", "batch.steps=100"))
RANDOM = ("env=random_mdp", "env.end=0.05", "env.horizon=20", "batch.steps=200")
CHANCE = Problem("random_mdp", "random transitions", (*RANDOM, "env.seed=0"))
ALIKE = Problem(
    "random_mdp with 2 symbols", "states that look alike",
    (*RANDOM, "env.seed=1", "env.states=6", "env.actions=2", "env.symbols=2"),
)  # fmt: skip
FOUR = (CARTPOLE, ALIKE, LAKE, CONTEXTS)
TWO_ACTIONS = (CARTPOLE, ALIKE, LOOP, TREE)
REWARDED_ON_THE_WAY = (CARTPOLE, ALIKE, LOOP, CHANCE)
OF_ANY_LENGTH = (CARTPOLE, ALIKE, LAKE, CHANCE)
GROUPED = tuple(
    Problem(name, kind, (f"env={name}", "batch.prompts=4", "batch.group=4"))
    for name, kind in (
        ("token_tree", "sequences graded at the end"), ("verifiable_bandit", "one token, right or wrong"),
        ("stop_or_continue", "sequences of any length"), ("contextual_bandit", "one step"),
    )
)  # fmt: skip
TINY = Problem(
    "random_mdp", "a random MDP of two states, cut after two steps",
    ("env=random_mdp", "env.seed=1", "env.states=2", "env.actions=2", "env.branching=1", "env.end=0.3",
     "env.horizon=2"),
)  # fmt: skip
TINY_GROUP = Problem(
    "stop_or_continue",
    "stop_or_continue, with one group of two",
    ("env=stop_or_continue", "batch.group=2", "batch.prompts=1"),
)


@dataclass(frozen=True)
class Axis:
    """One choice in a policy gradient.

    Attributes:
        name: of the page.
        key: the group or key that is swept; the factor of its studies.
        formulas: of each value, the first one the control; under "" what all have in common.
        always: overrides beside it, in training and verification.
        verified: overrides of verification alone.
        problems: on which the values are not one and the same program.
        small: so small that every batch can be enumerated; for bias and variance.
        crossed: a second sweep, whose interaction with the axis is told.
    """

    name: str
    title: str
    question: str
    key: str
    formulas: dict[str, str]
    always: Sequence[str] = ()
    verified: Sequence[str] = ()
    problems: Sequence[Problem] = FOUR
    small: Problem = TINY
    crossed: str = RATES

    @property
    def values(self) -> list[str]:
        return [value for value in self.formulas if value]

    @property
    def sweep(self) -> str:
        return f"{self.key}={','.join(self.values)}"

    @property
    def takes_several_steps(self) -> bool:
        """True where an update is more than one step for some value."""
        return any("epochs" in override for override in (self.sweep, *self.always))

    @property
    def crossed_key(self) -> str:
        return self.crossed.partition("=")[0]


AXES = (
    Axis(
        "weighting", "Weighting", "Which rewards should count in the weight of an action?", "weighting",
        {
            "total": "Ψ_t = R(τ)",
            "rtg": "Ψ_t = Σ_{k≥t} γ^{k−t} r_k",
            "gae": "Ψ_t = Σ_{k≥t} (γλ)^{k−t} δ_k with δ_k = r_k + γ V(s_{k+1}) − V(s_k)",
        },
        problems=REWARDED_ON_THE_WAY,
    ),
    Axis(
        "baseline", "Baseline", "What should be subtracted from the return so that the estimate varies less?",
        "baseline",
        {
            "": "Ψ_t = G_t − b",
            "none": "b = 0",
            "leave_one_out": "b = mean return of the batch's other episodes",
            "value": "b = V(s_t), a learned critic",
        },
        ("weighting=baseline",),
    ),
    Axis(
        "surrogate", "Surrogate objective", "Which objective should be followed when a batch is used several times?",
        "surrogate",
        {
            "": "ρ_t = π(a_t|s_t) / π_old(a_t|s_t)",
            "pg": "log π(a_t|s_t) Ψ_t",
            "ratio": "ρ_t Ψ_t",
            "clip": "min(ρ_t Ψ_t, clip(ρ_t, 1−ε, 1+ε) Ψ_t), ε = 0.2",
        },
        ("reuse=epochs", "reuse.epochs=4", "reuse.minibatches=1"),
    ),
    Axis(
        "reuse", "Reuse of a batch", "How often should a batch be used before it is thrown away?", "reuse",
        {"once": "θ ← θ + α ĝ, once", "epochs": "θ ← θ + α ĝ, for each of 4 minibatches, 4 times over"},
        ("surrogate=clip",),
    ),
    Axis(
        "normalisation", "Normalisation of weights", "Should the weights of a batch be standardised?",
        "estimator.normalize",
        {"false": "Ψ_t as it is", "batch": "(Ψ_t − mean Ψ) / sd Ψ, over the batch"},
    ),
    Axis(
        "discount_factor", "The factor γᵗ", "Should later states count less, as the gradient of the discounted "
        "return says?", "estimator.discount_states",
        {"false": "E[Σ_t Ψ_t ∇log π(a_t|s_t)]", "true": "∇J = E[Σ_t γ^t Ψ_t ∇log π(a_t|s_t)]"},
        ("gamma=0.95",), ("gamma=0.9",), OF_ANY_LENGTH,
    ),
    Axis(
        "truncation", "Truncation", "When the time limit cuts an episode, is its return over, or does it go on?",
        "estimator.truncation",
        {"end": "δ_T = r_T − V(s_T)", "bootstrap": "δ_T = r_T + γ V(s_{T+1}) − V(s_T)"},
        ("weighting=gae", "gamma=0.99"), problems=REWARDED_ON_THE_WAY,
    ),
    Axis(
        "head", "Head", "Should two actions come from a softmax over two outputs, or from a sigmoid of one?", "head",
        {"softmax": "π(1|s) = e^{z₁} / (e^{z₀} + e^{z₁})", "sigmoid": "π(1|s) = 1 / (1 + e^{−z})"},
        problems=TWO_ACTIONS,
    ),
    Axis(
        "init", "Initialisation", "Which weights should the policy's network begin with?", "init",
        {
            "pytorch": "W ~ U(−1/√n, 1/√n) for n inputs",
            "orthogonal_scaled": "W = √2 Q, Q orthogonal; 0.01 Q in the last layer",
            "gaussian": "W ~ N(0, 0.01²)",
        },
    ),
    Axis(
        "optimizer", "Optimizer", "Which step should be taken along a gradient?", "optimizer",
        {
            "adam": "θ ← θ + α m̂ / (√v̂ + ε), α = 0.01",
            "rmsprop": "θ ← θ + α ĝ / (√v + ε), α = 0.01",
            "sgd": "θ ← θ + α ĝ, α = 0.1",
        },
        crossed="gamma=0.95,1.0",
    ),
    Axis(
        "clipping", "Clipping of gradients", "Should the norm of a gradient be limited?", "estimator.clip_norm",
        {"null": "ĝ as it is", "0.5": "min(1, 0.5 / ‖ĝ‖) ĝ"},
        problems=REWARDED_ON_THE_WAY,
    ),
    Axis(
        "groups", "Group estimators", "What should be subtracted from the return of an episode in a group, and should "
        "it be divided?", "weighting",
        {
            "rloo": "R_i − Σ_{j≠i} R_j / (G−1)",
            "group_mean": "R_i − m, m the mean of the group: 1 − 1/G times rloo",
            "grpo": "(R_i − m) / (s + ε), s the deviation of the group",
        },
        ("optimizer=sgd",), problems=GROUPED, small=TINY_GROUP,
        crossed="optimizer.lr=0.1,1.0",  # Adam does not see a constant factor
    ),
    Axis(
        "reduction", "Reduction of the loss", "By what should the sum over a batch be divided?", "estimator.reduction",
        {
            "": "L_t = log π(a_t|s_t) Ψ_t, in N episodes of T_i steps",
            "episodes": "Σ_i Σ_t L_t / N",
            "steps": "Σ_i Σ_t L_t / Σ_i T_i",
            "sequences": "Σ_i (Σ_t L_t / T_i) / N",
        },
        problems=OF_ANY_LENGTH,
    ),
)  # fmt: skip
