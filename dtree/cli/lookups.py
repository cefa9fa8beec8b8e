"""What templates ask for beside the store: environment variables that are allowed, keys of Consul, Nomad's Variables."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from dtree import config
from dtree.errors import ClusterError, DtreeError
from dtree.render import Unanswered
from dtree.secrets import sounds_secret
from dtree.values import why_no_value

if TYPE_CHECKING:
    from dtree.access.consul import ConsulClient
    from dtree.access.variables import Variables
    from dtree.secrets import Secrets


class Lookups:
    """Answers questions of templates; each is asked once.

    Values of environment variables and of Nomad's Variables are secrets; those of Consul's keys are not.

    Args:
        allowed: names of environment variables that templates may read; `*` stands for anything.
        variables: opens Nomad's Variables.
        consul: opens Consul.
        secrets: keeps what may not be shown.
    """

    def __init__(
        self,
        environ: Mapping[str, str],
        allowed: Sequence[str],
        variables: Callable[[], Variables],
        consul: Callable[[], ConsulClient],
        secrets: Secrets,
    ) -> None:
        self._environ = environ
        self._allowed = allowed
        self._open_variables = variables
        self._open_consul = consul
        self._secrets = secrets
        self._variables: Variables | None = None
        self._consul: ConsulClient | None = None
        self._known: dict[tuple[str, ...], str | Unanswered] = {}
        self._items: dict[str, Mapping[str, str] | None] = {}

    def __call__(self, kind: str, *arguments: str) -> str:
        """Answer a question, or say again what was answered.

        It is ("env", name), ("version-env", name), ("consul", path) or ("nomad", path, key).

        A version is there to be shown, so one that is read from a variable is no secret; of a variable that by its name holds one it
        may not be read, unless that is allowed.

        Raises:
            Unanswered: it cannot be.

        Effects: reads Consul or Nomad.
        """
        question = kind, *arguments
        if question not in self._known:
            try:
                self._known[question] = self._answer(*question)
            except Unanswered as error:
                self._known[question] = error
            except DtreeError as error:
                self._known[question] = Unanswered(error.error_code, error.problem, error.hint)
        answer = self._known[question]
        if isinstance(answer, Unanswered):
            raise answer
        return answer

    def _answer(self, kind: str, *arguments: str) -> str:
        match kind:
            case "env":
                self._allow(*arguments)
                return self._secret(self._env(*arguments))
            case "version-env":
                if sounds_secret(*arguments):
                    self._allow(*arguments)
                return self._env(*arguments)
            case "consul":
                return self._consul_key(*arguments)
            case _:
                return self._nomad_variable(*arguments)

    def _allow(self, name: str) -> None:
        if not any(fnmatchcase(name, pattern) for pattern in self._allowed):
            hint = f'allow it: `allow-env = ["{name}"]` in {config.FILE_NAME}, or --allow-env {name}'
            raise Unanswered("env-not-allowed", f"the environment variable {name} may not be read", hint)

    def _env(self, name: str) -> str:
        if name not in self._environ:
            raise Unanswered("undefined-name", f"the environment variable {name} is not set", "set it")
        if wrong := why_no_value(self._environ[name]):
            raise Unanswered("not-utf-8", f"the environment variable {name} cannot be used: {wrong}", "a template takes text only")
        return self._environ[name]

    def _secret(self, value: str) -> str:
        self._secrets.keep(value)
        return value

    def _consul_key(self, path: str) -> str:
        self._consul = self._consul or self._open_consul()
        entry = self._consul.get(path)
        if entry is None:
            raise Unanswered("undefined-name", f"Consul has no key '{path}'", f"write it: `consul kv put {path} VALUE`")
        try:
            return entry.value.decode()
        except UnicodeDecodeError as error:
            raise Unanswered("not-utf-8", f"what Consul has at '{path}' is not UTF-8", "a template takes text only") from error

    def _nomad_variable(self, path: str, key: str) -> str:
        if path not in self._items:  # one answer for all its items: they belong together
            self._variables = self._variables or self._open_variables()
            try:
                read = self._variables.read(path)
            except ClusterError as error:
                raise Unanswered(error.error_code, f"Nomad's variable '{path}' cannot be read: {error.problem}", error.hint) from error
            self._items[path] = None if read is None else dict(read.items)
        found = self._items[path]
        if found is None:
            raise Unanswered("undefined-name", f"Nomad has no variable '{path}'", f"write it: `nomad var put {path} {key}=VALUE`")
        if key not in found:
            known = ", ".join(sorted(found))
            raise Unanswered("undefined-name", f"Nomad's variable '{path}' has no item '{key}'", f"it has {known}")
        return self._secret(found[key])
