"""The figures of a report, each with what a reader has to know of it."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from pglab.report.content import Content
from pglab.report.over_problems import OverProblems
from pglab.results import plots
from pglab.results.arm_choices import choices, compared_factors, distinguishing, is_number
from pglab.results.arm_names import names_in
from pglab.results.by_problem import by_problem
from pglab.results.comparisons import compare
from pglab.results.controls import find_arms
from pglab.results.coverage import coverage_of_differences
from pglab.results.effects import main_effects
from pglab.results.normalised import NORMALISED
from pglab.results.plots.style import PAGE_WIDTH
from pglab.results.tuning import plain

ENDS = ("low", "high")
MOST_PAIRED = 20  # arms; a matrix of more is unreadable, and slow


@dataclass(frozen=True)
class Drawn:
    """A figure with its section, the name of its file, its title and a sentence on how to read it."""

    section: str
    name: str
    title: str
    caption: str
    figure: Figure


def figures(content: Content) -> Iterator[Drawn]:
    """The figures that the study has the data for, in the order in which they are read; each problem has its own."""
    if content.over is None:
        yield from _of_problem(content)
        return
    if len(content.over.comparisons):
        yield _over_problems(content.over)
    updates, compared = by_problem(content.updates), content.comparisons
    for number, (problem, runs) in enumerate(by_problem(content.runs).items(), 1):
        here = compared[compared["problem"] == problem] if len(compared) else compared
        for one in _of_problem(replace(content, updates=updates[problem], runs=runs, comparisons=here)):
            caption = one.caption if number == 1 else ""
            yield replace(one, name=f"{one.name}_{number}", title=f"{one.title}: {problem}", caption=caption)


def _over_problems(over: OverProblems) -> Drawn:
    """The normalised differences over all problems, and on each."""
    names, rows = ["label", "control_label", "alike"], []
    for found in over.comparisons.to_dict("records"):
        of_pair = over.differences[(over.differences[names] == [found[name] for name in names]).all(axis=1)]
        for row in (found, *of_pair.to_dict("records")):
            against = f"{row['label']} against {row['control_label']}" + (f", {row['alike']}" if row["alike"] else "")
            level = row.get("problem") or f"all {found['problems']} problems"
            rows.append({"factor": against, "level": level, "effect": row["difference"]} | {e: row[e] for e in ENDS})
    interval = f"over all: {_words(over.comparisons)}; each: {_words(over.differences)}"
    return Drawn(
        "problems",
        "over_problems",
        "Differences over all problems, and on each",
        "Normalised: 0 is random play on a problem, and 1 the best known. All problems count the same.",
        plots.effects(pd.DataFrame(rows), NORMALISED, interval),
    )


def _words(table: pd.DataFrame) -> str:
    return ", ".join(table["interval"].unique())


def _of_problem(content: Content) -> Iterator[Drawn]:
    """The figures of runs on one problem."""
    updates, runs, compared = content.updates, content.runs, content.comparisons
    names = names_in(runs)
    yield Drawn(
        "curves",
        "learning_curves",
        "Learning curves",
        "Every run is a thin line; bold is the mean over seeds. The band is the 95 % Student-t interval of that "
        "mean at each update by itself (pointwise): it does not hold for the whole curve at once.",
        plots.learning_curves(updates, PAGE_WIDTH),
    )
    scored = bool(np.isfinite(runs["score"].to_numpy(dtype=float)).any())
    finite = compared[compared["low"].notna()] if len(compared) else compared
    if len(finite):
        interval = ", ".join(finite["interval"].unique())
        yield Drawn(
            "comparisons",
            "differences",
            "Differences to the control",
            f"An arm beats its control only where the interval stays clear of the line. {together(content)}",
            plots.paired_differences(finite, content.score, interval, names),
        )
    if scored:
        yield Drawn(
            "arms",
            "seed_scores",
            "Every run's score",
            "Seeds are the unit of replication: each dot is one training run.",
            plots.seed_scores(runs, content.score),
        )
        yield Drawn(
            "arms",
            "performance_profile",
            "Performance profile",
            "The share of runs that score at least τ: a curve that lies higher everywhere is better for every seed "
            "that one may get, not only on average.",
            plots.performance_profile(runs, content.score),
        )
    number = runs.groupby(["study", "arm"]).ngroups
    if scored and 2 < number <= MOST_PAIRED:
        yield Drawn(
            "comparisons",
            "probability_of_improvement",
            "How often one arm does better than another",
            "Within pairs of the same seed where two arms share seeds, else over all pairings; ties count half.",
            plots.probability_of_improvement(_both_ways(compare(runs, all_pairs=True)), names),
        )
    for key in _numeric(runs) if scored else []:
        others = [other for other in content.tuned if other != key] if key in content.tuned else []
        vary = f" The other tuned keys vary along: {', '.join(others)}." if others else ""
        yield Drawn(
            "tuning" if key in content.tuned else "settings",
            f"sensitivity_{key}",
            f"Sensitivity to {key}",
            f"One line for each set of arms that differ in nothing else.{vary}",
            plots.sensitivity(runs.assign(arm=[plain(arm, others) for arm in runs["arm"]]), key, content.score),
        )
    if scored and len(compared_factors(runs)) > 1:
        table = main_effects(runs, control=_known_here(runs, content.question.control), twins=content.twins)
        known = table[table["low"].notna()]
        if len(known):
            yield Drawn(
                "settings",
                "effects",
                "Main effects and interactions",
                "Each level against the control level, averaged over all other factors; an interaction is by how much "
                "one level changes the effect of another. Intervals hold together, for all rows.",
                plots.effects(known, content.score, ", ".join(known["interval"].unique())),
            )
    if any(name in updates and updates[name].notna().any() for name in plots.DIAGNOSTICS):
        yield Drawn(
            "diagnostics",
            "gradient_diagnostics",
            "Gradient diagnostics",
            "Measured beside training, at every `diagnostics.every`-th update.",
            plots.gradient_diagnostics(updates),
        )


def _known_here(runs: pd.DataFrame, control: str | None) -> str | None:
    """The control, where one of these runs has it: on another problem it may have another name."""
    try:
        if control is not None and find_arms(runs, control):
            return control
    except ValueError:
        pass
    return None


def together(content: Content) -> str:
    """The joint level of the intervals of all comparisons, and what intervals from so few seeds really cover."""
    compared = content.comparisons[content.comparisons["p"].notna()]
    said, number = [], int(compared["comparisons"].max()) if len(compared) else 0
    if number > 1:
        said.append(
            f"The {number} intervals hold together with 95 % (Bonferroni: each has the level 1 − 0.05/{number}), and "
            f"p (Bonferroni) is p times {number}."
        )
    sizes = {(bool(row["paired"]), min(row["n"], row["n_control"])) for row in compared.to_dict("records")}
    said += [coverage_of_differences(*size) for size in sorted({min(sizes), max(sizes)} if sizes else ())]
    return " ".join(said)


def _both_ways(pairs: pd.DataFrame) -> pd.DataFrame:
    """Each pair's probability in both directions."""
    there = pairs[["arm", "control", "p_better"]].rename(columns={"control": "other"})
    back = there.rename(columns={"arm": "other", "other": "arm"}).assign(p_better=1 - there["p_better"])
    return pd.concat([there, back], ignore_index=True)


def _numeric(runs: pd.DataFrame) -> list[str]:
    """Keys that every arm has a number for, and several of them."""
    arms = list(choices(runs).values())
    return [key for key in distinguishing(runs) if all(is_number(arm[key]) for arm in arms)]
