"""Asking a server again for what passes by itself, with growing pauses."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Final, TypeVar

from dtree.errors import DtreeError

Answer = TypeVar("Answer")

_FIRST_PAUSE_S: Final = 0.2
_LONGEST_PAUSE_S: Final = 5.0


def ask_again(
    ask: Callable[[], Answer],
    *,
    passes: Callable[[DtreeError], bool],
    patience_s: float,
    now_s: Callable[[], float],
    pause: Callable[[float], None],
) -> Answer:
    """Ask until there is an answer.

    Args:
        passes: whether an error may be gone the next time; any other one is raised at once.
        patience_s: for how long it is asked, in seconds, from now on.

    Raises:
        DtreeError: the last one, once the next pause would be over too late.
    """
    give_up_s = now_s() + patience_s
    pause_s = _FIRST_PAUSE_S
    while True:
        try:
            return ask()
        except DtreeError as error:
            if not passes(error) or now_s() + pause_s > give_up_s:
                raise
        pause(pause_s * random.uniform(0.75, 1.25))  # noqa: S311 - jitter, not a secret
        pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)
