"""Names of games, and the buttons that can be pressed, as worlds of games share them."""

from collections.abc import Sequence

import gymnasium
from gymnasium.spaces import Discrete


def game_id(id: str, form: str) -> str:
    """A game's id in Gymnasium, from this or from its name.

    Args:
        form: an id with `{}` for the name, such as `ALE/{}-v5`.

    Raises:
        ValueError: there is no such game.
    """
    found = id if id in gymnasium.registry else form.format(id)
    if found not in gymnasium.registry:
        before, after = form.split("{}")
        known = (name for name in gymnasium.registry if name.startswith(before) and name.endswith(after))
        games = sorted(name.removeprefix(before).removesuffix(after) for name in known)
        raise ValueError(f"id={id} is no game; there are {', '.join(games)}")
    return found


class Buttons(gymnasium.ActionWrapper):
    """Some of the buttons.

    Args:
        pressed: their numbers, in order.
        names: of all that there are.
    """

    def __init__(self, env: gymnasium.Env, pressed: Sequence[int], names: Sequence[str]) -> None:
        super().__init__(env)
        there = list(range(len(names)))
        if not pressed or not set(pressed) <= set(there):
            raise ValueError(f"buttons={list(pressed)} must be some of {there}: {', '.join(names)}")
        self._pressed = list(pressed)
        self.action_space = Discrete(len(self._pressed))

    def action(self, action: int) -> int:
        return self._pressed[int(action)]
