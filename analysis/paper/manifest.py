"""The manifest of what each figure came from: studies, configurations, code, and the hashes of its files."""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pglab
from analysis.paper import stored
from analysis.paper.checks import Check
from analysis.paper.figure import Figure, Study
from pglab.errors import DamagedError
from pglab.store.reader import ArmFolder

FILE = "manifest.json"
LIBRARIES = ("matplotlib", "numpy", "pandas", "scipy", "seaborn", "torch")
CODE = (".py", ".yaml", ".html")
PACKAGE = Path(pglab.__file__).resolve().parent
PLACES = (PACKAGE, PACKAGE.parent / "conf", Path(__file__).resolve().parent)

Entry = dict[str, Any]
"""A figure's part of the manifest."""


def code() -> dict[str, str]:
    """Versions of the libraries that draw and compute, and a hash of all code of pglab, conf and of the figures."""
    files = sorted(file for place in PLACES for file in place.rglob("*") if file.suffix in CODE)
    whole = hashlib.sha256()
    for file in files:
        whole.update(f"{file.name}\0{_digest(file)}\n".encode())
    return {name: version(name) for name in LIBRARIES} | {"code": whole.hexdigest()}


def origin(figure: Figure, quick: bool, drawn_by: Mapping[str, str]) -> Entry:
    """The code and every study that a figure is drawn from, as these are now."""
    return {
        "quick": quick,
        "drawn_by": dict(drawn_by),
        "studies": {study.folder(quick).name: _study(study, quick) for study in figure.studies},
    }


def described(origin: Entry, checks: Sequence[Check], files: Sequence[Path]) -> Entry:
    """An origin with what came of it."""
    hashes = {file.name: _digest(file) for file in files}
    return origin | {"checks": [_json(asdict(check)) for check in checks], "files": hashes}


def up_to_date(entry: Entry | None, now: Entry, folder: Path) -> bool:
    """Tells if a figure's files are those that would be drawn again from what there is."""
    if entry is None or any(entry.get(part) != now[part] for part in now):
        return False
    return all((folder / name).is_file() and _digest(folder / name) == old for name, old in entry["files"].items())


def read(folder: Path) -> dict[str, Entry]:
    """The entries by figure; none where there is no manifest that can be read."""
    try:
        return json.loads((folder / FILE).read_text())["figures"]
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def text(entries: Mapping[str, Entry]) -> str:
    """The manifest as JSON: no date and no place, so that it is the same whenever it is written."""
    return json.dumps({"figures": dict(entries)}, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def _study(study: Study, quick: bool) -> Entry:
    arms = {arm.path.name: _arm(arm) for arm in stored.arms(study, quick)}
    return {"commands": [" ".join(["python -m pglab -m", *command]) for command in study.commands(quick)], "arms": arms}


def _arm(arm: ArmFolder) -> Entry:
    """Of an arm its settings, what computed its runs, and the files with its numbers."""
    try:
        record = arm.record()
        assert record is not None
    except DamagedError as error:  # told of when it is read
        return {"damaged": str(error)}
    files = record.files or {}
    sizes = {name: path.stat().st_size if (path := arm.path / name).is_file() else 0 for name in sorted(files)}
    told = {
        "identity": dict(record.identity),
        "provenance": [dict(made) for made in record.provenance],
        "versions": dict(record.versions),
        "files": {name: list(digests) for name, digests in files.items()},
    }
    runs = Counter(f"{run.updates} updates, {run.status}" for run in record.runs.values())
    return told | {"runs": dict(sorted(runs.items())), "sizes": sizes}


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _json(values: Mapping[str, Any]) -> Entry:
    """Without NaN, which JSON does not know."""
    return {key: None if value != value else value for key, value in values.items()}
