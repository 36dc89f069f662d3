"""`until=decided`: rounds of paired seeds, until each difference is seen or excluded."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from pglab.errors import InputError
from pglab.results import decide, scores
from pglab.results.digits import plain
from pglab.results.pairs import FEWEST
from pglab.results.sequential import METHOD, looks
from pglab.studies.asked import Composed, arm_name
from pglab.studies.console import Console
from pglab.studies.plan import make_plan
from pglab.studies.recorder import Outcome
from pglab.studies.train import Trained, carry_out, report_to_sweep, say_how_it_went, train


@dataclass(frozen=True)
class Standing:
    """The comparisons of a command as far as they are.

    Attributes:
        table: of `decide`; empty before the first look.
        seeds: that each arm needs for the next look, by the name of its folder; none where all is decided.
    """

    table: pd.DataFrame
    seeds: Mapping[str, int]


def train_as_asked(composed: Sequence[Composed], command: str = "") -> Trained:
    """Trains what is missing, all at once or, with `until=decided`, round after round; see `train`.

    Raises:
        InputError: bad input; nothing was trained or written.
    """
    if not (composed and until_decided(composed[0].settings)):
        return train(composed, command)
    check_until(composed)
    if composed[0].settings["plan"]:
        planned = train(_with_seeds(composed, {}, FEWEST), command)
        further = ", ".join(map(str, looks(composed[0].settings["until"]["max_seeds"])[1:])) or "none"
        Console().say(
            f"until=decided: rounds for as long as a difference is not decided; seeds of an arm then: {further}"
        )
        return planned
    return _in_rounds(composed, command)


def until_decided(settings: Mapping[str, Any]) -> bool:
    """True where the command goes on until a difference is decided."""
    return bool(settings.get("until", {}).get("_decided_"))


def check_until(composed: Sequence[Composed]) -> None:
    """Raises InputError where there is nothing to decide, or the number of seeds is asked for, too."""
    difference, most = (composed[0].settings["until"][key] for key in ("difference", "max_seeds"))
    if difference is None:
        raise InputError("until=decided needs until.difference=D: the smallest difference in score that matters")
    if not difference > 0:
        raise InputError(f"until.difference={difference} must be above 0, in the unit of the score")
    if type(most) is not int or most < FEWEST:
        raise InputError(f"until.max_seeds={most} must be a whole number of at least {FEWEST}")
    given = {text.partition("=")[0].lstrip("+") for one in composed for text in one.overrides}
    if "seeds" in given or len({one.settings["seed"] for one in composed}) > 1:
        raise InputError(
            "until=decided finds the number of seeds itself; leave seeds out, and give one seed to begin with"
        )
    if len({arm_name(one) for one in composed}) < 2:
        raise InputError("until=decided compares arms, and this is one; name several: -m weighting=total,rtg")


def _in_rounds(composed: Sequence[Composed], command: str) -> Trained:
    console, outcome = Console(), Outcome()
    needed = dict.fromkeys(map(arm_name, composed), FEWEST)
    while True:
        asked = _with_seeds(composed, needed, FEWEST)
        trained, mirrored = carry_out(make_plan(asked, command), asked, command, console)
        outcome.add(trained.outcome)
        trained = replace(trained, outcome=outcome)
        standing = _standing(trained, needed)
        stopped = outcome.interrupted or (outcome.failures and composed[0].settings["fail_fast"])
        if stopped or not standing.seeds:
            break
        for line in _told_so_far(standing):
            console.say(line)
        needed = {arm: standing.seeds.get(arm, seeds) for arm, seeds in needed.items()}
    said = None if stopped else [*standing.table["verdict"], *_told_in_the_end(standing, composed[0].settings)]
    say_how_it_went(trained, console, mirrored, said)
    report_to_sweep(trained, console)
    return trained


def _with_seeds(composed: Sequence[Composed], seeds: Mapping[str, int], least: int) -> list[Composed]:
    return [replace(one, settings={**one.settings, "seeds": seeds.get(arm_name(one), least)}) for one in composed]


def _standing(trained: Trained, needed: Mapping[str, int]) -> Standing:
    """Looks how far the comparisons are by now, and how many seeds the next look takes."""
    plan = trained.plan
    until, names = plan.settings["until"], {arm.full_name: arm.name for arm in plan.arms}
    if trained.rows["arm"].nunique() < 2:  # the others failed, or are the same program
        return Standing(pd.DataFrame(columns=["outcome", "verdict"]), {})
    runs = scores(trained.rows, trained.evaluation)
    table, ahead = decide(runs, until["difference"], first=plan.settings["seed"]), dict[str, int]()
    for row in table[table["outcome"] == "open"].to_dict("records"):
        pair = [names[row["arm"]], names[row["control"]]]
        further = [number for number in looks(until["max_seeds"]) if number > min(needed[arm] for arm in pair)]
        if further:
            ahead |= {arm: max(further[0], ahead.get(arm, 0)) for arm in pair}
    return Standing(table, ahead)


def _told_so_far(standing: Standing) -> list[str]:
    """A line for each comparison that is not decided, and how many seeds are next."""
    still = standing.table[standing.table["outcome"] == "open"]["verdict"]
    return [f"{str(said).partition(';')[0]}; on to {max(standing.seeds.values())} seeds" for said in still]


def _told_in_the_end(standing: Standing, settings: Mapping[str, Any]) -> list[str]:
    """Says how the error is kept, and what would go on where something is not decided."""
    if standing.table.empty:
        return ["until=decided: there are no two arms with scores, so nothing to decide"]
    lines = [f"{METHOD}; a difference counts from {plain(settings['until']['difference'])} on"]
    if (standing.table["outcome"] == "open").any():
        lines.append(
            f"Not decided by until.max_seeds={settings['until']['max_seeds']}: the same command with more goes on "
            "from here"
        )
    return lines
