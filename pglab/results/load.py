"""From a study's folder to tidy frames."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd

GROUPS = ("env", "weighting", "baseline", "head", "network", "optimizer")
MEASURES = (
    "update",
    "env_steps",
    "episodes",
    "return_mean",
    "return_std",
    "length_mean",
    "loss",
    "entropy",
    "grad_norm",
)


def load(path: str | Path) -> pd.DataFrame:
    """Every run of a study, a row for each (arm, seed, update).

    Columns: `study arm seed`, then `update env_steps episodes return_mean return_std length_mean
    loss entropy grad_norm` (see `pglab.training.arm.Measures`; `env_steps` and `episodes` count
    from the start of the run); where some run was trained with `diagnostics=gradient` what that
    measured (see `pglab.training.diagnostics.DiagnosedMeasures`; NaN where it did not); `status`
    (the run's: finished, diverged, stopped or failed), the chosen `env weighting baseline head
    network optimizer`, and every other key that differs between arms under its dotted name.

    Args:
        path: the folder of a study, or one that holds several studies.

    Raises:
        FileNotFoundError: there is no study at `path`.
    """
    return _load(path, "updates.parquet", MEASURES)


def load_evaluation(path: str | Path) -> pd.DataFrame:
    """The final evaluation, a row for each (arm, seed, episode): `return` and `length`.

    Each run's last policy plays these episodes on streams of their own; the other columns are
    those of `load`.
    """
    return _load(path, "evaluation.parquet", ("episode", "return", "length"))


def _load(path: str | Path, file: str, columns: Iterable[str]) -> pd.DataFrame:
    files = sorted(find_arms(Path(path).resolve()))
    arms = [(about.parent.parent.name, json.loads(about.read_text()), about.parent / file) for about in files]
    return tidy([(study, about, pd.read_parquet(rows)) for study, about, rows in arms], columns)


def tidy(arms: Iterable[tuple[str, dict[str, Any], pd.DataFrame]], columns: Iterable[str]) -> pd.DataFrame:
    """One frame of the rows of arms, in their order, with what describes each arm as further columns.

    Args:
        arms: the study, what `arm.json` says (`arm choices given identity runs`) and the rows of each.
        columns: those of the rows that come first; others that there are follow.
    """
    arms = list(arms)
    extra = _differing_keys([about for _, about, _ in arms])
    found = dict.fromkeys(name for *_, rows in arms for name in rows.columns if name not in ("seed", *columns))
    columns = [*columns, *found]
    frames = []
    for study, about, of_arm in arms:
        status = {int(seed): run["status"] for seed, run in about["runs"].items()}
        frame = of_arm[of_arm["seed"].isin(list(status))].reindex(columns=["seed", *columns])
        described = {group: about["choices"].get(group) for group in GROUPS}
        described |= {key: _plain(about["given"].get(key)) for key in extra}
        frame = frame.assign(study=study, arm=about["arm"], status=frame["seed"].map(status), **described)
        frames.append(frame[["study", "arm", "seed", *columns, "status", *GROUPS, *extra]])
    filled = [frame for frame in frames if len(frame)] or frames[:1]
    return pd.concat(filled, ignore_index=True)


def find_arms(path: Path) -> list[Path]:
    """The `arm.json` of every arm in a study's folder, in one that holds several, or in that of the arm itself."""
    found = [*path.glob("arm.json"), *path.glob("*/arm.json"), *path.glob("*/*/arm.json")]
    if not found:
        raise FileNotFoundError(f"{path} holds no study: there is no arm.json in it or up to two folders below")
    return found


def _differing_keys(abouts: list[dict[str, Any]]) -> list[str]:
    """Dotted keys of the arms' configurations whose value is not the same in every arm.

    An arm is a configuration without its seed: where, how fast and with which seed first it was
    trained is no column. `_target_` only says again which option of a group was chosen, unless
    it was overridden.
    """
    differing = []
    for key in sorted({key for about in abouts for key in about["given"]}):
        if key.partition(".")[0] not in (*abouts[0]["identity"], "updates"):
            continue
        values = {json.dumps(about["given"].get(key)) for about in abouts}
        if key.partition(".")[0] in GROUPS and key.endswith(("._target_", "._partial_")):
            choice = [about["choices"].get(key.partition(".")[0]) for about in abouts]
            named = {(c, json.dumps(about["given"].get(key))) for c, about in zip(choice, abouts, strict=True)}
            if len(named) == len(set(choice)):
                continue
        if len(values) > 1:
            differing.append(key)
    return differing


def _plain(value: Any) -> Any:
    return json.dumps(value) if isinstance(value, list | dict) else value
