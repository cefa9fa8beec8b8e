"""What can be set, and where from: the table of built-in settings, nomad-dtree.toml, and the one function that resolves them.

A setting is declared once, with its option, environment variables, key in the file, type and default. `resolve` asks in this order:
option, environment variable, file (the named environment before the top level), default. Options of stores go the same way; those of a
store that the file names, such as `archive` here, ask its table before the variables.

    store = "filesystem"
    parallelism = 20

    [nomad]
    address = "https://nomad.example:4646"

    [stores.filesystem]
    fs-root = "deploy"

    [stores.archive]
    type = "filesystem"
    fs-root = "archive"

    [env.staging]
    namespace = "staging"
    nomad.address = "https://nomad.staging.example:4646"
"""

from dtree.config.file import TYPE, VARIABLES, Configuration, check_store_table, load, named_stores
from dtree.config.resolve import RANK, Value, resolve
from dtree.config.settings import (
    BUILT_IN,
    CHECK_ARTIFACTS,
    ENVIRONMENT,
    FILE_NAME,
    FROM,
    LOCKED,
    NAMESPACE,
    NOMAD,
    PROMOTE,
    REQUIRE_CLEAN,
    RUN,
    STOP,
    STORE,
    TEMPLATES,
    TO,
    VERSION,
    VERSIONS,
    VERSIONS_FILE,
    WAIT,
    Setting,
    SettingType,
)

__all__ = [
    "BUILT_IN",
    "CHECK_ARTIFACTS",
    "ENVIRONMENT",
    "FILE_NAME",
    "FROM",
    "LOCKED",
    "NAMESPACE",
    "NOMAD",
    "PROMOTE",
    "RANK",
    "REQUIRE_CLEAN",
    "RUN",
    "STOP",
    "STORE",
    "TEMPLATES",
    "TO",
    "TYPE",
    "VARIABLES",
    "VERSION",
    "VERSIONS",
    "VERSIONS_FILE",
    "WAIT",
    "Configuration",
    "Setting",
    "SettingType",
    "Value",
    "check_store_table",
    "load",
    "named_stores",
    "resolve",
]
