"""Equal scores, one seed, a diverged run, a single arm, …: every number has a reason, every run is counted."""

import re

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from pglab.results import anova, compare, describe_arms, effect_across, main_effects, plots, scores, seeds_needed
from tests.results.extremes import STUDIES, THRESHOLD, evaluation_of
from tests.slow import first

HOW = ("last_tenth", "final_evaluation", "steps_to")
STUDY = pytest.mark.parametrize("study", STUDIES)


def scored(study: str, how: str) -> pd.DataFrame:
    updates = STUDIES[study]
    threshold = THRESHOLD if how == "steps_to" else None
    return scores(updates, evaluation_of(updates), how=how, threshold=threshold)  # pyright: ignore


def all_pairs(runs: pd.DataFrame) -> pd.DataFrame:
    """What the matrix of P(better) is drawn from."""
    table = compare(runs, all_pairs=True).rename(columns={"control": "other"})
    turned = table.rename(columns={"arm": "other", "other": "arm"}).assign(p_better=1 - table["p_better"])
    return pd.concat([table, turned], ignore_index=True)


@STUDY
@pytest.mark.parametrize("how", HOW)
def test_every_run_of_an_arm_is_counted(study: str, how: str):
    runs = scored(study, how)
    arms = describe_arms(runs)
    assert runs.drop_duplicates(["arm", "seed"]).shape[0] == STUDIES[study].drop_duplicates(["arm", "seed"]).shape[0]
    ended = arms[["finished", "diverged", "stopped", "failed", "unfinished"]].sum(axis=1)
    assert ended.tolist() == runs.groupby("arm", sort=False).size().tolist()
    if how == "steps_to":  # a run that was cut off counts as far as it went
        assert arms["n"].tolist() == ended.tolist()
    else:
        assert arms["n"].tolist() == (ended - arms["stopped"] - arms["failed"] - arms["unfinished"]).tolist()
    assert arms["capped"].sum() == (runs["reached"] == False).sum()  # noqa: E712, for it may be neither
    assert arms["horizon"].notna().all() == (arms["capped"].sum() > 0)
    for row in arms.to_dict("records"):
        known = np.isfinite(row["low"] + row["high"])
        assert known != row["interval"].startswith("none: ")
        assert known == (row["n"] > 1)
        assert row["low"] <= row["mean"] <= row["high"] or not known


@STUDY
@pytest.mark.parametrize(("how", "test"), [("last_tenth", "t"), ("steps_to", "t"), ("last_tenth", "permutation")])
def test_every_comparison_has_a_sentence_and_a_p_or_a_reason_and_leaves_no_run_out_unsaid(study, how, test):
    runs = scored(study, how)
    size = runs.groupby("arm").size()
    table = compare(runs, control=runs["arm"].iloc[0], test=test)
    assert len(table) == len(size) - 1
    for row in table.to_dict("records"):
        assert np.isnan(row["p"]) == row["test"].startswith("none: ") == np.isnan(row["p_holm"])
        assert np.isnan(row["low"]) == row["interval"].startswith("none: ")
        assert (
            row["n"] + row["n_control"] + row["left_out"] + row["unscored"] == size[row["arm"]] + size[row["control"]]
        )
        for count, what in (("left_out", "left out"), ("unscored", "without a score"), ("diverged", "diverged")):
            assert (f"{row[count]} run" in row["verdict"] and what in row["verdict"]) == (row[count] > 0)
        assert ("ended before the threshold (censored)" in row["verdict"]) == (row["capped"] > 0)
        assert re.match(
            r"(with [^:]+: )?(no verdict on|too few seeds to judge|the data cannot tell|\S+ beats) \S+", row["verdict"]
        )
        assert "nan" not in row["verdict"]
        assert "∞" not in row["verdict"]


@STUDY
@pytest.mark.parametrize("how", ["last_tenth", "steps_to"])
def test_planning_says_how_many_seeds_or_that_there_is_no_spread(study: str, how: str):
    for row in seeds_needed(scored(study, how), 3.0).to_dict("records"):
        assert np.isnan(row["needed"]) == ("no spread to plan by" in row["verdict"]) == pd.isna(row["enough"])
        assert "nan" not in row["verdict"]


@STUDY
@pytest.mark.parametrize("how", ["last_tenth", "steps_to"])
def test_effects_are_known_or_have_a_reason(study: str, how: str):
    runs = scored(study, how)
    effects, variance = main_effects(runs), anova(runs)
    if study == "a single arm":
        assert (len(effects), len(variance)) == (0, 0)
        return
    assert len(effects) == 3
    for row in effects.to_dict("records"):
        assert np.isnan(row["low"]) == row["interval"].startswith("none: ")
        assert np.isnan(row["p"]) == row["test"].startswith("none: ")
    unknown = variance[variance["p"].isna() & ~variance["term"].isin(["residual", "seed"])]
    assert (unknown["note"] != "").all()
    assert set(variance["n"] + variance["left_out"]) == {len(runs)}
    assert "nan" not in " ".join(effect_across(runs, "weighting")["answer"])


FROM_UPDATES = {
    "learning_curves": plots.learning_curves,
    "gradient_diagnostics": plots.gradient_diagnostics,
    "surrogate_and_objective": plots.surrogate_and_objective,
}
FROM_SCORES = {
    "seed_scores": plots.seed_scores,
    "performance_profile": plots.performance_profile,
    "sensitivity": lambda runs: plots.sensitivity(runs, "optimizer.lr"),
    "paired_differences": lambda runs: plots.paired_differences(compare(runs)),
    "probability_of_improvement": lambda runs: plots.probability_of_improvement(all_pairs(runs)),
    "effects": lambda runs: plots.effects(main_effects(runs)),
}

NEVER_THERE = [(study, "steps_to") for study in ("two seeds", "an arm without scores", "none comes to the threshold")]


def words(figure: Figure) -> str:
    """Everything that is written in a figure, drawn once for the ticks to be there."""
    figure.set_layout_engine("none")  # slow, and nothing that is asked here
    figure.draw_without_rendering()
    texts = [text for text in figure.findobj(lambda artist: hasattr(artist, "get_text")) if text.get_visible()]
    return " ".join(text.get_text().replace("\n", " ") for text in texts)


@STUDY
@pytest.mark.parametrize("figure", first(1, FROM_UPDATES))
def test_figures_of_updates_can_be_drawn_and_name_every_arm(study: str, figure: str):
    said = words(FROM_UPDATES[figure](STUDIES[study]))
    for weighting, lr in STUDIES[study][["weighting", "optimizer.lr"]].drop_duplicates().to_numpy():
        assert f"weighting={weighting}, lr={lr} (n = " in said or f"lr={lr},weighting={weighting} (n = " in said


@pytest.mark.parametrize(("study", "how"), [*zip(STUDIES, ["last_tenth"] * 8, strict=True), *NEVER_THERE])
@pytest.mark.parametrize("figure", first(2, FROM_SCORES))
def test_figures_of_scores_can_be_drawn_and_count_the_runs_that_they_cannot_show(study: str, figure: str, how: str):
    runs = scored(study, how)
    said = words(FROM_SCORES[figure](runs))
    assert "nan" not in said
    shown = np.isfinite(runs["score"]).groupby(runs["arm"]).agg(["sum", "size"])
    if figure in ("seed_scores", "performance_profile"):
        lacking = (runs["reached"] == False).fillna(False).groupby(runs["arm"]).sum()  # noqa: E712
        for (n, of), cut in zip(shown.to_numpy(), lacking, strict=True):
            expected = f"(n = {n}" if n == of else f"(n = {n} of {of}"
            assert expected + (f", {cut} censored)" if cut else ")") in said
    if figure == "sensitivity":
        assert (" of " in said) == (shown["sum"] < shown["size"]).any()
    if study == "a single arm" and figure in ("paired_differences", "probability_of_improvement", "effects"):
        assert said.startswith("a single arm: n")
