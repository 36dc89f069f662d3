"""The horizon and the pictures of worlds after Gymnasium's classic control."""

from typing import ClassVar

from pglab.envs.drawing import Drawing, Twin

SOLVED = "solved, by Gymnasium's reward_threshold"


class Classic:
    """A world with a twin in Gymnasium, cut after `horizon` steps.

    Attributes:
        horizon: steps after which an episode is truncated.
        twin: draws its states.
    """

    horizon: int
    twin: ClassVar[Twin]

    def __post_init__(self) -> None:
        if self.horizon < 1:
            raise ValueError(f"horizon={self.horizon} must be at least 1")

    @property
    def render_modes(self) -> tuple[str, ...]:
        return self.twin.render_modes

    def drawing(self, mode: str) -> Drawing:
        return self.twin.drawing(self, mode)
