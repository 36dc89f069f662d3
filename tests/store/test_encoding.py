"""States come back from a checkpoint as they went in, whatever their pieces are called."""

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from pglab.store.encoding import decode, encode, reached, tells_update
from pglab.store.states import Saved

PATHS = st.lists(st.sampled_from(["seeds", "update", "state", "rows", "0", "critic"]), min_size=1, max_size=4)


@given(st.dictionaries(PATHS.map("/".join), st.integers(0, 9), max_size=4), st.lists(st.integers(1, 9), max_size=3))
def test_a_piece_of_a_state_may_have_any_name(values: dict[str, int], updates: list[int]):
    state = {name: np.full((1, 2), value) for name, value in values.items()}
    parts = [Saved(update, [seed], state) for seed, update in enumerate(sorted(updates))]
    rows = pd.DataFrame({"seed": [0], "update": [1], "diverged": [False]})
    arrays = encode(parts, rows)
    back, told = decode(arrays)
    flat = {seed: (part.update, part.state) for part in back for seed in part.seeds}
    assert flat.keys() == set(range(len(parts)))
    for part in parts:
        update, found = flat[part.seeds[0]]
        assert update == part.update
        assert {name: array[0].tolist() for name, array in found.items()} == {
            name: [v, v] for name, v in values.items()
        }
    pd.testing.assert_frame_equal(told, rows)
    needed = {name: array for name, array in arrays.items() if tells_update(name)}
    assert reached(needed) == {seed: part.update for part in parts for seed in part.seeds}
    assert not any("state" in name.split("/")[1:2] for name in needed)
