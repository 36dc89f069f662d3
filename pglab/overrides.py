"""Overrides: read as a user types them, and given to Hydra in letters that its grammar has."""

import re
from collections.abc import Iterable

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException

from pglab.errors import InputError

KEY = re.compile(r"[+~]*[\w$][\w$/.@:-]*", re.ASCII)
CALL = re.compile(r"\s*\w+\(.*\)\s*")
QUOTED = r"'(?:\\.|[^'\\])*'|\"(?:\\.|[^\"\\])*\""
INTERPOLATED = r"\$\{[^}]*\}"
OPEN = "cluster.options."  # takes any key, and needs no + for one that is new
PIECE = re.compile(rf"{QUOTED}|{INTERPOLATED}|(?P<bare>(?:\\.|[^,()\[\]{{}}'\"\\])+)")
PLAIN = re.compile(r"(?:\\.|[\w/+.$%*@?|: \t\\-])*", re.ASCII)  # letters that Hydra takes without quotation marks


def parsed(overrides: Iterable[str], loader: ConfigLoader | None = None) -> list[Override]:
    """Reads overrides; a value may hold any letter, and further equals signs.

    Raises:
        InputError: one is no `key=value`, in one line.
    """
    parser = OverridesParser.create(config_loader=loader)
    return [_parsed(parser, text) for text in overrides]


def quoted(override: str) -> str:
    """The same with quotation marks around every piece of the value that Hydra would not read without."""
    key, equals, value = override.partition("=")
    if key.startswith(OPEN):
        return quoted(f"++{override}")
    if CALL.fullmatch(value):  # its equals signs name arguments
        return override
    return key + equals + PIECE.sub(lambda piece: piece[0] if _is_plain(piece["bare"]) else f"'{piece[0]}'", value)


def typed(override: str) -> str:
    """The same without the quotation marks that `quoted` adds."""
    key, equals, value = override.partition("=")
    return key + equals + re.sub(r"'([^'\\]*)'", lambda piece: piece[0] if _is_plain(piece[1]) else piece[1], value)


def _is_plain(bare: str | None) -> bool:
    return bare is None or PLAIN.fullmatch(bare) is not None


def _parsed(parser: OverridesParser, text: str) -> Override:
    try:
        (override,) = parser.parse_overrides([quoted(text)])
    except HydraException as error:
        raise InputError(_complaint(text)) from error
    if not override.key_or_group:
        raise InputError(_complaint(text))
    letters = text.partition("=")[2].strip()
    if override.key_or_group == "study" and type(number := override.value()) is int and letters != str(number):
        raise InputError(f"{text} is read as the number {number}; begin the name of a folder with a letter")
    return override


def _complaint(text: str) -> str:
    """Says what is wrong with an override, and how to write it."""
    key, equals, value = text.partition("=")
    unquoted = re.sub(QUOTED, "", value)
    if not equals:
        return f"{text} is no setting; write key=value without spaces, such as weighting=rtg"
    if not KEY.fullmatch(key):
        return f"{text}: {key or 'nothing'} is no key; write key=value, such as weighting=rtg"
    if re.search(r"^\s*,|,\s*([,)}\]]|$)", unquoted):
        return f"{text}: a comma has no value beside it; leave it out, or add what is missing"
    if re.search("['\"]", unquoted):
        return f"{text}: a quotation mark is not closed"
    if any(unquoted.count(left) != unquoted.count(right) for left, right in ("()", "[]", "{}")):
        return f"{text}: a bracket is not closed, or was never opened"
    if CALL.fullmatch(value):
        return f"{text} cannot be evaluated; values to sweep over are A,B,… or range(START,STOP,STEP)"
    return f"{text}: brackets stand for lists here; put quotation marks around the value: \"{key}='{value}'\""
