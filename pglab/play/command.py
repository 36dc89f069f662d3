"""The command line of `python -m pglab.play`."""

import argparse
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from statistics import fmean

import numpy as np

from pglab.envs.drawing import Drawing
from pglab.errors import InputError
from pglab.play.stored import StoredPolicy, find_policy
from pglab.results.digits import plain
from pglab.shell import Parser, ended
from pglab.shown import shown
from pglab.store.atomic import write
from pglab.trust import build_stored
from pglab.watching.episode import WatchedPolicy, line_of
from pglab.watching.film import check_film, film
from pglab.watching.stage import FILMED, can_be_drawn, check_drawn, drawn


def main(arguments: Sequence[str] | None = None) -> int:
    """Plays episodes of a stored policy as the command line asks; returns the exit status."""
    return ended(lambda: _played(arguments))


def _played(arguments: Sequence[str] | None) -> int:
    asked = _parser().parse_intermixed_args(arguments)
    arm, seed = _run(asked.run)
    if asked.episodes < 1:
        raise InputError(f"--episodes {asked.episodes} must be at least 1")
    if asked.video is not None:
        check_film(asked.video)
    try:
        _watch(find_policy(asked.study, arm, seed), asked)
    except KeyboardInterrupt as interruption:
        raise KeyboardInterrupt("Interrupted; nothing was written.") from interruption
    return 0


def _parser() -> Parser:
    parser = Parser(
        prog="python -m pglab.play",
        description="Watch the final policy of a run in its environment; of a run that has not ended, its last one.",
        allow_abbrev=False,
    )
    parser.add_argument("study", type=Path, metavar="STUDY", help="the folder of a study")
    parser.add_argument(
        "run",
        nargs="*",
        metavar="arm=NAME seed=N",
        help="by default the only arm, and its first seed; what only this arm has will do: arm=weighting=gae, arm=gae",
    )
    parser.add_argument("--episodes", type=int, default=1, metavar="N", help="how many to play (1)")
    parser.add_argument("--greedy", action="store_true", help="the most probable action in place of a sampled one")
    way = parser.add_mutually_exclusive_group()
    way.add_argument("--render", choices=("human", "ansi"), help="in a window, or as text: a line for each step")
    way.add_argument("--video", type=Path, metavar="FILE", help="film the episodes; FILE ends in .gif or .mp4")
    parser.add_argument(
        "--trust",
        action="append",
        default=[],
        metavar="MODULE",
        help="build parts of the study that come from this module, too: running a part runs its code (repeatable)",
    )
    return parser


def _run(given: Sequence[str]) -> tuple[str | None, int | None]:
    """The arm and the seed that were asked for.

    Raises:
        InputError: something else was.
    """
    wanted: dict[str, str] = {}
    for text in given:
        key, equals, value = text.partition("=")
        if key not in ("arm", "seed") or not equals:
            raise InputError(f"{text} is neither arm=NAME nor seed=N")
        if key in wanted:
            raise InputError(f"{key}={wanted[key]} and {key}={value}: one run is played at a time")
        wanted[key] = value
    seed = wanted.get("seed")
    if seed is not None and not (seed.isascii() and seed.isdigit()):
        raise InputError(f"seed={seed} must be a whole number of at least 0")
    return wanted.get("arm"), None if seed is None else int(seed)


def _watch(stored: StoredPolicy, asked: argparse.Namespace) -> None:
    shapes = build_stored(stored.settings, asked.trust)
    policy = shapes.policy()
    player = WatchedPolicy(shapes.world, policy, stored.flat(policy.model.layout), stored.seed, asked.greedy)
    mode = FILMED if asked.video else asked.render
    if mode in (FILMED, "human"):
        check_drawn(shapes.world, mode, f"--video {asked.video}" if asked.video else "--render human")
    if stored.trouble:
        print(f"note: {shown(stored.trouble)}", file=sys.stderr)
    print(f"{shown(stored.arm)}, seed {stored.seed}: {stored.told}")
    scores: list[tuple[float, int]] = []
    with drawn(shapes.world, mode) if can_be_drawn(shapes.world, mode) else nullcontext() as drawing:
        moments = _pictures(player, drawing, asked, scores)
        if asked.video:
            assert drawing is not None
            write(asked.video, film(moments, drawing.fps, asked.video.suffix.lower()))
            pictures = sum(length + 1 for _, length in scores)
            print(f"Video: {asked.video}   ({pictures} pictures, {drawing.fps:g} a second)")
        else:
            deque(moments, maxlen=0)  # plays them
    if len(scores) > 1:
        returns, lengths = zip(*scores, strict=True)
        print(f"mean of {len(scores)}: return {plain(fmean(returns))}, length {plain(fmean(lengths))}")


def _pictures(
    player: WatchedPolicy, drawing: Drawing | None, asked: argparse.Namespace, scores: list[tuple[float, int]]
) -> Iterator[np.ndarray]:
    """Plays all episodes, says what they came to, and yields those of their pictures that are arrays."""
    for number in range(asked.episodes):
        score, length, ended = 0.0, 0, ""
        for moment in player.episode(number, drawing.world if drawing else None):
            score, length, ended = score + moment.reward, moment.t, moment.ended
            if asked.render == "ansi":
                print(line_of(moment, player.world))
            picture = drawing.picture(moment.state, moment.action) if drawing else None
            if isinstance(picture, str):
                print(picture.rstrip("\n"))
            elif picture is not None:
                yield picture
        scores.append((score, length))
        print(f"episode {number + 1}: return {score:.6g}, length {length} ({ended})")
