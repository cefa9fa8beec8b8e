"""What can be set: each setting with its option, environment variables, key in the file, type and default, declared once."""

from __future__ import annotations

import keyword
from dataclasses import dataclass
from typing import Final, Literal

from dtree.names import NAMESPACE as NAMESPACE_PATTERN
from dtree.names import NAMESPACE_WORDS

FILE_NAME: Final = "nomad-dtree.toml"

SettingType = Literal["str", "int", "float", "bool", "path", "duration", "list", "texts", "paths"]
"""`list` takes names apart at commas, in one option or several; of `texts` and `paths` each option gives one."""
Key = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Setting:
    """One thing that can be set.

    Attributes:
        name: of the option, without the dashes.
        variables: environment variables, the first one that is not empty counts.
        key: path of keys in nomad-dtree.toml; () where it may not stand there.
        flags: another spelling of the option, hidden in the help.
        metavar: what its value is called in the help; "" for the word of its type.
        choices: the only values allowed, () for any.
        at_least: smallest number allowed.
        above: the number that it must be more than.
        pattern: regular expression for the whole text, "" for any; `pattern_words` say the same after "is not".
        secret: its value appears nowhere.
        file_first: the key beats the variables: of a store that was named, so that its own table is what was meant.
    """

    name: str
    help: str
    type: SettingType = "str"
    default: str | int | float | bool | None = None
    variables: tuple[str, ...] = ()
    key: Key = ()
    flags: tuple[str, ...] = ()
    metavar: str = ""
    choices: tuple[str, ...] = ()
    at_least: float | None = None
    above: float | None = None
    pattern: str = ""
    pattern_words: str = ""
    required: bool = False
    secret: bool = False
    file_first: bool = False

    @property
    def identifier(self) -> str:
        """The name as a Python identifier: `fs-root` -> `fs_root`, `from` -> `from_`."""
        name = self.name.replace("-", "_")
        return f"{name}_" if keyword.iskeyword(name) else name


STORE: Final = Setting(
    "store",
    "Store that holds the jobs. Of several (the option repeated, or names with commas) later ones win, file by file.",
    type="list",
    default="filesystem",
    variables=("NOMAD_DTREE_STORE",),
    key=("store",),
)
FROM: Final = Setting("from", "Store to read from; of several later ones win, file by file.", type="list", required=True)
TO: Final = Setting("to", "Store to write to.", required=True)
ENVIRONMENT: Final = Setting("env", f"Named environment of {FILE_NAME}.", variables=("NOMAD_DTREE_ENV",))

NAMESPACE: Final = Setting(
    "namespace",
    "Namespace of jobs that name none.",
    variables=("NOMAD_NAMESPACE",),
    key=("namespace",),
    pattern=NAMESPACE_PATTERN,
    pattern_words=NAMESPACE_WORDS,
)

NOMAD: Final = (
    Setting(
        "server-addr",
        "Address of Nomad; --nomad-addr is the same.",
        default="http://127.0.0.1:4646",
        variables=("NOMAD_ADDR",),
        key=("nomad", "address"),
        flags=("nomad-addr",),
    ),
    Setting(
        "token", "ACL token. Other users of this machine can see options: prefer the variable.", variables=("NOMAD_TOKEN",), secret=True
    ),
    Setting(
        "token-file",
        "File that holds the ACL token.",
        type="path",
        variables=("NOMAD_DTREE_TOKEN_FILE",),
        key=("nomad", "token-file"),
    ),
    NAMESPACE,
    Setting("region", "Region to talk to.", variables=("NOMAD_REGION",), key=("region",)),
    Setting(
        "root-ca-file",
        "Certificates that the server is checked against.",
        type="path",
        variables=("NOMAD_CACERT",),
        key=("nomad", "ca-cert"),
    ),
    Setting("root-ca-path", "Folder of such certificates.", type="path", variables=("NOMAD_CAPATH",), key=("nomad", "ca-path")),
    Setting("cert-file", "The client's own certificate.", type="path", variables=("NOMAD_CLIENT_CERT",), key=("nomad", "client-cert")),
    Setting("key-file", "Its private key.", type="path", variables=("NOMAD_CLIENT_KEY",), key=("nomad", "client-key")),
    Setting(
        "tls-server-name",
        "Name the server's certificate is checked for, where it is not the host of the address.",
        variables=("NOMAD_TLS_SERVER_NAME",),
        key=("nomad", "tls-server-name"),
    ),
    Setting(
        "tls-skip-verify",
        "Do not check the server's certificate.",
        type="bool",
        default=False,
        variables=("NOMAD_SKIP_VERIFY",),
        key=("nomad", "tls-skip-verify"),
    ),
)

PARALLELISM: Final = Setting(
    "parallelism",
    "Most jobs in flight at once.",
    type="int",
    default=10,
    variables=("NOMAD_DTREE_PARALLELISM",),
    key=("parallelism",),
    at_least=1,
)

WAIT: Final = Setting(
    "wait",
    "`ready` reads every number of seconds in the dependency file as: until ready.",
    default="declared",
    variables=("NOMAD_DTREE_WAIT",),
    key=("wait",),
    choices=("declared", "ready"),
)

PLACEMENT_TIMEOUT: Final = Setting(
    "placement-timeout",
    "How long a job may find no eligible node before it counts as failed.",
    type="duration",
    default="15s",
    variables=("NOMAD_DTREE_PLACEMENT_TIMEOUT",),
    key=("placement-timeout",),
    above=0,
)

PROMOTION_TIMEOUT: Final = Setting(
    "promotion-timeout",
    "How long healthy canaries may wait for somebody to promote them before the run ends with exit code 7; 0 ends it at once.",
    type="duration",
    default="5m",
    variables=("NOMAD_DTREE_PROMOTION_TIMEOUT",),
    key=("promotion-timeout",),
)

FAIL_FAST: Final = Setting(
    "fail-fast",
    "After a failure start nothing more, in no branch; --no-fail-fast turns it off.",
    type="bool",
    default=False,
    variables=("NOMAD_DTREE_FAIL_FAST",),
    key=("fail-fast",),
)

CHECK_ARTIFACTS: Final = Setting(
    "check-artifacts",
    "Before anything is registered, ask whether the files and images that the jobs fetch are there, for at most 60 s.",
    type="bool",
    default=False,
    variables=("NOMAD_DTREE_CHECK_ARTIFACTS",),
    key=("check-artifacts",),
)

REQUIRE_CLEAN: Final = Setting(
    "require-clean",
    "Refuse files that are not as they were committed: of the store's folder, and of repositories that versions are read from.",
    type="bool",
    default=False,
    variables=("NOMAD_DTREE_REQUIRE_CLEAN",),
    key=("require-clean",),
)

RUN: Final = (WAIT, PARALLELISM, PLACEMENT_TIMEOUT, PROMOTION_TIMEOUT, FAIL_FAST, CHECK_ARTIFACTS, REQUIRE_CLEAN)
STOP: Final = (PARALLELISM, PLACEMENT_TIMEOUT, FAIL_FAST)
PROMOTE: Final = (PARALLELISM, PLACEMENT_TIMEOUT, FAIL_FAST)

VERSION: Final = Setting(
    "version",
    "Artifact version of a job: as it stands, or a source such as git:short or env:NAME.",
    type="texts",
    metavar="JOB=VERSION",
)
VERSIONS_FILE: Final = Setting(
    "versions-file",
    "File of versions by job: YAML, JSON or TOML, by its suffix. It goes before the store's own.",
    type="path",
    variables=("NOMAD_DTREE_VERSIONS_FILE",),
    key=("versions-file",),
)
LOCKED: Final = Setting(
    "locked",
    "Take versions, and digests of images, from the lock alone that `versions lock` wrote.",
    type="bool",
    default=False,
    variables=("NOMAD_DTREE_LOCKED",),
    key=("locked",),
)
VERSIONS: Final = (VERSION, VERSIONS_FILE, LOCKED)

TEMPLATES: Final = (
    Setting("var", "Value of a variable, as text; --var-json takes any other.", type="texts", metavar="NAME=TEXT"),
    Setting("var-json", "Value of a variable, as JSON.", type="texts", metavar="NAME=JSON"),
    Setting("var-file", "File of values: JSON, YAML, TOML or HCL, by its suffix. Of several the last one counts.", type="paths"),
    *VERSIONS,
    Setting(
        "allow-env",
        'Environment variable that templates may read, with env("NAME"); * stands for anything.',
        type="list",
        key=("allow-env",),
    ),
)
"""What templates and HCL2 variables in job files are given."""

BUILT_IN: Final = (STORE, ENVIRONMENT, *NOMAD, *RUN, *TEMPLATES)
