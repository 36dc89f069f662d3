"""How each number of a report was computed, in sentences."""

import pandas as pd

from pglab.report.content import Content
from pglab.results.coverage import real_coverage
from pglab.results.digits import counted

SEED = """The seed is the unit of replication: episodes and updates of a run are not independent, and enter no \
statistic by themselves."""
IQM = """The interquartile mean leaves out a quarter of the scores at either end, and can hide as many failed seeds; \
so it stands beside mean, median, minimum and maximum."""
PAIRS = """Arm minus control. Runs of the same seed share initial weights, first states and the random numbers behind \
their actions; so they are compared in pairs where arms share seeds."""
HOLM = """where nothing differs, the chance of naming any winner is at most 5 %."""
POWER = """For the t test of these comparisons with normal scores, the spread that this study shows, and α divided by \
the number of comparisons."""
COUNTED = """Diverged runs enter with what they had until then; failed, stopped and unfinished runs have no score, and \
are counted."""


def methods(content: Content) -> list[tuple[str, str]]:
    """A heading and a text for each number; those that are in the data come from there."""
    arms, compared, unit = content.arms, content.comparisons, content.runs["unit"].iloc[0]
    said = [("Score", f"One number a run: {content.score} (unit: {unit}). {SEED}")]
    sizes = sorted({int(arms["n"].min()), int(arms["n"].max())})
    coverage = " ".join(real_coverage(content.question.interval, n) for n in sizes)
    said.append(("Mean of an arm", f"Over its n scores. Interval: {_several(arms['interval'])}. {coverage}"))
    said += [("IQM, min, max", IQM), ("Tolerance interval", f"{_several(arms['tolerance'])}.".capitalize())]
    if len(compared):
        number = int(compared["comparisons"].iloc[0])
        interval = f"{_several(compared['interval'])}, each for itself, not widened for many comparisons."
        corrected = f"p (Holm) is corrected for {counted(number, 'comparison')}: {HOLM}"
        better = "how often the arm does better, ties half; Pearson's r over pairs, which help where it is above 0."
        said.append(("Difference", f"{PAIRS} Interval: {interval}"))
        said.append(("p", f"Two-sided: {_several(compared['test'])}. {corrected}"))
        said.append(("Effect, p better, correlation", f"{_several(compared['effect_name'])}; {better}"))
    if content.planning:
        said.append(("Seeds and power", POWER))
    return [*said, ("What is counted", COUNTED)]


def _several(texts: pd.Series) -> str:
    """The different texts of a column, in order."""
    return "; ".join(dict.fromkeys(texts))
