"""One word per change and per state, and one line that says what a plan or a run is of: the same in every view."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from dtree.events import RunStarted
from dtree.model import Address
from dtree.names import DEFAULT_NAMESPACE
from dtree.plan import Plan, Step
from dtree.record import RunRecord, StepRecord
from dtree.views.style import Role
from dtree.views.text import clean, count, join_names, short_revision


@dataclass(frozen=True, slots=True)
class ChangeWords:
    """How a change is spoken of.

    Attributes:
        mark: one character, or the name of a mark in `style`.
        role: colour of mark and word.
        planned: in the count of a plan, "3 to create".
        doing: while it is being done.
        done: when it has been done.
    """

    mark: str
    role: Role
    planned: str
    doing: str
    done: str = "ready"


CHANGES: Final[Mapping[str, ChangeWords]] = {
    # In the order in which a plan counts them.
    "create": ChangeWords("+", "good", "to create", "creating"),
    "update": ChangeWords("~", "busy", "to update", "updating"),
    "replace": ChangeWords("replace", "busy", "to replace", "replacing"),
    "rerun": ChangeWords("!", "busy", "to run again", "rerunning"),
    "dispatch": ChangeWords(">", "busy", "to dispatch", "dispatching"),
    "restart": ChangeWords("~", "busy", "to restart", "restarting"),
    "redeploy": ChangeWords("replace", "busy", "to redeploy", "redeploying"),
    "promote": ChangeWords("^", "busy", "to promote", "promoting"),
    "return": ChangeWords("~", "busy", "to return", "returning", "returned"),
    "evaluate": ChangeWords("?", "busy", "to evaluate", "evaluating"),
    "stop": ChangeWords("-", "bad", "to stop", "stopping", "stopped"),
    "purge": ChangeWords("x", "bad", "to purge", "purging", "purged"),
    "keep": ChangeWords("=", "dim", "kept", "keeping", "kept"),
    "absent": ChangeWords(".", "dim", "not running", "looking", "not running"),
    "noop": ChangeWords("=", "dim", "unchanged", "checking"),
    "external": ChangeWords("=", "dim", "external", "waiting for it"),
}

_STOPS: Final = ("stop", "purge", "keep", "absent")

_UNKNOWN: Final = ChangeWords("?", "", "to do", "working")

FAILURES: Final[Mapping[str, str]] = {
    "failed": "failed",
    "timed-out": "timed out",
    "awaiting-promotion": "awaiting promotion",
    "superseded": "superseded",
    "changed-meanwhile": "changed meanwhile",
    "error": "failed",
}

TOLERATED: Final = " (tolerated)"

_ROLES: Final[Mapping[str, Role]] = {"ready": "good", "failed": "bad", "acting": "busy", "waiting": "busy"}

_BACK_ROLES: Final[Mapping[str, Role]] = {"returning": "busy", "returned": "", "not returned": "bad"}


def change_words(change: str) -> ChangeWords:
    """Return the words for a change; neutral ones for a change that is new to this version."""
    return CHANGES.get(change, _UNKNOWN)


def state_word(step: StepRecord, verb: str) -> str:
    """Say where a step stands, in a word or two; in a rollback also where that stands."""
    word = _own_word(step, verb)
    if step.back is None or step.back.state == "pending":
        return word
    return step.back.state if step.state == "ready" and step.back.state != "stays" else f"{word}, {step.back.state}"


def _own_word(step: StepRecord, verb: str) -> str:
    words = change_words(step.planned.change)
    match step.state:
        case "acting" if step.attempts:
            return "dispatching again" if step.dispatches else "running again"
        case "acting":
            return words.doing
        case "waiting":
            return words.doing if verb_of(step, verb) == "stop" else "waiting"
        case "ready":
            return words.done
        case "failed":
            return failure_word(step)
        case "lost":
            return not_begun(verb_of(step, verb))
        case _:
            return step.state


def failure_word(step: StepRecord) -> str:
    """Say how a step failed, and whether that is put up with."""
    return FAILURES.get(step.kind, "failed") + (TOLERATED if step.is_tolerated else "")


def state_role(step: StepRecord) -> Role:
    """Return the colour of a step's state."""
    if step.back is not None and step.back.state in _BACK_ROLES:
        return _BACK_ROLES[step.back.state]
    return _ROLES.get(step.state, "dim")


def verb_of(step: StepRecord, verb: str) -> str:
    """Say what is done to a job: a stop runs hooks, too."""
    return "run" if verb == "stop" and step.planned.change not in _STOPS else verb


def not_begun(verb: str) -> str:
    """Say what became of a step that was never begun."""
    return {"stop": "not stopped", "promote": "not promoted"}.get(verb, "not started")


def need_words(step: Step) -> tuple[str, ...]:
    """Name what a step needs, with what it asks of it where that is not simply that it is ready: `db (started)`."""
    return tuple(f"{need} ({', '.join(more)})" if (more := _asked(step, need)) else need for need in step.needs)


def _asked(step: Step, need: str) -> list[str]:
    told = [str(condition) for condition in step.edges.get(need, ())]
    return [*told, "optional"] if need in step.optional else told


def head_line(verb: str, begun: Plan | RunStarted, address: str) -> str:
    """Say what is planned or run: how much, from which state of which store, on which Nomad."""
    goals = f"{verb} {join_names(begun.goals)}".rstrip()
    return f"{goals}: {count(len(begun.steps), 'step')}, {origin(begun)}, {clean(address)}"


def origin(begun: Plan | RunStarted | RunRecord) -> str:
    """Say which set of jobs this is, and from which state of which store."""
    return f"stack {clean(begun.stack)}, {clean(begun.store)} {short_revision(begun.revision)}"


def identity(name: str, job_id: str, namespace: str, region: str) -> str:
    """Name a job, with Nomad's ID, namespace and region only where they tell something more: `api (api-prod in shop, region eu)`."""
    told = clean(job_id) if job_id != name else ""
    places = (clean(namespace) if namespace not in ("", DEFAULT_NAMESPACE) else "", f"region {clean(region)}" if region else "")
    place = ", ".join(filter(None, places))
    more = " ".join(filter(None, (told, place and f"in {place}")))
    return f"{clean(name)} ({more})" if more else clean(name)


def address_lines(addresses: tuple[Address, ...]) -> tuple[str, ...]:
    """Group addresses by label, in the order they came: `http 10.0.0.1:80, 10.0.0.2:80`."""
    by_label: dict[str, list[str]] = {}
    for address in addresses:
        by_label.setdefault(clean(address.label), []).append(clean(str(address)))
    return tuple(f"{label} {', '.join(hosts)}".strip() for label, hosts in by_label.items())
