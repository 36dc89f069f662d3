"""Environments as worlds: many episodes side by side as one batched tensor program."""
