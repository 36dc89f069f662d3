"""The errors that a user's input, or a file of a study, can cause."""


class InputError(ValueError):
    """Bad input: says what was given, what is allowed and what to do; raised before any work starts."""


class DamagedError(InputError):
    """A file of a study is not what was written: cut off, changed, gone, or not one of ours."""
