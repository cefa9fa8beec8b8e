"""What the jobs of a plan will fetch, and whether it is there: told before anything is registered.

Which sources there are, what is asked for and what the answers mean is decided here; the asking is `access.web` and `access.registry`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from dtree.access.addresses import is_http, without_secrets
from dtree.access.at_once import do_in_time
from dtree.access.registry import manifest_digest, parse_image
from dtree.access.web import Reply, Web
from dtree.errors import DeclarationError, Fault, NotAnswered, Place
from dtree.model import Spec
from dtree.plan import Plan, Register, Rerun

__all__ = ["LIMIT_S", "Answer", "Checked", "Source", "Use", "check", "refuse_missing", "settled", "sources_of", "why_unknown"]

LIMIT_S: Final = 60.0
"""How long all the asking may take."""

_AT_ONCE: Final = 8
_SHOWN_JOBS: Final = 4
_OUT_OF_TIME: Final = f"no answer within the {LIMIT_S:g} s that all the asking may take"
_GONE: Final = (404, 410)
_DENIED: Final = (401, 403)
_NO_SUCH_RANGE: Final = 416
_AT_RUN_TIME: Final = "it is known only where the task runs: it holds `${...}`"
_SHORT: Final = "its name does not say which registry, so that is up to the node"
_GETTERS_OWN: Final = ("archive", "checksum", "filename")
"""Query parameters that go-getter takes out before it asks. Source: https://github.com/hashicorp/go-getter#general-all-protocols"""
_FORCED: Final = re.compile(r"([A-Za-z0-9]+)::(.+)", re.DOTALL)
_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_ARCHIVE: Final = re.compile(r"\.(tar|t?bz2|t?gz|t?xz|t?zst|zip)$", re.IGNORECASE)
_OTHER_TRANSPORT: Final = re.compile(r"(oci-archive|docker-archive|oci|dir|containers-storage|docker-daemon):")


@dataclass(frozen=True, slots=True)
class Source:
    """Something that a task fetches before it starts.

    Attributes:
        shown: its address without user, password and query.
        address: what is asked for: a URL, or the name of an image.
        headers: sent along; they may be secret.
        skip_verify: the job says that the certificate is not to be checked.
        unasked: why it cannot be asked for, "" where it can.
    """

    kind: Literal["file", "image"]
    shown: str
    address: str = field(repr=False)
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    skip_verify: bool = False
    unasked: str = ""


@dataclass(frozen=True, slots=True)
class Use:
    """A task that fetches it: the job, `group/task`, and the job's file."""

    job: str
    task: str
    file: str


@dataclass(frozen=True, slots=True)
class Answer:
    """Whether something is there, and how that is known.

    Attributes:
        why: what the server said; of what is there "".
    """

    state: Literal["there", "missing", "not checked"]
    why: str = ""


@dataclass(frozen=True, slots=True)
class Checked:
    """A source, who fetches it, and whether it is there."""

    source: Source
    uses: tuple[Use, ...]
    answer: Answer


def check(
    plan: Plan, *, now_s: Callable[[], float], pause: Callable[[float], None], known: Mapping[Source, Answer] | None = None
) -> tuple[Checked, ...]:
    """Ask whether all is there that the plan's jobs will fetch: each source once, some at once, for `LIMIT_S` at most.

    Args:
        now_s: monotonic seconds.
        known: answers that still hold.

    Returns:
        Every source, in the order of the plan.

    Effects: requests to the servers of the artifacts.
    """
    found = sources_of(plan)
    answers = {source: Answer("not checked", source.unasked) for source in found if source.unasked} | dict(known or {})
    asked = [source for source in found if source not in answers]
    web = Web(now_s=now_s, pause=pause, until_s=now_s() + LIMIT_S)
    late = Answer("not checked", _OUT_OF_TIME)
    told = do_in_time(lambda source: _ask(source, web), asked, at_once=_AT_ONCE, limit_s=LIMIT_S, now_s=now_s, otherwise=late)
    answers |= dict(zip(asked, told, strict=True))
    return tuple(Checked(source, uses, answers[source]) for source, uses in found.items())


def refuse_missing(checked: Collection[Checked]) -> None:
    """Raise DeclarationError where something is missing: all of it at once, by the task that would fetch it.

    Its notes say what was not checked: the next try may fail of that.
    """
    faults = [
        Fault(
            "artifact-missing",
            f"job '{use.job}', task {use.task}: {one.source.shown} is not there ({one.answer.why})",
            Place(use.file),
            "put it there, or mend the job file; with --no-check-artifacts nothing is asked",
        )
        for one in checked
        if one.answer.state == "missing"
        for use in one.uses
    ]
    if faults:
        error = DeclarationError(faults)
        error.notes = tuple(f"not checked: {why_unknown(one)}" for one in checked if one.answer.state == "not checked")
        raise error


def why_unknown(one: Checked) -> str:
    """Say of what was not checked who fetches it, and why nobody knows whether it is there."""
    jobs = sorted({use.job for use in one.uses})
    more = f" and {len(jobs) - _SHOWN_JOBS} more" if len(jobs) > _SHOWN_JOBS else ""
    return f"{one.source.shown} ({', '.join(jobs[:_SHOWN_JOBS])}{more}): {one.answer.why}"


def settled(checked: Iterable[Checked]) -> dict[Source, Answer]:
    """Return the answers that a second look need not ask for again: what is missing may come any moment."""
    return {one.source: one.answer for one in checked if one.answer.state != "missing"}


def sources_of(plan: Plan) -> dict[Source, tuple[Use, ...]]:
    """Return what the jobs that will be registered fetch, in the order of the plan, each with the tasks that fetch it.

    Those are the jobs that are new, changed, or run again; of what runs unchanged, or is only evaluated, nothing new is asked.
    """
    uses: dict[Source, list[Use]] = {}
    for step in plan.steps:
        if not isinstance(step.action, Register | Rerun):
            continue
        for task, source in _sources(step.job.spec):
            uses.setdefault(source, []).append(Use(step.name, task, step.job.file))
    return {source: tuple(dict.fromkeys(found)) for source, found in uses.items()}


def _ask(source: Source, web: Web) -> Answer:
    try:
        if source.kind == "file":
            return _judge(web.look_for(source.address, dict(source.headers), skip_verify=source.skip_verify))
        image = parse_image(source.address)
        if image is None:
            return Answer("not checked", "it is no name of an image")
        return Answer("there") if manifest_digest(image, web) else Answer("missing", "the registry does not know it: 404")
    except NotAnswered as error:
        return Answer("not checked", error.problem)


def _judge(reply: Reply) -> Answer:
    """Say what the answer to a look for a file means: only 404 and 410 of the host that was asked are a no."""
    if reply.is_ok or reply.status == _NO_SUCH_RANGE:  # an empty file has no first byte
        return Answer("there")
    if reply.withheld:
        return Answer("not checked", f"another host that it leads to, and that was given no header of the job, answered {reply.status}")
    if reply.status in _GONE:
        return Answer("missing", str(reply.status))
    return Answer("not checked", f"it wants a login ({reply.status})" if reply.status in _DENIED else f"it answered {reply.status}")


def _sources(spec: Spec) -> Iterator[tuple[str, Source]]:
    for group in spec.get("TaskGroups") or ():
        for task in group.get("Tasks") or ():
            name = f"{group.get('Name')}/{task.get('Name')}"
            for artifact in task.get("Artifacts") or ():
                yield name, _file(artifact)
            config = task.get("Config") or {}
            if task.get("Driver") in ("docker", "podman") and isinstance(config.get("image"), str):
                yield name, _image(task["Driver"], config)


def _file(artifact: Mapping[str, Any]) -> Source:
    """Work out what Nomad's client will ask for.

    Source: https://developer.hashicorp.com/nomad/docs/job-specification/artifact, https://github.com/hashicorp/go-getter#url-format
    """
    written = str(artifact.get("GetterSource") or "")
    options = {str(name): str(value) for name, value in (artifact.get("GetterOptions") or {}).items()}
    headers = {str(name): str(value) for name, value in (artifact.get("GetterHeaders") or {}).items()}
    if any("${" in text for text in (written, *options.values(), *headers.values())):
        return _unasked("file", written, _AT_RUN_TIME)
    forced = _FORCED.fullmatch(written)
    if forced and forced[1] not in ("http", "https"):
        return _unasked("file", written, f"{forced[1]}:: is not asked")
    plain = forced[2] if forced else written
    scheme = _SCHEME.match(plain)
    if scheme is None:
        return _unasked("file", written, "it has no scheme: the getter will find out what it is")
    if scheme[1].lower() not in ("http", "https"):
        return _unasked("file", written, f"{scheme[1]}: is not asked")
    if not is_http(plain):
        return _unasked("file", written, "it is no address of a web server")
    if _is_folder(plain, options, str(artifact.get("GetterMode") or "any")):
        return _unasked("file", written, "a folder is found by a page of the server, which only the getter reads")
    url = _asked_url(plain, options)
    return Source("file", _shown(url), url, tuple(sorted(headers.items())), skip_verify=bool(artifact.get("GetterInsecure")))


def _image(driver: str, config: Mapping[str, Any]) -> Source:
    written: str = config["image"]
    name = written.removeprefix("docker://")
    known = parse_image(name)
    if known is None and "${" in written:
        return _unasked("image", written, _AT_RUN_TIME)
    if config.get("load"):
        return _unasked("image", written, "it is loaded from a file of the task")
    if _OTHER_TRANSPORT.match(written):
        return _unasked("image", written, f"{written.partition(':')[0]}: is not asked")
    if known is None:
        return _unasked("image", written, "it is no name of an image")
    if known.is_short and driver == "podman":
        return _unasked("image", written, _SHORT)
    return Source("image", name, name)


def _unasked(kind: Literal["file", "image"], written: str, why: str) -> Source:
    is_image = kind == "image" and parse_image(written) is not None  # the @ before a digest ends no password
    return Source(kind, written if is_image else _shown(written), written, unasked=why)


def _asked_url(plain: str, options: Mapping[str, str]) -> str:
    """Return the URL without a folder within the archive and what is the getter's own, and with what the job's options add."""
    parts = urlsplit(plain)
    path = parts.path.partition("//")[0] or "/"
    query = {**dict(_query(parts.query)), **{name: [value] for name, value in options.items()}}
    kept = {name: values for name, values in sorted(query.items()) if name not in _GETTERS_OWN}
    return urlunsplit((parts.scheme, parts.netloc, path, urlencode(kept, doseq=True), ""))


def _query(text: str) -> Iterator[tuple[str, list[str]]]:
    pairs = parse_qsl(text, keep_blank_values=True)
    yield from ((name, [value for other, value in pairs if other == name]) for name, _ in pairs)


def _is_folder(plain: str, options: Mapping[str, str], mode: str) -> bool:
    parts = urlsplit(plain)
    path = parts.path.partition("//")[0]
    archive = options.get("archive", dict(parse_qsl(parts.query)).get("archive", ""))
    is_archive = archive not in ("false", "0") if archive else bool(_ARCHIVE.search(path))
    return not is_archive and (mode == "dir" or (mode == "any" and path.endswith("/")))


def _shown(address: str) -> str:
    """Return an address as it may be shown; an @ in the path of a URL is no password's end."""
    if not is_http(address):
        plain = without_secrets(address)
        return plain.rpartition("@")[2] if "@" in plain else plain
    parts = urlsplit(address)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
