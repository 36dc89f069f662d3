"""Short studies that span every group, and the bits of all that their runs leave."""

import hashlib
from collections.abc import Iterable
from itertools import groupby
from pathlib import Path

import numpy as np
import torch

from pglab.build import build_arm, build_diagnostics, build_shapes
from pglab.cli import compose_runs
from pglab.studies.asked import runs_of
from pglab.studies.chip import kernels
from pglab.training.bundle import Bundle

HASHES = Path(__file__).parent / "hashes.json"
SHORT = ("updates=3", "evaluation.episodes=5", "seeds=2")
GAMES = ("updates=2", "evaluation.episodes=1", "seeds=1", "batch.episodes=2")  # which take long to begin
CARTPOLE = (*SHORT, "env.horizon=60", "batch.steps=300")
FEW = (*SHORT, "batch=few_episodes")
EVERY_BASELINE = "baseline=none,constant,batch_mean,leave_one_out,running_mean,running_mean_inclusive,value,value_table"

SEGMENTS = (
    *SHORT, "env.horizon=60", "batch=segments", "batch.lanes=3", "batch.steps=32", "weighting=gae", "baseline=value",
    "gamma=0.97",
)  # fmt: skip

MUJOCO = (*SHORT, "env=mujoco", "env.backend=gymnasium", "env.max_episode_steps=40", "batch.steps=64")

STUDIES: dict[str, tuple[str, ...]] = {
    # Bundles of arms that differ in all but their shapes.
    "weightings": (*CARTPOLE, "weighting=total,rtg,baseline,gae,rtg_exponent_slip", "baseline=none", "gamma=0.97"),
    "weightings and optimizers": (*CARTPOLE, "weighting=total,rtg", "optimizer=adam,adamw,rmsprop,sgd"),
    "baselines": (*FEW, "env=corridor", "network=tabular", "weighting=baseline", EVERY_BASELINE),
    "baselines under gae": (*FEW, "env=frozenlake", "weighting=gae", "gamma=0.9", EVERY_BASELINE),
    "critics": (*CARTPOLE, "weighting=baseline,gae", "baseline=value", "baseline.fit_steps=1,3"),
    "batches": (*SHORT, "env.horizon=60", "batch=steps,episodes,few_episodes"),
    "estimator": (*CARTPOLE, "estimator.normalize=false,true", "estimator.entropy_bonus=0,0.01"),
    "reductions": (*CARTPOLE, "estimator.reduction=steps,episodes,sum", "estimator.clip_norm=0.5"),
    # Every environment.
    "cartpole": (*SHORT, "batch.steps=600"),
    "cartpole_v0": (*SHORT, "env=cartpole_v0", "batch.steps=600"),
    "corridor": (*FEW, "env=corridor", "gamma=0.9", "estimator.discount_states=false,true"),
    "bandit": (*SHORT, "env=bandit", "batch=episodes", "batch.episodes=20", "baseline=none,running_mean"),
    "testbed": (*SHORT, "env=testbed", "network=tabular", "batch=episodes", "batch.episodes=3"),
    "contextual_bandit": (*FEW, "env=contextual_bandit", "network=mlp,linear,tabular"),
    "two_state_loop": (*FEW, "env=two_state_loop", "gamma=0.9"),
    "binary_tree": (*FEW, "env=binary_tree", "head=softmax,sigmoid"),
    "random_mdp": (*FEW, "env=random_mdp", "gamma=0.95"),
    "frozenlake": (*FEW, "env=frozenlake", "network=tabular", "init=zeros"),
    "taxi": (*FEW, "env=toy_text", "env.id=Taxi-v4", "updates=2"),
    "acrobot": (*FEW, "env=gymnasium", "env.id=Acrobot-v1", "env.max_episode_steps=30"),
    "mountain car": (*FEW, "env=gymnasium", "env.id=MountainCar-v0", "env.max_episode_steps=30"),
    "lunar lander": (*FEW, "env=gymnasium", "env.id=LunarLander-v3", "env.max_episode_steps=40"),
    "native acrobot": (*FEW, "env=acrobot", "env.horizon=30"),
    "native mountain car": (*FEW, "env=mountain_car", "env.horizon=30"),
    # Actions that are numbers.
    "pendulum": (*FEW, "env=pendulum", "env.horizon=40", "head=gaussian,gaussian_state,tanh_gaussian,beta"),
    "mountain_car_continuous": (
        *FEW, "env=mountain_car_continuous", "env.horizon=40", "head=gaussian", "head.clip=none,action,log_prob",
        "estimator.entropy_bonus=0.01",
    ),
    "lqr": (*FEW, "env=lqr", "head=gaussian", "network=linear,mlp"),
    "continuous_bandit": (*FEW, "env=continuous_bandit", "head=gaussian,beta", "network=tabular"),
    "clipped heads": (
        *FEW, "env=mountain_car_continuous", "env.horizon=40", "head=gaussian_clipped,gaussian_clipped_score",
    ),
    "continuous_heads": (
        *SHORT, "experiment=continuous_heads", "head=tanh_gaussian", "batch.steps=16", "reuse.minibatches=4",
    ),
    "mujoco": (*MUJOCO, "experiment=ppo_continuous", "reuse.epochs=2", "reuse.minibatches=2"),
    "mujoco/engstrom": (*MUJOCO, "experiment=ppo_engstrom", "reuse.epochs=2", "reuse.minibatches=2"),
    "mujoco/engstrom_m": (*MUJOCO, "experiment=ppo_m_engstrom", "reuse.epochs=2", "reuse.minibatches=2"),
    "mujoco/engstrom_noclip": (*MUJOCO, "experiment=ppo_noclip_engstrom", "reuse.epochs=2", "reuse.minibatches=2"),
    "mujoco/trust_region": (*MUJOCO, "experiment=trpo_engstrom,trpo_plus_engstrom"),
    "mujoco/reinforce": (*MUJOCO, "experiment=reinforce_mujoco"),
    # Pictures, and what goes with them.
    "points": (*FEW, "env=corridor", "weighting=points", "network=mlp_without_bias", "init=lecun"),
    "pong_from_pixels": (
        *GAMES, "experiment=pong_from_pixels", "env.max_episode_steps=40", "weighting.reset=true,false",
    ),
    "pong with one bias less": (
        *GAMES, "experiment=pong_returns_to_the_end,pong_not_standardized,pong_discounted_states",
        "env.max_episode_steps=40",
    ),
    "ppo_atari": (
        "updates=2", "evaluation.episodes=1", "experiment=ppo_atari", "env.max_episode_steps=6", "batch.lanes=2",
        "batch.steps=8", "reuse.minibatches=1", "reuse.epochs=1",
    ),
    "convolutions": (
        *GAMES, "env=atari", "env.id=Breakout", "env.max_episode_steps=6", "batch=episodes", "network=conv,conv_impala",
    ),
    "doom": ("env=doom", "experiment=doom_basic,doom_defend", "updates=2", "evaluation.episodes=1", "batch.steps=3"),
    "minatar": (*GAMES, "env=minatar", "env.max_episode_steps=30", "batch=episodes", "network=conv_minatar"),
    # How a batch is cut and used.
    "surrogates": (*SEGMENTS, "surrogate=pg,ratio,clip,kl,kl_adaptive", "reuse=epochs"),
    "reuse": (*SEGMENTS, "surrogate=clip", "reuse=once,epochs", "schedule=constant,linear", "init=orthogonal_scaled"),
    "step/natural": (*SEGMENTS, "step=natural", "optimizer=sgd,adam", "surrogate=pg,ratio"),
    "step/trust_region": (*SEGMENTS, "step=trust_region", "surrogate=ratio,clip", "step.max_kl=0.01,0.3"),
    "rewards": (*SEGMENTS, "rewards=raw,scaled,clipped,sign", "observations=normalized"),
    "ppo": (*SHORT, "experiment=a2c,ppo,ppo_cleanrl,ppo_minimal,ppo_sb3", "env.horizon=60", "batch.steps=32"),
    "npg": (*SHORT, "experiment=npg", "env.horizon=60", "batch.steps=32"),
    "trpo": (*SHORT, "experiment=trpo", "env.horizon=60", "batch.steps=32"),
    "ppo details": (
        *SHORT, "experiment=ppo_details", "env.horizon=60", "batch.steps=32", "surrogate=clip,ratio", "schedule=linear",
        "init=pytorch", "estimator.normalize=minibatch", "estimator.clip_norm=0.5", "baseline.loss=clipped",
        "weighting.lam=1.0",
    ),
    # Groups of episodes from prompts.
    "groups": (
        *SHORT, "env=token_tree", "weighting=rloo,group_mean,grpo,dapo,reinforce_pp,remax,opo", "batch.group=4",
        "estimator.reduction=sequences,budget",
    ),
    "stop_or_continue": (
        *SHORT, "env=stop_or_continue", "weighting=dapo", "weighting.refill=false,true", "batch=groups",
        "estimator.reduction=tokens", "network=tabular",
    ),
    "verifiable_bandit": (
        *SHORT, "env=verifiable_bandit", "weighting=grpo", "batch=groups", "estimator.entropy_bonus=0.01",
        "estimator.reduction=sequences",
    ),
    "group experiments": (
        *SHORT, "experiment=rloo,trl_grpo,verl_grpo,dr_grpo,dapo,reinforce_pp,remax,gspo", "batch.prompts=3",
    ),
    "sequence_ratio": (
        *SHORT, "env=token_tree", "weighting=grpo", "surrogate=sequence_ratio,clip", "surrogate.clip_high=0.3",
        "reuse=epochs", "estimator.reduction=sequences",
    ),
    "kl reference": (
        *SHORT, "env=token_tree", "weighting=rloo", "estimator.kl_reference=0.1", "estimator.kl_form=k1,k2,k3",
        "estimator.kl_in=loss,reward", "estimator.reduction=sequences",
    ),
    "group_estimators": (*SHORT, "experiment=group_estimators", "batch.prompts=3"),
    # Every head, network and initialisation.
    "sigmoid": (*CARTPOLE, "head=sigmoid"),
    "sigmoid_action_blind": (*CARTPOLE, "head=sigmoid_action_blind"),
    "linear": (*CARTPOLE, "network=linear"),
    "relu": (*CARTPOLE, "network.activation=relu", "network.sizes=[24,12]"),
    "silu": (*CARTPOLE, "network.activation=silu", "network.sizes=[7]"),
    "gelu": (*CARTPOLE, "network.activation=gelu", "network.sizes=[33]"),
    "wide": (*CARTPOLE, "network.sizes=[64,64]"),
    "inits": (*CARTPOLE, "init=pytorch,uniform,centred_uniform,gaussian,wide_gaussian,orthogonal,zeros"),
    "xavier": (*CARTPOLE, "init=xavier"),
    "fixed": (*FEW, "env=bandit", "network=tabular", "init=fixed", "init.values=[0.1,0,-0.1]"),
    # Optimizers with arguments of their own.
    "momentum": (*CARTPOLE, "optimizer=sgd", "+optimizer.momentum=0.9", "optimizer.lr=0.001"),
    "nadam": (*CARTPOLE, "optimizer._target_=torch.optim.NAdam"),
    "weight decay": (*CARTPOLE, "optimizer=adamw", "optimizer.lr=0.003,0.01"),
    # Every key of the estimator.
    "discounted states": (
        *CARTPOLE, "gamma=0.95", "weighting=rtg,baseline,gae", "baseline=none", "estimator.discount_states=true",
    ),
    "bootstrap": (*CARTPOLE, "weighting=gae", "baseline=value", "estimator.truncation=bootstrap", "gamma=0.99"),
    "diverge": (*CARTPOLE, "estimator.truncation=diverge", "env.horizon=20"),
    "short episodes left out": (*CARTPOLE, "estimator.min_episode_length=15"),
    "divergence": (*CARTPOLE, "optimizer=sgd", "optimizer.lr=0.01,1e30"),
    "lanes": (*CARTPOLE, "lanes=64"),
    # What is measured beside the update.
    "diagnostics": (*CARTPOLE, "diagnostics=gradient", "diagnostics.every=2", "weighting=rtg,gae", "baseline=value"),
    "diagnostics of a finite MDP": (*FEW, "env=corridor", "diagnostics=gradient", "diagnostics.every=1", "gamma=0.9"),
    # Every experiment.
    "simple_pg and rtg_pg": ("experiment=simple_pg,rtg_pg", *SHORT, "batch.steps=500"),
    "linear_softmax": ("experiment=linear_softmax", *SHORT),
    "linear_sigmoid": ("experiment=linear_sigmoid", *SHORT, "init=gaussian,centred_uniform"),
    "linear_sigmoid_broken": ("experiment=linear_sigmoid_broken", *SHORT),
    "corridor_reinforce": ("experiment=corridor_reinforce", *SHORT, "env.horizon=500"),
    "corridor_baseline": ("experiment=corridor_baseline", *SHORT, "env.horizon=500"),
    "gradient_bandit": ("experiment=gradient_bandit", *SHORT, "baseline=running_mean_inclusive,none"),
    "lqr_reinforce": ("experiment=lqr_reinforce", *SHORT),
    "weighting_ablation": ("experiment=weighting_ablation", *SHORT, "batch.steps=300"),
}  # fmt: skip


def machine() -> str:
    """What the bits of a run depend on besides its configuration: kernels, the chip's own instruction set, torch.

    The chip's, because oneDNN, which computes `gelu` and convolutions, goes by it whatever PyTorch is told.
    """
    capability, chip, _ = kernels().values()
    return f"{capability} on {chip} torch {torch.__version__.partition('+')[0]}"


def bits(overrides: Iterable[str]) -> dict[str, dict[str, str]]:
    """Trains a study in this process; of each run (`arm/seed`) a hash of its rows, its evaluation and its policy."""
    torch.set_num_threads(1)
    runs = [run for composed in compose_runs(overrides) for run in runs_of(composed)]
    found: dict[str, dict[str, str]] = {}
    by_shapes = sorted(runs, key=lambda run: run.arm.shapes)
    for _, members in groupby(by_shapes, key=lambda run: run.arm.shapes):
        found |= _bundle(list(members))
    return found


def _bundle(runs: list) -> dict[str, dict[str, str]]:
    seeds: dict[str, list[int]] = {}
    for run in runs:
        seeds.setdefault(run.arm.name, []).append(run.seed)
    arms = {run.arm.name: run.arm for run in runs}
    first = next(iter(arms.values())).settings
    bundle = Bundle(
        build_shapes(first),
        [build_arm(arm.settings, seeds[name]) for name, arm in arms.items()],
        build_diagnostics(first),
    )
    history: list[list[dict[str, np.ndarray]]] = [[] for _ in arms]
    while not bundle.finished:
        for number, measures in bundle.step():
            history[number].append(measures.columns())
    evaluation, parameters = bundle.evaluate(first["evaluation"]["episodes"]), bundle.parameters()
    found = {}
    for number, name in enumerate(arms):
        for row, seed in enumerate(seeds[name]):
            rows = {column: [update[column][update["seed"] == seed] for update in history[number]]
                    for column in sorted(history[number][0])}  # fmt: skip
            found[f"{name}/{seed}"] = {
                "rows": _hash({column: np.concatenate(parts) for column, parts in rows.items()}),
                "evaluation": _hash({key: of_arm[row] for key, of_arm in sorted(vars(evaluation[number]).items())}),
                "policy": _hash({key: array[row] for key, array in sorted(parameters[number].items())}),
            }
    return found


def _hash(arrays: dict[str, np.ndarray]) -> str:
    seen = hashlib.sha256()
    for name, array in arrays.items():
        seen.update(f"{name} {array.dtype} {array.shape}".encode() + np.ascontiguousarray(array).tobytes())
    return seen.hexdigest()[:16]
