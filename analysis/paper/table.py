"""The checks of a figure as a table to read."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from pglab.results.digits import MINUS
from pglab.results.tables import readable

COLUMNS = ("what", "published", "ours", "low", "high", "n", "agrees", "rule")
NUMBERS = ("ours", "low", "high")


def as_text(checks: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Checks with the digits that are known: those of the interval, and of what was calculated all that is compared.

    Args:
        checks: the fields of `Check`; None stands for NaN.
    """
    frame = pd.DataFrame(checks, columns=list(COLUMNS)).astype(dict.fromkeys(NUMBERS, float))
    text = readable(frame)
    text["ours"] = [
        said if check["n"] else f"{check['ours']:.7g}".replace("-", MINUS)
        for said, check in zip(text["ours"], checks, strict=True)
    ]
    text["n"] = [said if said != "0" else "calculated" for said in text["n"]]
    return text
