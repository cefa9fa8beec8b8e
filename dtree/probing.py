"""What the executor's workers ask of others than Nomad's lists: services, addresses, logs. Each asks once and keeps no state."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from dtree.access.patterns import any_matches
from dtree.conditions import EVERYBODY, Answer, Question, Reading
from dtree.declaration import HttpProbe, LogProbe, Probe, ServiceProbe, TcpProbe
from dtree.errors import ClusterError, Denied, DtreeError, NotAnswered
from dtree.evidence import short_id
from dtree.model import Address, JobRef
from dtree.ports import Cluster

_MATCH_S: Final = 5.0
_TAIL_BYTES: Final = 256
"""Of what was read is read again, to see that it is the same log."""
_MOST_PIECES: Final = 200
_LONGEST_LINE_BYTES: Final = 64 * 1024
"""A longer line is matched in pieces."""


@dataclass(frozen=True, slots=True)
class Probed:
    """What came of a question.

    Attributes:
        error: it will not be answered however often it is asked; None: it is, or may be the next time.
    """

    job: str
    probe: Probe
    answer: Answer
    error: DtreeError | None = None


def answers_to(questions: Sequence[Question], ref: JobRef, cluster: Cluster) -> dict[Probe, Answer]:
    """Ask each question once, and logs to their end. Effects: as `ask`."""
    return {question.probe: _answer_now(question, ref, cluster) for question in questions}


def ask(name: str, ref: JobRef, question: Question, before: Answer, cluster: Cluster) -> Probed:
    """Ask once.

    Args:
        name: of the step.
        before: the last answer to this, for what need not be asked again.

    Effects: reads Nomad or Consul, or sends a request to an address.
    """
    probe = question.probe
    try:
        match probe:
            case ServiceProbe():
                answer = _ask_catalogue(probe, ref, question, cluster)
            case LogProbe():
                answer = _read_logs(ref, probe, question, before, cluster)
            case _:
                answer = _ask_addresses(ref, probe, question, before, cluster)
    except Denied as error:
        return Probed(name, probe, before, error)
    except TimeoutError:
        problem = f"the pattern of the condition takes more than {_MATCH_S:g} s on lines of its log"
        return Probed(name, probe, before, DtreeError(problem, hint="write it without repeats within repeats, such as (a+)+"))
    except ClusterError as error:
        # Nobody has said so far where Consul is; where Nomad is goes without saying here.
        hint = error.hint if isinstance(probe, ServiceProbe) and probe.provider == "consul" else ""
        said = f"{error.problem} ({hint})" if hint else error.problem
        return Probed(name, probe, replace(before, good=frozenset(), said=said))
    return Probed(name, probe, answer)


def _answer_now(question: Question, ref: JobRef, cluster: Cluster) -> Answer:
    """Ask once; of a log, which is read in pieces, until there is no more. One that grows as fast is left at some point."""
    answer = ask("", ref, question, Answer(), cluster).answer
    for _ in range(_MOST_PIECES if isinstance(question.probe, LogProbe) else 0):
        before, answer = answer, ask("", ref, question, answer, cluster).answer
        if answer.good or answer == before:
            break
    return answer


def _ask_catalogue(probe: ServiceProbe, ref: JobRef, question: Question, cluster: Cluster) -> Answer:
    """Nomad's registrations say nothing of health, so the checks of each allocation are asked."""
    found = cluster.registered(ref, probe.service, probe.provider or "nomad", question.allocations)
    good, said = set(), ""
    for allocation in question.allocations:
        checks = found.get(allocation)
        bad = next((check for check in checks or () if check.service == probe.service and check.status != "success"), None)
        if checks is None:
            said = said or f"allocation {short_id(allocation)} has not registered it"
        elif bad is not None:
            said = said or f"check '{bad.name}' of allocation {short_id(allocation)} says {bad.status}"
        elif not checks and allocation in question.checked:
            said = said or f"the checks of allocation {short_id(allocation)} have not answered yet"
        else:
            good.add(allocation)
    return Answer(frozenset(good), said)


def _ask_addresses(ref: JobRef, probe: HttpProbe | TcpProbe, question: Question, before: Answer, cluster: Cluster) -> Answer:
    """Ask one allocation after another, up to the first that does not answer: all of them count only together."""
    if isinstance(probe, HttpProbe) and probe.url:
        said = _ask_url(probe, probe.url, cluster)
        return Answer(frozenset() if said else frozenset({EVERYBODY, *question.allocations}), said)
    if isinstance(probe, TcpProbe) and probe.target:
        host, _, port = probe.target.rpartition(":")
        said = _connect(host.strip("[]"), int(port), cluster)
        return Answer(frozenset() if said else frozenset({EVERYBODY, *question.allocations}), said)
    places: dict[str, Address] = {}
    good: set[str] = set()
    for allocation in question.allocations:
        place = before.places.get(allocation) or _place(ref, allocation, probe.port, cluster)
        if place is None:
            return Answer(frozenset(good), f"allocation {short_id(allocation)} has no port '{probe.port}'", places=places)
        places[allocation] = place
        if isinstance(probe, HttpProbe):
            said = _ask_url(probe, f"http://{place}{probe.path}", cluster)
        else:
            said = _connect(place.host, place.port, cluster)
        if said:
            return Answer(frozenset(good), said, places=places)
        good.add(allocation)
    return Answer(frozenset(good), places=places)


def _place(ref: JobRef, allocation: str, label: str, cluster: Cluster) -> Address | None:
    return next((address for address in cluster.addresses(ref, allocation) if address.label == label), None)


def _ask_url(probe: HttpProbe, url: str, cluster: Cluster) -> str:
    """Return what is wrong with the answer, "" for nothing. A query may hold a token, so it is not shown."""
    try:
        status = cluster.http_status(url)
    except NotAnswered as error:
        return f"http GET {url.partition('?')[0]}: {error.problem}"
    return "" if status == probe.status else f"http GET {url.partition('?')[0]}: {status}"


def _connect(host: str, port: int, cluster: Cluster) -> str:
    try:
        cluster.connect(host, port)
    except NotAnswered as error:
        return f"tcp {Address('', host, port)}: {error.problem}"
    return ""


def _read_logs(ref: JobRef, probe: LogProbe, question: Question, before: Answer, cluster: Cluster) -> Answer:
    """Read on where the last reading ended, a bounded piece of each log, and look at whole lines; at the end of a log also at its rest."""
    good = set(before.good)
    over = set(before.over)
    readings: dict[str, Reading] = dict(before.readings)
    for allocation in question.allocations:
        if allocation in good or allocation in over:
            continue
        reading = readings.get(allocation, Reading())
        reading, piece = _read_on(ref, allocation, probe, reading, cluster)
        is_end = not piece and allocation in question.over
        lines, rest = _lines(reading.rest + piece, is_end=is_end)
        if any_matches(probe.pattern, lines, timeout_s=_MATCH_S):
            good.add(allocation)
        elif is_end:
            over.add(allocation)
        tail = (reading.tail + piece)[-_TAIL_BYTES:]
        readings[allocation] = Reading(reading.offset + len(piece), rest, tail)
    return Answer(frozenset(good), over=frozenset(over), readings=readings)


def _read_on(ref: JobRef, allocation: str, probe: LogProbe, reading: Reading, cluster: Cluster) -> tuple[Reading, bytes]:
    """Read what comes after a reading, or all there is where its end is no longer where it was: files were rotated away.

    Returns:
        (the reading that the piece follows, the piece).
    """
    piece = cluster.log_from(ref, allocation, probe.task, stream=probe.stream, offset=reading.offset - len(reading.tail))
    if piece.startswith(reading.tail):
        return reading, piece[len(reading.tail) :]
    return Reading(), cluster.log_from(ref, allocation, probe.task, stream=probe.stream, offset=0)


def _lines(text: bytes, *, is_end: bool) -> tuple[list[str], bytes]:
    """Return the whole lines, and the bytes after them."""
    *whole, rest = text.split(b"\n")
    if is_end or len(rest) > _LONGEST_LINE_BYTES:
        whole, rest = [*whole, rest], b""
    return [line.decode(errors="replace").rstrip("\r") for line in whole], rest
