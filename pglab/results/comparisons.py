"""Which arm is better, by how much, and how sure one can be."""

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pandas as pd

from pglab.results.arm_choices import ArmKey, runs_by_arm
from pglab.results.arm_names import Pair, pair_labels
from pglab.results.by_problem import problems
from pglab.results.controls import controls
from pglab.results.pairs import Difference, Test, paired, unpaired, without_test
from pglab.results.rounding import differences_of
from pglab.results.samples import Sample, sample_of
from pglab.results.verdicts import verdict


def compare(
    scores: pd.DataFrame,
    control: str | None = None,
    test: Test = "t",
    all_pairs: bool = False,
    level: float = 0.95,
) -> pd.DataFrame:
    """A row for each comparison of two arms, from the frame of `scores`.

    Every arm is compared with a control, or with every arm before it. Two arms that share at least two
    seeds (with scores) are compared in pairs, for the same seed gave them the same random numbers: over
    those seeds alone, the others are counted in `left_out`. Otherwise all scores are compared, by Welch, and so
    they are where there are fewer than six pairs among six or more seeds of each. Differences are arm - control.

    A verdict takes six seeds of each arm (see `pglab.results.pairs.FEWEST`). With fewer there is the estimate with its
    interval, and no winner. Nor is there one where most runs of an arm diverged or failed: the verdict says so.

    Returns on two problems have no scale in common, so arms are compared on each problem by itself, and never with
    those of another (`pglab.results.across_problems` gives one answer over all of them).

    Where m comparisons are made each interval has the level 1 - α/m, α = 1 - `level`, so that all of them hold
    together with at least the probability `level` (Bonferroni). It is the interval of the very test that p comes
    from: it excludes 0 exactly where p m < α, and only there the verdict names a winner.

    Where some run of the two arms did not come to the threshold of `steps_to` the means are restricted: of
    min(time, `horizon`), which is known for runs that were cut off as well; one that diverged is never there. The
    test is that of their pseudo-values (see `pglab.results.censoring`), in pairs or not; the log-rank test, which asks
    whether the arms are alike at all and looks at no pairs, stands beside it and decides nothing, so that there is one
    answer.

    Columns:
        problem: that both are on; empty where all arms are on one.
        study arm control_study control: the two arms.
        label control_label: what each is called in the verdict, by what tells the two apart.
        alike: what they have in common and other arms have not.
        measure unit better: of the scores.
        paired: whether over pairs; pairs: how many; n n_control: how many scores entered.
        left_out: scores that did not, for want of a partner; shared: seeds of which both have one; lacking: those
            of which one has none, in words, but for runs that failed or came to their end without one.
        fate control_fate: what became of an arm most of whose runs diverged or failed, in words.
        unscored: stopped, failed and unfinished runs of the two arms, and those without their score; not_finite:
            of these, how many have none because something that was measured is not a finite number.
        diverged capped: diverged runs of the two arms whose scores entered, and runs that ended before
            they came to the threshold of `steps_to` (censored).
        horizon: environment steps up to which means are restricted; empty where no run is censored.
        correlation: Pearson's r over the pairs. Pairs narrow the interval where it is above 0: with
            equal spread by the factor √(1 - r), apart from the degrees of freedom.
        mean control_mean difference: of those scores.
        low high interval: of the difference, simultaneous for all rows; and in words which one it is. An end is
            infinite where so few scores, or the 9,999 permutations drawn of many, can exclude nothing.
        p_better: how often the arm does better: the share of pairs, or of all pairings where the seeds are not
            shared; ties, and pairs whose order censoring hides, count half.
        effect effect_name: Cohen's d_z in pairs, else Hedges' g (see `pglab.results.pairs`).
        p test: the p value and the test, or why there is none.
        p_bonferroni comparisons: min(1, m p), which decides, and m, the number of comparisons that have a p.
        p_holm: p corrected by Holm, for readers: never above p_bonferroni, and no verdict goes by it. The chance
            that any verdict of the table names a winner where nothing differs is at most 5 %; measured
            for five comparisons with a control at n = 5 to 20: paired 4.4 to 4.8 % (normal scores),
            1.7 to 3.1 % (skewed), 0.2 to 2.3 % (a ceiling); Welch 3.5 to 4.6, 1.5 to 3.1 and 0.3 to 2.5 %;
            permutation tests at n = 5 to 10 up to 4.5 % (`python -m tests.results.error_rates`).
        p_logrank: of the log-rank test, where some run is censored.
        env_steps control_env_steps: how long these runs were, on average.
        verdict: a sentence with these numbers; ± is half the interval.

    Args:
        scores: the frame of `scores`, or rows of it.
        control: an arm's name, or choices (`weighting=total`). Where several arms have them, as in a grid, each
            arm is compared with the one that is otherwise most like it. If not given: the first arm; in a grid
            its choice in the first factor, groups before keys. On a problem that has no such arm it is the one that
            is alike but for its problem, or the first.
        test: `t`, or `permutation`, which assumes no normal scores, and needs 6 pairs to reach .05.
        all_pairs: every two arms on a problem, and no control.
        level: of all intervals together.

    Raises:
        ValueError: the frame is not one score a run, or the control is none or not one.

    Sources: Dunn 1961, Multiple comparisons among means; Holm 1979, A simple sequentially rejective multiple test
    procedure; Royston & Parmar 2013 for restricted means.
    """
    if all_pairs and control is not None:
        raise ValueError(f"either all pairs or a control; got both, with control={control!r}")
    runs = runs_by_arm(scores)
    of_arm = problems(scores)
    every = [(b, a) for a, b in combinations(runs, 2) if of_arm[a] == of_arm[b]]
    pairs = every if all_pairs else list(controls(scores, control).items())
    return compare_pairs(scores, pairs, test, level)


def compare_pairs(
    scores: pd.DataFrame, pairs: Sequence[tuple[ArmKey, ArmKey]], test: Test = "t", level: float = 0.95
) -> pd.DataFrame:
    """The table of `compare` for pairs of one's own choosing, with intervals that are simultaneous for their number.

    Args:
        scores: the frame of `scores`.
        pairs: of an arm and what it is compared with, each as (study, arm).
        test, level: see `compare`.

    Raises:
        ValueError: there is no such test or level; see also `compare`.
    """
    if test not in ("t", "permutation"):
        raise ValueError(f"a test is 't' or 'permutation'; got {test!r}")
    if not 0 < level < 1:
        raise ValueError(f"a level is between 0 and 1, such as 0.95; got {level}")
    runs = runs_by_arm(scores)
    samples = [sample_of(runs[arm], runs[control]) for arm, control in pairs]
    number = sum(not sample.untested for sample in samples)
    rows = [
        _row(pair, sample, labels, _difference(sample, test, round(1 - level, 12) / max(number, 1)))
        for pair, sample, labels in zip(pairs, samples, pair_labels(scores, pairs), strict=True)
    ]
    table = pd.DataFrame(rows, columns=None if rows else COLUMNS)
    p = table["p"].to_numpy(dtype=float)
    table["interval"] = [simultaneous(said, level, number) for said in table["interval"]]
    table["p_bonferroni"], table["p_holm"] = np.minimum(number * p, 1), holm(p)
    table["comparisons"] = number
    table["verdict"] = [
        verdict(row, f"on {row['problem']}" if row["problem"] else "") for row in table.to_dict("records")
    ]
    return table[COLUMNS]


COLUMNS = [
    *("problem", "study", "arm", "control_study", "control", "label", "control_label", "alike"),
    *("measure", "unit", "better", "paired", "pairs", "n", "n_control", "left_out", "shared", "lacking"),
    *("fate", "control_fate", "unscored", "not_finite", "diverged", "capped", "horizon"),
    *("correlation", "mean", "control_mean", "difference", "low", "high", "interval", "p_better"),
    *("effect", "effect_name", "p", "test", "p_bonferroni", "p_holm", "comparisons", "p_logrank"),
    *("env_steps", "control_env_steps", "verdict"),
]


def holm(p: np.ndarray) -> np.ndarray:
    """Holm's corrected p values, the k-th smallest of m being max_{j ≤ k} (m - j + 1) p_j, at most 1.

    Those that are NaN stay so and do not count as comparisons.
    """
    order = np.argsort(p)[: np.count_nonzero(~np.isnan(p))]  # NaN comes last
    corrected = np.full(len(p), np.nan)
    corrected[order] = np.minimum(np.maximum.accumulate(p[order] * np.arange(len(order), 0, -1)), 1)
    return corrected


def simultaneous(said: str, level: float, number: int) -> str:
    """An interval in words, by how it was found, its level and the number of comparisons that share it."""
    if said.startswith("none: "):
        return said
    joint = f"simultaneous (Bonferroni, {number} comparisons) " if number > 1 else ""
    return f"{100 * level:g} % {joint}{said}"


def _difference(sample: Sample, test: Test, alpha: float) -> Difference:
    if sample.untested:
        value = sample.a.mean() - sample.b.mean() if len(sample.a) and len(sample.b) else np.nan
        return without_test(float(value), "Cohen's d_z" if sample.paired else "Hedges' g", sample.untested)
    if sample.paired:
        return paired(differences_of(sample.a, sample.b), test, alpha)
    return unpaired(sample.a, sample.b, test, alpha)


def _row(pair: tuple[ArmKey, ArmKey], sample: Sample, labels: Pair, found: Difference) -> dict[str, object]:
    (study, arm), (control_study, control) = pair
    return {
        **{"problem": labels.problem, "study": study, "arm": arm, "control_study": control_study, "control": control},
        **{"label": labels.arm, "control_label": labels.control, "alike": labels.alike},
        **sample.columns,
        **{"difference": found.value, "low": found.low, "high": found.high, "interval": found.said},
        **{"effect": found.effect, "effect_name": found.effect_name, "p": found.p, "test": found.test},
    }
