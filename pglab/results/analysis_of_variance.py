"""Analysis of variance by statsmodels, with a word where there is nothing to estimate."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd

Sums = Literal["II", "III"]
COLUMNS = ["term", "sum_sq", "df", "F", "p", "partial_eta_sq", "note"]
MAIN_ONLY = "cells without scores, or one score a cell: main effects only"
ROUNDING = 1e-20  # share of the sum of squares that is no spread


def analysis_of_variance(
    scores: np.ndarray, factors: pd.DataFrame, block: Sequence[Any] | None, sums: Sums
) -> pd.DataFrame:
    """A row for each term: the factors, all their interactions, the block, the residual.

    Args:
        scores: finite, `[n]`.
        factors: the level of each, `[n, factors]`.
        block: what enters without interactions (the seeds), `[n]`.
        sums: type of the sums of squares.
    """
    from statsmodels.formula.api import ols  # slow to import
    from statsmodels.stats.anova import anova_lm

    names = {f"C(f{number}, Sum)": str(name) for number, name in enumerate(factors)} | {"C(block, Sum)": "seed"}
    data = pd.DataFrame({f"f{number}": factors[name].to_numpy() for number, name in enumerate(factors)})
    data = data.assign(y=scores, block=0 if block is None else list(block))
    coded = list(names)[:-1]
    blocked = [] if block is None else ["C(block, Sum)"]
    none = pd.DataFrame({"term": list(factors), "note": "too few scores, or factors that go together"})
    if not len(data) or any(data[name].nunique() < 2 for name in data.columns.drop(["y", "block"])):
        return none.reindex(columns=COLUMNS)
    for joined in ("*", "+") if len(coded) > 1 else ("+",):
        model = ols("y ~ " + " + ".join([joined.join(coded), *blocked]), data)
        design = np.asarray(model.exog)
        if np.linalg.matrix_rank(design) == design.shape[1] < len(data):
            break
    else:
        return none.reindex(columns=COLUMNS)
    fitted = model.fit()
    if fitted.ssr <= ROUNDING * np.sum(np.square(scores)):
        return none.assign(note="the scores have no spread within cells").reindex(columns=COLUMNS)
    table = anova_lm(fitted, typ=sums).drop(index="Intercept", errors="ignore")
    table = table.rename(columns={"PR(>F)": "p"})
    table["partial_eta_sq"] = (table["sum_sq"] / (table["sum_sq"] + fitted.ssr)).where(table.index != "Residual")
    terms = [" × ".join(names.get(part, "residual") for part in str(term).split(":")) for term in table.index]
    main_only = MAIN_ONLY if joined == "+" and len(coded) > 1 else ""
    order = np.argsort([(term == "seed") + 2 * (term == "residual") for term in terms], kind="stable")
    return table.assign(term=terms, note=main_only).iloc[order].reset_index(drop=True)[COLUMNS]
