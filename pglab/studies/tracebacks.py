"""The part of a traceback that is the user's own."""

import os
import site
import sysconfig
from traceback import StackSummary, TracebackException

from pglab.studies.provenance import PACKAGE

NOT_OWN = {
    os.path.realpath(place)
    for place in (PACKAGE, *sysconfig.get_paths().values(), *site.getsitepackages())
    if place != sysconfig.get_path("data")  # a whole environment, in which there may be a project
}


def own_part(error: BaseException) -> str:
    """The traceback of an error and of those behind it, without the frames of pglab and of libraries.

    Empty where no frame is in a file of the user's.
    """
    told = TracebackException.from_exception(error)
    kept, waiting = False, [told]
    while waiting:
        one = waiting.pop()
        one.stack = StackSummary.from_list([frame for frame in one.stack if _is_own(frame.filename)])
        kept |= bool(one.stack)
        waiting += [other for other in (one.__cause__, one.__context__) if other is not None]
    return "".join(told.format()) if kept else ""


def _is_own(file: str) -> bool:
    place = os.path.realpath(file)
    return os.path.isfile(place) and not any(place.startswith(other + os.sep) for other in NOT_OWN)
