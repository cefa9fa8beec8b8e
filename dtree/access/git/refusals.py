"""What git says when a server cannot be reached or will not do it, as errors of ours."""

from __future__ import annotations

import re
from typing import Final

from dtree.access.git.program import Answer
from dtree.errors import StoreUnreachable

__all__ = ["contact_trouble", "is_out_of_history", "is_unable"]

_DENIED: Final = re.compile(
    r"authentication failed|could not read (?:username|password)|permission denied|returned error: 40[13]|access denied"
    r"|host key verification failed|terminal prompts disabled",
    re.IGNORECASE,
)
_NOT_FOUND: Final = re.compile(
    r"(?:repository|project) .*not found|does not appear to be a git repository|returned error: 404|not exported", re.IGNORECASE
)
_NO_CONTACT: Final = re.compile(
    r"could(?: not|n't) resolve|name or service not known|unable to look up|(?:failed|unable) to connect|unable to access"
    r"|connection (?:refused|timed out|reset|closed)|operation (?:timed out|too slow)|no route to host|network is unreachable"
    r"|returned error: (?:429|5\d\d)|empty reply|recv failure|\bSSL\b|\bTLS\b|certificate|could not read from remote"
    r"|hung up|early EOF|RPC failed|transport '\w+' not allowed|cannot run ssh",
    re.IGNORECASE,
)
_UNABLE: Final = re.compile(r"does not support shallow|shallow capabilities|not support --(?:filter|depth)")
_OUT_OF_HISTORY: Final = re.compile(r"unadvertised object|not our ref|couldn't find remote ref|no such remote ref|not a valid object")


def contact_trouble(answer: Answer, address: str) -> StoreUnreachable | None:
    """Return the error for a server that was not reached, or that refused; None where that is not what git says.

    Args:
        address: as it may be shown.
    """
    told = answer.complaint
    if _DENIED.search(told):
        hint = "give git the means without a question: a credential helper, name and token in the URL, a key in the ssh agent"
        return StoreUnreachable(f"the Git server does not let us read {address}: {answer.reason}", hint=hint, code="git-denied")
    if _NOT_FOUND.search(told):
        hint = "check --git-url; a server may say so too where you may not read it"
        return StoreUnreachable(f"there is no Git repository at {address}: {answer.reason}", hint=hint, code="git-not-found")
    if _NO_CONTACT.search(told):
        hint = "check --git-url and the network; only a tag or full commit that was read before needs none"
        return StoreUnreachable(f"{address} cannot be reached: {answer.reason}", hint=hint)
    return None


def is_unable(answer: Answer) -> bool:
    """Whether the server has no notion of fetching a part only."""
    return bool(_UNABLE.search(answer.complaint))


def is_out_of_history(answer: Answer) -> bool:
    """Whether the server does not give a commit by its id: there is none, or it gives the tips of branches and tags only."""
    return bool(_OUT_OF_HISTORY.search(answer.complaint))
