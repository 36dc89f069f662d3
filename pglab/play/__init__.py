"""Watching the policies that a study has stored."""
