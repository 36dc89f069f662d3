"""All that a run leaves, as bytes, to be compared bit by bit."""

import numpy as np


def rows_of(bundle, number, row):
    """All that an update showed of one run, as bytes."""
    return [
        [np.asarray(column[row]).tobytes() for column in measures.columns().values()]
        for measures in bundle.history[number]
    ]


def policies(bundle, number):
    return {name: array.tobytes() for name, array in bundle.parameters()[number].items()}
