"""The mathematics of policy gradients on tensors: no I/O, no configuration, no environment."""
