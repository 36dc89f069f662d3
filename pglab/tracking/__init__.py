"""Uploading studies to W&B from their local files."""
