from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dtree import config
from dtree.config import BUILT_IN, Configuration, Setting, Value
from dtree.errors import ConfigError, DtreeError, Place, UsageError

WHOLE = """\
store = "filesystem"
parallelism = 20
placement-timeout = "1m"
namespace = "web"

[nomad]
address = "https://nomad.example:4646"
ca-cert = "tls/ca.pem"
tls-skip-verify = true

[stores.filesystem]
fs-root = "deploy"

[env.staging]
namespace = "staging"
nomad.address = "https://staging.example:4646"

[env.staging.stores.filesystem]
fs-root = "deploy-staging"
"""

ROOT = Setting("fs-root", "x", type="path", variables=("NOMAD_DTREE_FS_ROOT",), key=("stores", "filesystem", "fs-root"))


def write(folder: Path, text: str) -> Path:
    file = folder / config.FILE_NAME
    file.write_text(text)
    return file


def load_error(folder: Path, text: str, environment: str | None = None) -> ConfigError:
    write(folder, text)
    with pytest.raises(ConfigError) as caught:
        config.load(folder, environment)
    return caught.value


def value_of(name: str, given: Any = None, environ: dict[str, str] | None = None, configuration: Configuration | None = None) -> Value:
    setting = next(setting for setting in (*BUILT_IN, ROOT) if setting.name == name)
    found = config.resolve([setting], {setting.identifier: given}, environ or {}, configuration or Configuration(), Path("/work"))
    return found[setting.identifier]


# -- declared once ----------------------------------------------------------------------------------------------------------


def test_no_two_settings_share_an_option_a_variable_or_a_key() -> None:
    options = [name for setting in BUILT_IN for name in (setting.name, *setting.flags)]
    variables = [variable for setting in BUILT_IN for variable in setting.variables]
    keys = [setting.key for setting in BUILT_IN if setting.key]
    assert len(options) == len(set(options))
    assert len(variables) == len(set(variables))
    assert len(keys) == len(set(keys))


def test_nomads_own_variables_are_all_known() -> None:
    assert {variable for setting in config.NOMAD for variable in setting.variables} == {
        "NOMAD_ADDR",
        "NOMAD_TOKEN",
        "NOMAD_NAMESPACE",
        "NOMAD_REGION",
        "NOMAD_CACERT",
        "NOMAD_CAPATH",
        "NOMAD_CLIENT_CERT",
        "NOMAD_CLIENT_KEY",
        "NOMAD_SKIP_VERIFY",
        "NOMAD_TLS_SERVER_NAME",
        "NOMAD_DTREE_TOKEN_FILE",
    }


# -- precedence -------------------------------------------------------------------------------------------------------------


def test_an_option_beats_a_variable_beats_the_file_beats_the_default(tmp_path: Path) -> None:
    write(tmp_path, "parallelism = 20")
    file = config.load(tmp_path)
    variable = {"NOMAD_DTREE_PARALLELISM": "30"}
    assert value_of("parallelism") == Value(10, "default")
    assert value_of("parallelism", configuration=file) == Value(20, "file", "parallelism")
    assert value_of("parallelism", environ=variable, configuration=file) == Value(30, "variable", "NOMAD_DTREE_PARALLELISM")
    assert value_of("parallelism", "40", variable, file) == Value(40, "option", "--parallelism")


def test_a_named_environment_beats_the_top_level_key_by_key(tmp_path: Path) -> None:
    write(tmp_path, WHOLE)
    staging = config.load(tmp_path, "staging")
    assert value_of("namespace", configuration=staging).value == "staging"
    assert value_of("server-addr", configuration=staging).value == "https://staging.example:4646"
    assert value_of("tls-skip-verify", configuration=staging).value is True
    assert value_of("fs-root", configuration=staging).value == tmp_path / "deploy-staging"
    assert value_of("namespace", configuration=config.load(tmp_path)).value == "web"


def test_an_empty_variable_counts_as_none() -> None:
    assert value_of("namespace", environ={"NOMAD_NAMESPACE": ""}) == Value(None, "default")


def test_a_switch_can_be_turned_off_over_a_variable() -> None:
    found = value_of("fail-fast", given=False, environ={"NOMAD_DTREE_FAIL_FAST": "1"})
    assert found == Value(value=False, source="option", origin="--fail-fast")


def test_a_required_setting_that_nothing_gives_names_all_three_ways() -> None:
    setting = Setting("kv-prefix", "x", variables=("NOMAD_DTREE_KV_PREFIX",), key=("stores", "kv", "kv-prefix"), required=True)
    with pytest.raises(UsageError) as caught:
        config.resolve([setting], {}, {}, Configuration(), Path("/"))
    assert caught.value.hint == "give --kv-prefix or NOMAD_DTREE_KV_PREFIX or `stores.kv.kv-prefix` in nomad-dtree.toml"


def test_a_setting_whose_file_goes_first_beats_the_variable_and_not_the_option(tmp_path: Path) -> None:
    write(tmp_path, "[stores.prod]\ntype = 'kv'\nkv-prefix = 'file'")
    setting = Setting("kv-prefix", "x", variables=("KV",), key=("stores", "prod", "kv-prefix"), default="default", file_first=True)

    def value(given: Any, configuration: Configuration) -> Value:
        return config.resolve([setting], {"kv_prefix": given}, {"KV": "variable"}, configuration, tmp_path)["kv_prefix"]

    assert value(None, config.load(tmp_path)) == Value("file", "file", "stores.prod.kv-prefix")
    assert value("option", config.load(tmp_path)) == Value("option", "option", "--kv-prefix")
    assert value(None, Configuration()) == Value("variable", "variable", "KV")


def test_an_option_that_python_has_a_word_for_is_still_an_identifier() -> None:
    assert (config.FROM.identifier, config.TO.identifier) == ("from_", "to")


# -- reading values ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90.0), ("0.5", 0.5), ("90s", 90.0), ("5m", 300.0), ("1h30m", 5400.0), ("1m1.5s", 61.5), ("0.1", 0.1)]
)
def test_durations_are_read_as_seconds(text: str, seconds: float) -> None:
    assert value_of("placement-timeout", text).value == seconds


@pytest.mark.parametrize(
    ("given", "names"),
    [("git", ("git",)), ("git,consul", ("git", "consul")), ("git , consul", ("git", "consul")), (["git", "a,b"], ("git", "a", "b"))],
)
def test_a_list_of_names_is_read_from_one_text_or_several(given: object, names: tuple[str, ...]) -> None:
    assert value_of("store", given).value == names


@pytest.mark.parametrize("text", [",", "git,", " ", ["git", ""]])
def test_an_empty_name_in_a_list_is_refused(text: object) -> None:
    with pytest.raises(UsageError, match="is not a name, or a list of names"):
        value_of("store", text)


@pytest.mark.parametrize("text", ["", "0", "0s", "5 m", "m", "-1", "-1s", "1d", "nan", "inf", "1e400", "5m5h", "\u0665m\u0665"])
def test_a_bad_duration_is_a_usage_error(text: str) -> None:
    with pytest.raises(UsageError, match="--placement-timeout"):
        value_of("placement-timeout", text)


@pytest.mark.parametrize(("text", "value"), [("1", True), ("TRUE", True), ("on", True), ("0", False), ("False", False), ("no", False)])
def test_switches_are_read_as_nomad_and_people_write_them(text: str, value: object) -> None:
    assert value_of("tls-skip-verify", environ={"NOMAD_SKIP_VERIFY": text}).value is value


@pytest.mark.parametrize(
    ("name", "variable", "text", "says"),
    [
        ("tls-skip-verify", "NOMAD_SKIP_VERIFY", "maybe", "environment variable NOMAD_SKIP_VERIFY: 'maybe' is not true or false"),
        ("parallelism", "NOMAD_DTREE_PARALLELISM", "many", "environment variable NOMAD_DTREE_PARALLELISM: 'many' is not a whole number"),
        ("parallelism", "NOMAD_DTREE_PARALLELISM", "0", "environment variable NOMAD_DTREE_PARALLELISM: '0' is less than 1"),
        ("wait", "NOMAD_DTREE_WAIT", "redy", "environment variable NOMAD_DTREE_WAIT: 'redy' is not one of declared, ready"),
        (
            "namespace",
            "NOMAD_NAMESPACE",
            "*",
            "environment variable NOMAD_NAMESPACE: '*' is not made of letters, digits and dashes, at most 128",
        ),
    ],
)
def test_a_bad_variable_is_named_with_its_value(name: str, variable: str, text: str, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        value_of(name, environ={variable: text})
    assert caught.value.problem == says


def test_a_namespace_that_there_can_be_none_of_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="--namespace: 'b/x' is not made of letters, digits and dashes, at most 128"):
        value_of("namespace", "b/x")


def test_a_bad_value_of_a_secret_is_not_shown() -> None:
    setting = Setting("kv-pin", "x", type="int", secret=True)
    with pytest.raises(UsageError) as caught:
        config.resolve([setting], {"kv_pin": "hunter2"}, {}, Configuration(), Path("/"))
    assert "hunter2" not in str(caught.value)


def test_a_resolved_value_does_not_show_in_a_repr() -> None:
    assert "hunter2" not in repr(Value("hunter2", "option"))


def test_paths_start_from_where_they_were_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, WHOLE)
    monkeypatch.setenv("HOME", "/home/ada")
    file = config.load(tmp_path)
    assert value_of("root-ca-file", configuration=file).value == tmp_path / "tls" / "ca.pem"
    assert value_of("root-ca-file", "ca.pem", configuration=file).value == Path("/work/ca.pem")
    assert value_of("root-ca-file", environ={"NOMAD_CACERT": "~/ca.pem"}).value == Path("/home/ada/ca.pem")
    assert value_of("root-ca-file", "/abs/ca.pem").value == Path("/abs/ca.pem")


# -- finding and checking the file --------------------------------------------------------------------------------------------


def test_without_a_file_there_is_nothing_to_read(tmp_path: Path) -> None:
    assert config.load(tmp_path) == Configuration()


def test_the_file_is_found_upwards_and_the_nearest_one_counts(tmp_path: Path) -> None:
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    write(tmp_path, "parallelism = 2")
    assert config.load(below).file == tmp_path / config.FILE_NAME
    nearest = write(tmp_path / "a", "parallelism = 3")
    assert config.load(below).file == nearest


def test_a_whole_file_is_accepted(tmp_path: Path) -> None:
    file = write(tmp_path, WHOLE)
    assert config.load(tmp_path, "staging").file == file


@pytest.mark.parametrize(
    ("text", "problem", "line", "key", "hint"),
    [
        ("paralelism = 2", "unknown key `paralelism`", 1, "paralelism", "did you mean 'parallelism'?"),
        ("\n\n[nomad]\n  adress = 'x'", "unknown key `adress`", 4, "nomad.adress", "did you mean 'address'?"),
        ("[nomad]\nserver-addr = 'x'", "unknown key `server-addr`", 2, "nomad.server-addr", "did you mean 'address'?"),
        ("[nomad]\nroot-ca-file = 'x'", "unknown key `root-ca-file`", 2, "nomad.root-ca-file", "did you mean 'ca-cert'?"),
        ("[nomad]\nkey-file = 'x'", "unknown key `key-file`", 2, "nomad.key-file", "did you mean 'client-key'?"),
        ("token-file = 'x'", "unknown key `token-file`", 1, "token-file", "did you mean 'token-file' in [nomad]?"),
        ("[nomad]\nregion = 'x'", "unknown key `region`", 2, "nomad.region", "did you mean 'region' at the top level?"),
        ("placement-timeout = 0", "`placement-timeout`: '0' is not more than 0", 1, "placement-timeout", ""),
        ("parallelism = '2'", "`parallelism` must be a whole number", 1, "parallelism", ""),
        ("parallelism = true", "`parallelism` must be a whole number", 1, "parallelism", ""),
        ("parallelism = 0", "`parallelism`: '0' is less than 1", 1, "parallelism", ""),
        ("wait = 'redy'", "`wait`: 'redy' is not one of declared, ready", 1, "wait", "did you mean 'ready'?"),
        ("namespace = 3", "`namespace` must be a string", 1, "namespace", ""),
        ("placement-timeout = 'soon'", """`placement-timeout`: 'soon' is not a duration, as "90s\"""", 1, "placement-timeout", ""),
        ("[nomad]\ntls-skip-verify = 1", "`nomad.tls-skip-verify` must be true or false", 2, "nomad.tls-skip-verify", ""),
        ("nomad = 'x'", "`nomad` must be a table", 1, "nomad", ""),
        ("stores = 'x'", "`stores` must be a table", 1, "stores", "write [stores.filesystem]"),
        ("[stores]\nfilesystem = 1", "`stores.filesystem` must be a table", 2, "stores.filesystem", "write [stores.filesystem]"),
        ("[stores.prod]\ntype = 1", "`stores.prod.type` must be a string", 2, "stores.prod.type", 'name a store, as type = "filesystem"'),
        ("store = 1", "`store` must be a name, or a list of names", 1, "store", ""),
        ("store = ['a', 1]", "`store`: \"['a', 1]\" is not a name, or a list of names", 1, "store", ""),
        ("store = []", "`store`: '[]' is not a name, or a list of names", 1, "store", ""),
        ("env = 1", "`env` must be a table", 1, "env", "write [env.staging]"),
        ("[env]\nstaging = 1", "`env.staging` must be a table", 2, "env.staging", ""),
        ("[env.x]\nstor = 'a'", "unknown key `stor`", 2, "env.x.stor", "did you mean 'store'?"),
        ("[env.x.env.y]", "unknown key `env`", 1, "env.x.env", ""),
        (
            "[nomad]\ntoken = 'hunter2'",
            "a token may not stand in a file that is shared",
            2,
            "nomad.token",
            "set NOMAD_TOKEN, or name a file of its own with `token-file`",
        ),
    ],
)
def test_a_fault_is_told_with_line_key_and_hint(tmp_path: Path, text: str, problem: str, line: int, key: str, hint: str) -> None:
    error = load_error(tmp_path, text)
    assert error.problem == problem
    assert error.place is not None
    assert (error.place.file, error.place.line, error.place.key) == (str(tmp_path / config.FILE_NAME), line, key)
    if hint:
        assert error.hint == hint


def test_the_other_environments_are_checked_too(tmp_path: Path) -> None:
    assert load_error(tmp_path, "[env.a]\n[env.b]\nwait = 1", "a").place == Place(str(tmp_path / config.FILE_NAME), 3, 1, "env.b.wait")


def test_bad_toml_is_told_with_line_and_column(tmp_path: Path) -> None:
    error = load_error(tmp_path, "store = 'x'\nparallelism 3\n")
    assert error.problem.startswith("not valid TOML: expected '=' after a key")
    assert error.place == Place(str(tmp_path / config.FILE_NAME), 2, 13)


@pytest.mark.parametrize("text", ["x = " + "[" * 100_000, "x = 1" + "0" * 5000, "x = 1\nx = 2"])
def test_hostile_toml_is_an_error_and_no_crash(tmp_path: Path, text: str) -> None:
    assert load_error(tmp_path, text).error_code == "bad-config"


def test_a_file_that_is_no_text_is_told(tmp_path: Path) -> None:
    (tmp_path / config.FILE_NAME).write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="not UTF-8"):
        config.load(tmp_path)


def test_a_folder_of_that_name_is_not_the_file(tmp_path: Path) -> None:
    (tmp_path / config.FILE_NAME).mkdir()
    assert config.load(tmp_path) == Configuration()


@pytest.mark.parametrize(("text", "hint"), [("[env.staging]", "did you mean 'staging'?"), ("", "add [env.stagin]")])
def test_an_environment_that_the_file_does_not_have_is_told(tmp_path: Path, text: str, hint: str) -> None:
    assert load_error(tmp_path, text, "stagin").hint == hint


def test_an_environment_without_a_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no nomad-dtree\.toml"):
        config.load(tmp_path, "staging")


# -- tables of stores ---------------------------------------------------------------------------------------------------------


def check_error(folder: Path, text: str, setting: Setting) -> DtreeError:
    write(folder, text)
    with pytest.raises(ConfigError) as caught:
        config.check_store_table(config.load(folder), "filesystem", [setting])
    return caught.value


def test_a_key_that_the_chosen_store_does_not_have_is_refused(tmp_path: Path) -> None:
    error = check_error(tmp_path, "[stores.filesystem]\nfs-rot = 'x'", ROOT)
    assert (error.problem, error.hint) == ("unknown key `fs-rot`", "did you mean 'fs-root'?")
    assert error.place == Place(str(tmp_path / config.FILE_NAME), 2, 1, "stores.filesystem.fs-rot")


def test_a_secret_of_a_store_may_not_stand_in_the_file(tmp_path: Path) -> None:
    secret = Setting("fs-key", "x", variables=("FS_KEY",), secret=True)
    error = check_error(tmp_path, "[stores.filesystem]\nfs-key = 'hunter2'", secret)
    assert error.hint == "set FS_KEY"
    assert "hunter2" not in str(error)


def test_tables_of_stores_that_are_not_in_use_are_left_alone(tmp_path: Path) -> None:
    write(tmp_path, "[stores.other]\nwhatever = 1")
    config.check_store_table(config.load(tmp_path), "filesystem", [ROOT])
    assert value_of("fs-root", configuration=config.load(tmp_path)) == Value(None, "default")


def test_stores_that_the_file_names_are_found_with_their_kind(tmp_path: Path) -> None:
    write(tmp_path, "[stores.b]\ntype = 'kv'\n[stores.a]\nx = 1\n[env.far.stores.a]\ntype = 'git'\n[env.far.stores.b]\ntype = 'fs'")
    assert config.named_stores(config.load(tmp_path)) == {"b": "kv"}
    assert config.named_stores(config.load(tmp_path, "far")) == {"a": "git", "b": "fs"}
    assert config.named_stores(Configuration()) == {}


def test_a_type_is_a_key_of_named_stores_only(tmp_path: Path) -> None:
    write(tmp_path, "[stores.prod]\ntype = 'filesystem'")
    config.check_store_table(config.load(tmp_path), "prod", [ROOT], named=True)
    with pytest.raises(ConfigError, match="unknown key `type`"):
        config.check_store_table(config.load(tmp_path), "prod", [ROOT])


def test_a_wrong_type_of_a_stores_option_is_told_with_its_place(tmp_path: Path) -> None:
    write(tmp_path, "[stores.filesystem]\nfs-root = 1")
    with pytest.raises(ConfigError) as caught:
        value_of("fs-root", configuration=config.load(tmp_path))
    assert caught.value.place == Place(str(tmp_path / config.FILE_NAME), 2, 1, "stores.filesystem.fs-root")


def test_all_faults_of_the_file_are_told_at_once_in_its_order(tmp_path: Path) -> None:
    error = load_error(tmp_path, "wait = 'redy'\n[nomad]\nadress = 'x'\ntls-skip-verify = 1\n[env.x]\nstor = 'a'\n")
    assert [(fault.place.line, fault.place.key) for fault in error.faults if fault.place] == [
        (1, "wait"),
        (3, "nomad.adress"),
        (4, "nomad.tls-skip-verify"),
        (6, "env.x.stor"),
    ]
    assert str(error).count("error[bad-config]") == len(error.faults)
