"""Sentences on the method behind each number of a report."""

import pandas as pd

from pglab.report.content import Content
from pglab.report.figures import together
from pglab.results.coverage import real_coverage
from pglab.results.digits import counted
from pglab.results.pairs import FEWEST
from pglab.results.sequential import METHOD

SEED = """The seed is the unit of replication: episodes and updates of a run are not independent, and enter no \
statistic by themselves."""
IQM = """The interquartile mean leaves out a quarter of the scores at either end, and can hide as many failed seeds; \
so it stands beside mean, median, minimum and maximum."""
PAIRS = """Arm minus control. Runs of the same seed share initial weights, first states and the random numbers behind \
their actions; so they are compared in pairs where arms share seeds."""
SIMULTANEOUS = """Its interval is that of the same test, at a level that leaves all intervals true together; so it \
excludes 0 exactly where p (Bonferroni) is below .05, and only there an arm is said to beat another. p (Holm) is \
never larger, and decides nothing. Where nothing differs, the chance of naming any winner is at most 5 %."""
FEW = f"""A verdict takes {FEWEST} seeds of each arm. Five differences are all of one sign in 2 of 2⁵ cases by chance, \
p = .0625: with fewer than {FEWEST} pairs no test comes to p = .05 but one that takes the scores for normal, as \
Student's does, and nobody can see in so few whether they are. Nor is an arm beaten most of whose runs diverged or \
failed: that is said instead."""
CENSORED = """A run that ended before it came to the threshold took longer than its steps, and no more is known: it is \
censored. One that diverged would never have come there, and counts as not there up to the horizon. Means are \
restricted to a horizon up to which all arms compared were watched, and are tested by pseudo-values; that takes the \
end of any other run to have nothing to do with how soon it would have come there. The log-rank test stands beside it \
and decides nothing."""
POWER = """For the t test of these comparisons with normal scores, the spread that this study shows, and α divided by \
the number of comparisons, as in the verdicts."""
COUNTED = """Diverged runs enter with what they had until then; failed, stopped and unfinished runs have no score, nor \
has a run one of whose evaluation episodes is not a finite number; all are counted."""


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
        interval = f"{_several(compared['interval'])}. {together(content)}"
        decides = f"p (Bonferroni) is p times {counted(number, 'comparison')}. {SIMULTANEOUS} {FEW}"
        better = "how often the arm does better, ties half; Pearson's r over pairs, which help where it is above 0."
        said.append(("Difference", f"{PAIRS} Interval: {interval}"))
        said.append(("p", f"Two-sided: {_several(compared['test'])}. {decides}"))
        said.append(("Effect, p better, correlation", f"{_several(compared['effect_name'])}; {better}"))
    if content.origin.until:
        said.append(
            (
                "Seeds until decided",
                f"{METHOD[0].upper() + METHOD[1:]} (Jennison and Turnbull 1989, Lan and DeMets 1983).",
            )
        )
    if arms["capped"].any():
        said.append(("Steps to a threshold", CENSORED))
    if content.planning:
        said.append(("Seeds and power", POWER))
    return [*said, ("What is counted", COUNTED)]


def _several(texts: pd.Series) -> str:
    """The different texts of a column, in order."""
    return "; ".join(dict.fromkeys(texts))
