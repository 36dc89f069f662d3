"""Settings of the property tests."""

from hypothesis import settings

settings.register_profile("exact", deadline=None)  # a slow machine is no counterexample
settings.load_profile("exact")
