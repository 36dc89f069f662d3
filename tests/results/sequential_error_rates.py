"""How often `decide` errs, and how soon it ends: `python -m tests.results.sequential_error_rates [STUDIES]`.

Studies of a control and some arms; in pairs their scores go together over seeds with a correlation of one half before
they are bent into each distribution. Where nothing differs, each arm is the control's like; where something does, every
arm is worse by the difference that is asked for, which is half a standard deviation of a score, or 20 below a ceiling.
"""

import sys
from dataclasses import dataclass

import numpy as np
import scipy.optimize

from pglab.results.planning import fewest_seeds
from pglab.results.sequential import POWER, Outcome, levels, look_at, looks
from tests.results.error_rates import BENT

DIFFERENCES = {"normal": 0.5, "skewed": 0.5, "ceiling": 20.0}
ARMS, MOST = 3, 500  # compared with the control; seeds


def shifted(bent: str, difference: float, z: np.ndarray) -> np.ndarray:
    """Scores whose mean is lower by a difference: moved; below a ceiling, moved before they are cut off."""
    if bent != "ceiling":
        return BENT[bent](z) - difference
    middle = (np.arange(20_000) + 0.5) / 20_000
    known = scipy.stats.norm.ppf(middle)

    def lacks(move: float) -> float:
        return float(np.mean(BENT[bent](known) - BENT[bent](known - move))) - difference

    return BENT[bent](z - scipy.optimize.brentq(lacks, 0.0, 10.0))


@dataclass(frozen=True)
class Rates:
    """Shares of the studies, and the seeds that comparisons took on average, beside those of a fixed plan."""

    some_seen: float
    some_excluded: float
    seen: float
    excluded: float
    seeds: float
    fixed_plan: float


def one(differences: np.ndarray, numbers: tuple[int, ...], alpha: float, difference: float) -> tuple[Outcome, int]:
    """The outcome of one comparison, and the seeds that it took."""
    for number, level in zip(numbers, levels(numbers, alpha), strict=True):
        outcome = look_at(differences[:number], number, level).outcome(difference)
        if outcome != "open":
            return outcome, number
    return "open", numbers[-1]


def rates(bent: str, differs: float, studies: int, arms: int = ARMS, most: int = MOST) -> Rates:
    """Simulates studies of arms that differ from the control by `differs` times the difference that is asked for."""
    numbers, difference, rng = looks(most), DIFFERENCES[bent], np.random.default_rng(7)
    taken = []
    spread = 0.0
    for _ in range(studies):
        together = rng.normal(size=numbers[-1]) * np.sqrt(0.5)
        z = together + rng.normal(size=(arms + 1, numbers[-1])) * np.sqrt(0.5)
        found = BENT[bent](z[0]) - (shifted(bent, differs * difference, z[1:]) if differs else BENT[bent](z[1:]))
        taken.append([one(of_arm, numbers, 0.05 / arms, difference) for of_arm in found])
        spread += float(found.var(axis=1, ddof=1).mean()) / studies
    outcomes = np.array([[outcome for outcome, _ in study] for study in taken])
    return Rates(
        some_seen=float((outcomes == "seen").any(axis=1).mean()),
        some_excluded=float((outcomes == "excluded").any(axis=1).mean()),
        seen=float((outcomes == "seen").mean()),
        excluded=float((outcomes == "excluded").mean()),
        seeds=float(np.mean([[seeds for _, seeds in study] for study in taken])),
        fixed_plan=fewest_seeds(difference / np.sqrt(spread), 0.05 / arms, True, POWER),
    )


def main() -> None:
    studies = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    print(f"{studies:,} studies of each kind; a difference of 1 is the one asked for")
    print("scores   arms  difference  some seen  some excluded  seen    excluded  seeds  fixed plan")
    for bent in BENT:
        for arms in (1, ARMS):
            for differs in (0.0, 1.0, 2.0):
                of = rates(bent, differs, studies, arms)
                print(
                    f"{bent:<9}{arms:<6}{differs:<12}{100 * of.some_seen:6.1f} %  {100 * of.some_excluded:10.1f} %  "
                    f"{100 * of.seen:6.1f} % {100 * of.excluded:6.1f} %  {of.seeds:6.1f}  {of.fixed_plan:8.0f}"
                )


if __name__ == "__main__":
    main()
