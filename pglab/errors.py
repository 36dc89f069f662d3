"""The one error that a user's input can cause."""


class InputError(ValueError):
    """What was given, what is allowed, what to do; raised before any work starts."""
