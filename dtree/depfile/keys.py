"""The dependency file's keys: one table that the parser obeys and the JSON Schema is made from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from dtree.depfile.kinds import MAX_SECONDS, Anything, Choice, Duration, Flag, Kind, Name, Number, Regex, Text, VariableName
from dtree.depfile.shapes import Forms, Key, ListOf, MapOf, OneOf, Record, RecordOrMap, Shared
from dtree.depfile.versions import VERSION
from dtree.names import NAMESPACE, NAMESPACE_WORDS

DEPENDENCIES: Final = "dependencies"
CONDITIONS: Final = ("ready", "registered", "started", "healthy", "completed")
_COMPOSE: Final = {"service_started": "started", "service_healthy": "healthy", "service_completed_successfully": "completed"}

_NAME: Final = Name()
_DURATION: Final = Duration()
_TIMEOUT: Final = Key(_DURATION, "Longest wait for this condition; default: the job's own timeout.")

# -- when a job counts as ready ---------------------------------------------------------------------------------------

_PORT: Final = r"(?:6553[0-5]|655[0-2][0-9]|65[0-4][0-9]{2}|6[0-4][0-9]{3}|[1-5][0-9]{4}|[1-9][0-9]{0,3})"
_HOST: Final = r"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)"
_URL: Final = Text("a URL such as http://HOST:PORT/PATH", pattern=rf"https?://{_HOST}(?::{_PORT})?(?:[/?#][!-~]*)?")
_HOST_PORT: Final = Text("HOST:PORT", pattern=f"{_HOST}:{_PORT}")
_LABEL: Final = Key(_NAME, "Port label of the job file.", is_required=True)

_HTTP: Final = Record(
    "'http'",
    {
        "port": _LABEL,
        "path": Key(Text("a path that begins with /", pattern="/[!-~]*"), "Path of the request; default /."),
        "status": Key(Number("a whole number", 100, 599, is_whole=True), "Status of the answer; default 200."),
    },
)
_TCP: Final = Record("'tcp'", {"port": _LABEL})


def _wait_cond() -> Kind:
    several = ListOf(WAIT_COND, minimum=1)
    forms = {
        "seconds": {
            "seconds": Key(_SECONDS, "Ready so many seconds after Nomad accepted the job, if it has started by then.", is_required=True),
        },
        "service": {
            "service": _lead(_NAME, "Ready when healthy instances of this service, of this version, are registered."),
            "passing": Key(Number("a whole number", 1, 1_000_000, is_whole=True), "How many; default 1."),
            "provider": Key(Choice("a provider", ("nomad", "consul")), "Whose catalogue; default: the one that the job file names."),
        },
        "http": {
            "http": _lead(OneOf("a URL or a map such as {port: LABEL}", _URL, _HTTP), "Ready when every allocation answers a request."),
        },
        "tcp": {
            "tcp": _lead(
                OneOf("HOST:PORT or a map such as {port: LABEL}", _HOST_PORT, _TCP), "Ready when every allocation accepts connections."
            ),
        },
        "log": {
            "log": _lead(Regex(), "Ready when a line of the log matches."),
            "task": Key(_NAME, "Task whose log it is; default: the only one."),
            "stream": Key(Choice("a stream", ("stdout", "stderr")), "Default stdout."),
        },
        "all": {"all": _lead(several, "Ready when all of these are.")},
        "any": {"any": _lead(several, "Ready when one of these is.")},
    }
    records = {name: Record(f"'{name}' as a condition", {**keys, "timeout": _TIMEOUT}) for name, keys in forms.items()}
    return OneOf(
        "the name of a condition, a number of seconds, or a map such as {seconds: 5}",
        Choice(
            "a condition",
            CONDITIONS,
            also=_COMPOSE,
            code="unknown-condition",
            more=", or a number of seconds without quotes and unit",
        ),
        _SECONDS,
        Forms("a condition", records, code="unknown-condition", several="join conditions with all: [...] or any: [...]"),
    )


def _lead(kind: Kind, help_: str) -> Key:
    return Key(kind, help_, is_required=True)


_SECONDS: Final = Number("a number of seconds", 0, MAX_SECONDS)
WAIT_COND: Final = Shared("wait_cond", _wait_cond)

# -- edges ------------------------------------------------------------------------------------------------------------

_CONDITION: Final = Key(WAIT_COND, "What that job must have reached, in `post` the owner; default: its own wait_cond.")
_REQUIRED: Final = Key(Flag(), "false: its failure or absence does not stop the dependent; default true.")
_EDGE_KEYS: Final = {
    "job": Key(_NAME, "Name of the other job.", is_required=True),
    "condition": _CONDITION,
    "required": _REQUIRED,
    "external": Key(Flag(), "true: not deployed here, only waited for in the cluster; its name is Nomad's ID of it."),
    "on_update": Key(
        Choice("what to do on an update", ("none", "restart", "redeploy")),
        "What becomes of a running dependent when the dependency was changed; default none.",
    ),
}
_POST_KEYS: Final = {
    **_EDGE_KEYS,
    "wait_cond": Key(WAIT_COND, "When the post job counts as ready; beats the wait_cond in its own entry."),
}
_HOOK_KEYS: Final = {
    "job": Key(_NAME, "Name of the job to run.", is_required=True),
    "condition": Key(WAIT_COND, "What it must have reached before the stop goes on; default: its own wait_cond."),
    "required": Key(Flag(), "false: the stop goes on also where it fails or has no job file; default true."),
}
_COMPOSE_KEYS: Final = {
    "condition": _CONDITION,
    "required": _REQUIRED,
    "restart": Key(Flag(), "true: restart the dependent when the dependency was changed; as on_update: restart."),
}
_OWN_ENTRY: Final = "it stands in that job's own entry"
_MISPLACED_IN_EDGE: Final = {
    "restart": "write on_update: restart; `restart: true` goes with compose's map form, {NAME: {restart: true}}",
    **dict.fromkeys(("timeout", "retries", "run", "dispatch", "file", "namespace", "region"), _OWN_ENTRY),
    "wait_cond": "when that job counts as ready stands in its own entry; what this edge waits for is 'condition'",
}
_MISPLACED_IN_HOOK: Final = {
    **_MISPLACED_IN_EDGE,
    "external": "what is run around a stop is ours to run: name a job with a job file",
    **dict.fromkeys(("on_update", "restart"), "nothing is updated by a stop"),
}
_EDGE_NOUN: Final = "a job's name or a map such as {job: NAME}"


def _edges(edge: Record, of_map: Mapping[str, Key] = _COMPOSE_KEYS) -> Kind:
    whole = RecordOrMap(edge, MapOf(Record("an edge of the map form", of_map, misplaced=edge.misplaced), names=_NAME, minimum=1))
    hint = "remove the key, if there is no such job"
    return OneOf(f"{_EDGE_NOUN}, or a list of them", _NAME, whole, ListOf(OneOf(_EDGE_NOUN, _NAME, edge), is_distinct=True), hint=hint)


_EDGES: Final = Shared("edges", lambda: _edges(Record("an edge", _EDGE_KEYS, misplaced=_MISPLACED_IN_EDGE)))
_POST_EDGES: Final = Shared("post_edges", lambda: _edges(Record("an edge of 'post'", _POST_KEYS, misplaced=_MISPLACED_IN_EDGE)))
_HOOK_EDGES: Final = Shared(
    "hook_edges",
    lambda: _edges(
        Record("an edge of a hook", _HOOK_KEYS, misplaced=_MISPLACED_IN_HOOK),
        {name: key for name, key in _HOOK_KEYS.items() if name != "job"},
    ),
)

# -- entries and the file ---------------------------------------------------------------------------------------------

_PAYLOAD_FILE: Final = Record("'payload'", {"file": Key(Name("a path in the store"), "Path of the file.", is_required=True)})
_DISPATCH: Final = Record(
    "'dispatch'",
    {
        "meta": Key(MapOf(Text(), names=_NAME), "Values for the meta keys of the job file."),
        "payload": Key(OneOf("text or a map such as {file: PATH}", Text(), _PAYLOAD_FILE), "Its payload, at most 16 KiB."),
        "force": Key(Flag(), "true: run a periodic job now, out of its turn."),
    },
)
_PROMOTE: Final = OneOf(
    "auto, manual or a map such as {after: 5m}",
    Choice("a way to promote", ("auto", "manual")),
    Record("'promote'", {"after": Key(_DURATION, "How long the canaries must have been healthy.", is_required=True)}),
)
_NAMESPACE: Final = Text(NAMESPACE_WORDS, pattern=NAMESPACE)

_ENTRY_KEYS: Final = {
    "pre": Key(_EDGES, "Jobs that must have reached a condition before this one is registered."),
    "depends_on": Key(_EDGES, "Another name for pre."),
    "post": Key(_POST_EDGES, "Jobs to run once this one is ready; whoever needs this job waits for them too."),
    "pre_stop": Key(_HOOK_EDGES, "Jobs to run before this one is stopped; where one fails, it is not."),
    "post_stop": Key(_HOOK_EDGES, "Jobs to run after this one was stopped, before what it needs is."),
    "wait_cond": Key(WAIT_COND, "When this job counts as ready; default ready."),
    "timeout": Key(_DURATION, "Longest wait for wait_cond; default 5m, or longer where the job's own progress deadline says so."),
    "retries": Key(Number("a whole number", 0, 1000, is_whole=True), "Further attempts after a failed one; default 0."),
    "on_failure": Key(
        Choice("what to do on a failure", ("stop", "continue", "rollback")),
        "What its failure means; default stop: nothing that needs it starts. A post job takes its owner's.",
    ),
    "run": Key(
        Choice("a way to run", ("on_change", "always", "once")),
        "When a job that completes is run again; default on_change, of a hook always.",
    ),
    "file": Key(Name("a path in the store"), "Path of its job file in the store; default: the file of its name."),
    "template": Key(Flag(), "false: the job file is passed as it is; default true."),
    "version": Key(VERSION, "Artifact version given to the job's template."),
    "vars": Key(MapOf(Anything(), names=VariableName()), "Values for the job's template and its HCL2 variables."),
    "namespace": Key(_NAMESPACE, "Namespace of the job, where its file does not say."),
    "region": Key(_NAME, "Region of the job, where its file does not say."),
    "dispatch": Key(
        OneOf("a map with meta and payload, or a list of those", _DISPATCH, ListOf(_DISPATCH, minimum=1)),
        "Dispatch the parameterized job and wait for its children.",
    ),
    "promote": Key(_PROMOTE, "What becomes of healthy canaries; default: what the job file says (auto_promote), else manual."),
    "irreversible": Key(Flag(), "true: a rollback never undoes it."),
    "tags": Key(ListOf(_NAME), "Tags for choosing jobs: `--selector tag=NAME`. Those of defaults are none of what is only a hook."),
}
_OF_ONE_JOB: Final = ("pre", "depends_on", "post", "pre_stop", "post_stop", "file", "dispatch")
_MISPLACED_AT_TOP: Final = dict.fromkeys(("jobs", "services", "pre", "post", "wait_cond"), "jobs and their keys stand below 'dependencies'")

_ENTRY: Final = Record(
    "a job's entry",
    _ENTRY_KEYS,
    noun="a map, the job's entry",
    hint="write {} for a job without keys of its own",
    takes=frozenset({dict, type(None)}),
    synonyms=("pre", "depends_on"),
)
_DEFAULTS: Final = Record(
    "'defaults'",
    {name: key for name, key in _ENTRY_KEYS.items() if name not in _OF_ONE_JOB},
    misplaced=dict.fromkeys(_OF_ONE_JOB, "it stands in a job's own entry, because it differs from job to job"),
)
FILE: Final = Record(
    "the dependency file",
    {
        "$schema": Key(Text(), "Address of this schema, for editors; otherwise unused."),
        "stack": Key(_NAME, "Owner name of this set of jobs; default: name of the folder, prefix or repository."),
        "defaults": Key(_DEFAULTS, "Keys for every job that does not give them itself."),
        DEPENDENCIES: Key(
            MapOf(_ENTRY, "a map from job names to their entries", hint="write each job as NAME: {}, and no jobs as {}", names=_NAME),
            "The jobs by name.",
            is_required=True,
        ),
    },
    misplaced=_MISPLACED_AT_TOP,
    stray="jobs stand below 'dependencies'",
)
