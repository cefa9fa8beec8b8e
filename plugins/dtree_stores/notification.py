"""What the system tells of changes in folders. The only importer of watchfiles.

Its `watch` begins to listen only when it begins to wait; what is looked at in between would be missed. So the class below it is used,
which listens from when it is made on; watchfiles documents it for that.
"""

from __future__ import annotations

import time
from collections.abc import Collection
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from watchfiles._rust_notify import RustNotify

_GROUP_MS: Final = 200
_STEP_MS: Final = 20
_POLL_S: Final = 1.0


class Notifications:
    """Listens to some folders, not to those below them, from when it is made until it is closed.

    Where the system cannot listen (a folder has just gone, too many are listened to already), `wait` sleeps for a second at most and says
    that there may be something.

    Effects: a thread of watchfiles, until it is closed.
    """

    def __init__(self, folders: Collection[Path]) -> None:
        from watchfiles._rust_notify import RustNotify, WatchfilesRustInternalError

        self._notify: RustNotify | None = None
        # Its last argument would have it pass over, in silence, whatever it cannot listen to.
        quiet = polled = recursive = passing_over = False
        try:
            self._notify = RustNotify(sorted(map(str, folders)), quiet, polled, 0, recursive, passing_over)
        except (OSError, WatchfilesRustInternalError):
            return

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._notify is not None:
            self._notify.close()

    def wait(self, timeout_s: float, *, inside: Collection[Path], paths: Collection[Path]) -> bool:
        """Wait until something happens in one of the folders `inside`, or to one of `paths`.

        Returns:
            False where nothing did in all that time.

        Raises:
            KeyboardInterrupt: Ctrl-C.
        """
        end_s = time.monotonic() + timeout_s
        if self._notify is None:
            time.sleep(min(max(timeout_s, 0.0), _POLL_S))
            return time.monotonic() < end_s
        while (left_ms := int((end_s - time.monotonic()) * 1000)) > 0:
            told = self._notify.watch(_GROUP_MS, _STEP_MS, left_ms, None)
            if told == "signal":
                raise KeyboardInterrupt
            touched = {Path(path) for _, path in told} if isinstance(told, set) else set()
            if any(path in paths or path.parent in inside for path in touched):
                return True
        return False
