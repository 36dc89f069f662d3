"""Arms that are one program: trained once, under one name.

They are where what is built of them is the same once every part has been put in its simplest form (see
`pglab.build.simplest`), or where they differ in nothing but a choice that nobody uses.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pglab.settings import as_now, used
from pglab.store.folder import arms_in
from pglab.store.reader import ABOUT
from pglab.store.records import FORMAT, ArmRecord
from pglab.studies.asked import ArmConfig

Programs = Mapping[str, str]  # by the name of an arm, see `pglab.studies.messages.Checked`


@dataclass(frozen=True)
class Wanted:
    """An arm that is to be trained.

    Attributes:
        arm: its configuration.
        seeds: asked for.
        twins: other arms that were asked for and are the same program.
    """

    arm: ArmConfig
    seeds: tuple[int, ...] = ()
    twins: tuple[ArmConfig, ...] = ()

    def joined_by(self, asked: ArmConfig, seeds: Iterable[int]) -> "Wanted":
        """The same with the seeds of an arm that was asked for, itself or a twin."""
        twins = self.twins if asked.name == self.arm.name else (*self.twins, asked)
        return replace(self, seeds=tuple(dict.fromkeys((*self.seeds, *seeds))), twins=twins)


def one_of_each(asked: Sequence[tuple[ArmConfig, Sequence[int]]], study: Path, programs: Programs) -> list[Wanted]:
    """The arms asked for, each with its seeds, without those that are the same program as another.

    One that is stored under its own name stays. Any other goes with such an arm, or with one that the study has
    besides, or with the first that was asked for, where there is one in its simplest form.

    Args:
        study: its folder.
        programs: of the arms asked for, and of others in the study; of one without, the settings tell.
    """

    def program(arm: ArmConfig) -> str:
        return programs.get(arm.name) or used(arm.identity)

    names = {arm.name for arm, _ in asked}
    there = {name for name in names if (study / name / ABOUT).exists()}
    besides = _by_program(stored_besides(study, names), programs) if names - there else {}
    by_merit = sorted(
        (arm for arm, _ in asked), key=lambda arm: (arm.name not in there, program(arm) != used(arm.identity))
    )
    chosen: dict[tuple[str, int], ArmConfig] = {}
    for arm in by_merit:
        stored = None if arm.name in there else besides.get(program(arm))
        chosen.setdefault((program(arm), arm.settings["updates"]), arm.under(stored) if stored else arm)
    found: dict[str, Wanted] = {}
    for arm, seeds in asked:
        own = arm if arm.name in there else chosen[program(arm), arm.settings["updates"]]
        found[own.name] = found.get(own.name, Wanted(own)).joined_by(arm, seeds)
    return list(found.values())


def stored_besides(study: Path, asked: Collection[str]) -> list[ArmRecord]:
    """The arms of a study that were not asked for, and can be written to."""
    records = [record for arm in arms_in(study) if (record := arm.record_if_whole())]
    return [record for record in records if record.arm not in asked and record.format == FORMAT]


def _by_program(stored: Iterable[ArmRecord], programs: Programs) -> dict[str, ArmRecord]:
    found: dict[str, ArmRecord] = {}
    for record in stored:
        found.setdefault(programs.get(record.arm) or used(as_now(record.identity)), record)
    return found
