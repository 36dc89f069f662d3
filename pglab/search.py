"""The search for an arm's best settings: ranges, and trials that Optuna proposes and remembers."""

import math
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from pglab.errors import InputError
from pglab.store.tuning import Range, Tuning

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import Trial

JOURNAL = "tuning.journal"  # Optuna's own, in the study
DIGITS = 3  # of a value, so that an arm's name can be read


def read_range(text: str) -> Range | None:
    """`KEY=LOW..HIGH`, or `KEY=a|b|c`; None for what is neither.

    A range is logarithmic where both ends are above 0 and one is at least ten times the other, and of whole numbers
    where both are written as such.

    Raises:
        InputError: its ends are no numbers in order.
    """
    key, _, value = text.partition("=")
    if "|" in value:
        return Range(key.lstrip("+"), choices=tuple(value.split("|")))
    if ".." not in value or value.startswith(("'", '"')):
        return None
    ends = value.split("..")
    try:
        low, high = map(float, ends)
    except ValueError:
        raise InputError(f"{text} is no range; write KEY=LOW..HIGH, such as optimizer.lr=1e-4..1e-1") from None
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise InputError(f"{text}: the first end of a range is the smaller one")
    whole = all(end.lstrip("+-").isdecimal() for end in ends)
    return Range(key.lstrip("+"), low, high, log=low > 0 and high >= 10 * low, whole=whole)


def optuna_here() -> ModuleType:
    """Optuna.

    Raises:
        InputError: it is not installed, or too old.
    """
    try:
        import optuna
        import optuna.storages.journal
    except ImportError as error:
        raise InputError("pglab.tune needs Optuna: pip install 'pglab[tune]'") from error
    return optuna


@dataclass(frozen=True)
class Proposal:
    """Settings to be tried for one arm.

    Attributes:
        number: of the trial.
        settings: a value, as one would type it, by key.
    """

    number: int
    settings: Mapping[str, str]


class Search:
    """The trials of one arm, kept in the study's folder.

    Args:
        arm: its name.
    """

    def __init__(self, study: Path, arm: str, tuning: Tuning) -> None:
        optuna = optuna_here()
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._optuna, self._arm, self._ranges = optuna, arm, tuning.ranges
        backend = optuna.storages.journal.JournalFileBackend(str(study / JOURNAL))
        storage = optuna.storages.JournalStorage(backend)
        self._study: Study = optuna.create_study(
            study_name=arm, storage=storage, direction="maximize", load_if_exists=True
        )

    @property
    def ended(self) -> int:
        """Trials that have been scored, or have no score."""
        return sum(trial.state.is_finished() for trial in self._study.trials)

    def proposals(self, count: int) -> Iterator[Proposal]:
        """Yields settings to try: first those that were proposed before and never scored, as after a kill."""
        left = [trial for trial in self._study.trials if not trial.state.is_finished()][:count]
        for trial in left:
            if told := trial.user_attrs.get("settings"):
                yield Proposal(trial.number, told)
            else:  # a kill came between two lines of the journal
                self._study.tell(trial.number, state=self._optuna.trial.TrialState.FAIL)
        for _ in range(count - len(left)):
            number = len(self._study.trials)
            # A sampler of its own for each trial: what is proposed depends on the trials before it alone.
            seed = zlib.crc32(f"{self._arm} {number}".encode())
            self._study.sampler = self._optuna.samplers.TPESampler(seed=seed, constant_liar=True)
            trial = self._study.ask()
            settings = {one.key: _proposed(trial, one) for one in self._ranges}
            trial.set_user_attr("settings", settings)
            yield Proposal(trial.number, settings)

    def tell(self, proposal: Proposal, score: float) -> None:
        """Scores a trial; one without a number has failed."""
        failed = math.isnan(score)
        state = self._optuna.trial.TrialState.FAIL if failed else None
        self._study.tell(proposal.number, None if failed else score, state=state)

    @property
    def best(self) -> tuple[Mapping[str, str], float] | None:
        """The settings with the best score so far, and it."""
        try:
            trial = self._study.best_trial
        except ValueError:
            return None
        return trial.user_attrs["settings"], float(trial.value or 0.0)


def _proposed(trial: "Trial", one: Range) -> str:
    if one.choices:
        return str(trial.suggest_categorical(one.key, one.choices))
    if one.whole:
        return str(trial.suggest_int(one.key, int(one.low), int(one.high), log=one.log))
    value = trial.suggest_float(one.key, one.low, one.high, log=one.log)
    return f"{min(max(float(f'{value:.{DIGITS}g}'), one.low), one.high):.12g}"
