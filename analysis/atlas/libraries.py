"""Defaults of five libraries on each axis, each read in the source of the version that is named."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Library:
    """An algorithm of a library, at a version.

    Attributes:
        source: the folder that the files named in `DEFAULTS` are in.
    """

    name: str
    version: str
    algorithm: str
    source: str


GITHUB = "https://github.com"
LIBRARIES = (
    Library("CleanRL", "fe8d8a0", "ppo.py", f"{GITHUB}/vwxyzjn/cleanrl/tree/fe8d8a03/cleanrl"),
    Library("Stable-Baselines3", "2.8.0", "PPO", f"{GITHUB}/DLR-RM/stable-baselines3/tree/v2.8.0/stable_baselines3"),
    Library("Spinning Up", "0.2", "VPG (PyTorch)", f"{GITHUB}/openai/spinningup/tree/0.2/spinup/algos/pytorch/vpg"),
    Library("TRL", "1.9.0", "GRPO, with Transformers 5.24", f"{GITHUB}/huggingface/trl/tree/v1.9.0/trl/trainer"),
    Library("verl", "0.9.0", "adv_estimator=grpo, with FSDP", f"{GITHUB}/verl-project/verl/tree/v0.9.0/verl/trainer"),
)

Default = tuple[str, str]  # what is done, and where it is said: a file and the key or function in it

DEFAULTS: dict[str, tuple[Default, Default, Default, Default, Default]] = {
    "weighting": (
        ("GAE, λ = 0.95, γ = 0.99", "ppo.py: gae_lambda, gamma"),
        ("GAE, λ = 0.95, γ = 0.99", "ppo/ppo.py: gae_lambda, gamma"),
        ("GAE, λ = 0.97, γ = 0.99", "vpg.py: lam, gamma"),
        ("total return of the sequence, for each token", "grpo_trainer.py: advantages"),
        ("total return of the sequence, for each token", "ppo/core_algos.py: compute_grpo_outcome_advantage"),
    ),
    "baseline": (
        ("learned critic", "ppo.py: Agent.critic"),
        ("learned critic", "common/policies.py: value_net"),
        ("learned critic", "core.py: MLPCritic"),
        ("mean of the group, own return included", "grpo_trainer.py: mean_grouped_rewards"),
        (
            "mean of the group, own return included; none with rollout.n = 1, its default",
            "ppo/core_algos.py: compute_grpo_outcome_advantage; config/rollout/rollout.yaml: n",
        ),
    ),
    "surrogate": (
        ("clip, ε = 0.2", "ppo.py: clip_coef"),
        ("clip, ε = 0.2", "ppo/ppo.py: clip_range"),
        ("log π · Ψ", "vpg.py: compute_loss_pi"),
        ("clip, ε = 0.2; with one step a batch the ratio is 1", "grpo_config.py: epsilon"),
        ("clip, ε = 0.2, and ratio at most 3 where Ψ < 0", "config/actor/actor.yaml: clip_ratio, clip_ratio_c"),
    ),
    "reuse": (
        ("4 epochs of 4 minibatches", "ppo.py: update_epochs, num_minibatches"),
        ("10 epochs of minibatches of 64 steps", "ppo/ppo.py: n_epochs, batch_size"),
        ("one step of the policy, 80 of the critic", "vpg.py: update, train_v_iters"),
        ("one step", "grpo_config.py: num_iterations, steps_per_generation"),
        ("one epoch of 4 minibatches: 1024 prompts by 256", "config/actor/actor.yaml: ppo_epochs, ppo_mini_batch_size"),
    ),
    "normalisation": (
        ("within each minibatch", "ppo.py: norm_adv"),
        ("within each minibatch", "ppo/ppo.py: normalize_advantage"),
        ("over the batch", "vpg.py: VPGBuffer.get"),
        ("within each group", "grpo_config.py: scale_rewards"),
        ("within each group", "config/ppo_trainer.yaml: norm_adv_by_std_in_grpo"),
    ),
    "discount_factor": (
        ("left out", "ppo.py: pg_loss"),
        ("left out", "ppo/ppo.py: policy_loss"),
        ("left out", "vpg.py: compute_loss_pi"),
        ("no discount", "grpo_trainer.py: advantages"),
        ("no discount", "ppo/core_algos.py: compute_grpo_outcome_advantage"),
    ),
    "truncation": (
        ("taken for an end", "ppo.py: next_done"),
        ("continued by the critic", "common/on_policy_algorithm.py: terminal_value"),
        ("continued by the critic after max_ep_len = 1000 steps; Gym's own limit is an end", "vpg.py: timeout"),
        (
            "cut after 256 tokens, and scored as it is",
            "grpo_config.py: max_completion_length, mask_truncated_completions",
        ),
        ("cut after 512 tokens, and scored as it is", "config/data/legacy_data.yaml: max_response_length"),
    ),
    "head": (
        ("softmax", "ppo.py: get_action_and_value"),
        ("softmax", "common/distributions.py: CategoricalDistribution"),
        ("softmax", "core.py: MLPCategoricalActor"),
        ("softmax, temperature 1", "grpo_config.py: temperature"),
        ("softmax, temperature 1", "config/rollout/rollout.yaml: temperature"),
    ),
    "init": (
        ("orthogonal, × √2, last layer × 0.01", "ppo.py: layer_init"),
        ("orthogonal, × √2, last layer × 0.01", "common/policies.py: ortho_init, module_gains"),
        ("PyTorch's", "core.py: mlp"),
        ("the pretrained language model", "grpo_trainer.py: model"),
        ("the pretrained language model", "config/model/hf_model.yaml: path"),
    ),
    "optimizer": (
        ("Adam, 2.5e-4, annealed to 0", "ppo.py: learning_rate, anneal_lr"),
        ("Adam, 3e-4", "ppo/ppo.py: learning_rate"),
        ("Adam, 3e-4", "vpg.py: pi_lr"),
        ("AdamW, 1e-6, annealed to 0", "grpo_config.py: learning_rate; Transformers: optim, lr_scheduler_type"),
        ("AdamW, 1e-6, weight decay 0.01", "config/actor/actor.yaml: optim"),
    ),
    "clipping": (
        ("norm 0.5, policy and critic together", "ppo.py: max_grad_norm"),
        ("norm 0.5, policy and critic together", "ppo/ppo.py: max_grad_norm"),
        ("none", "vpg.py: update"),
        ("norm 1", "Transformers, training_args.py: max_grad_norm"),
        ("norm 1", "config/optim/fsdp.yaml: clip_grad"),
    ),
    "groups": (
        ("no groups", "ppo.py"),
        ("no groups", "ppo/ppo.py"),
        ("no groups", "vpg.py"),
        ("(R − mean) / (deviation + 1e-4), groups of 8", "grpo_config.py: scale_rewards, num_generations"),
        (
            "(R − mean) / (deviation + 1e-6); R itself with rollout.n = 1, its default",
            "ppo/core_algos.py: compute_grpo_outcome_advantage; config/rollout/rollout.yaml: n",
        ),
    ),
    "reduction": (
        ("mean over the minibatch's steps", "ppo.py: pg_loss"),
        ("mean over the minibatch's steps", "ppo/ppo.py: policy_loss"),
        ("mean over the batch's steps", "vpg.py: compute_loss_pi"),
        ("mean over the batch's tokens", "grpo_config.py: loss_type=dapo"),
        ("mean over the minibatch's tokens", "config/actor/actor.yaml: loss_agg_mode"),
    ),
}
