"""All settings of a server: one frozen object, made once by :func:`load`.

    flags  over  BEESPACE_* environment  over  YAML file  over  defaults

Keys are Tarantool 3's where it has one (``iproto.listen``). Variables are named after the keys
(``BEESPACE_IPROTO_LISTEN``), flags have short ones too (``BEESPACE_LISTEN``); an empty one counts
as not set. :mod:`server.schema` has the sections, :mod:`server.values` reads single values,
:mod:`server.yamlfile` the file. A :class:`SettingsError` has a line a key:

    beespace: <key>: got <value>, expected <what> (<where it came from>)

:mod:`server.shown` says how much of a value is in there; of an unknown key's nothing.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

import platformdirs
import pydantic
from pydantic import BeforeValidator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from server import (
    context,
    credentials,
    places,
    session_users,
    shown,
    together,
    uri,
    values,
    yamlfile,
)
from server.credentials import Credentials
from server.errors import SettingsError
from server.schema import (
    App,
    Bounds,
    Compat,
    Console,
    Developer,
    Events,
    Iproto,
    Log,
    Lua,
    Metrics,
    Process,
    Security,
    Session,
    Workers,
)
from server.values import Expected
from server.yamlfile import CONFIG

PREFIX: Final = "BEESPACE_"

SPARE: Final = 2
"""Rows on top of two crews, for one more worker at run time."""

FLAGS: Final[Mapping[str, str]] = {
    "app": "app.file",
    "listen": "iproto.listen",
    "console": "console.listen",
    "workers": "iproto.threads",
    "max_sessions": "session.limits.total",
    "run_dir": "process.run_dir",
    "data_dir": "process.data_dir",
    "name": "name",
    "log_level": "log.level",
    "log_format": "log.format",
}
"""Flag (and, in capitals, short environment variable) to key."""

FILE_ONLY: Final[Mapping[str, str]] = {
    context.KEY: "a map of names to sources",
    f"{credentials.KEY}.roles": "a map of names",
    f"{credentials.KEY}.users": "a map of names",
    session_users.KEY: "a map of names",
}
"""Keys without flag or variable, read by :mod:`server.credentials`, :mod:`server.context` and
:mod:`server.session_users`."""


class Settings(BaseSettings):
    """Everything a server is told before it starts."""

    model_config = SettingsConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    name: Annotated[
        str,
        BeforeValidator(values.server_name),
        Expected("1 to 64 letters, digits, hyphens, underscores and dots"),
    ] = places.DEFAULT_NAME
    iproto: Iproto = Iproto()
    console: Console = Console()
    metrics: Metrics = Metrics()
    session: Session = Session()
    limits: Bounds = Bounds()
    lua: Lua = Lua()
    events: Events = Events()
    process: Process = Process()
    workers: Workers = Workers()
    log: Log = Log()
    app: App = App()
    security: Security = Security()
    credentials: Annotated[Credentials, pydantic.SkipValidation] = Credentials()
    compat: Compat = Compat()
    developer: Developer = Developer()

    @property
    def worker_count(self) -> int:
        """Number of worker processes; ``auto`` is the CPUs this process may use."""
        threads = self.iproto.threads
        if isinstance(threads, int):
            return threads
        return min(len(os.sched_getaffinity(0)), values.MAX_WORKERS)

    @property
    def worker_rows(self) -> int:
        """Workers there can be at a time, old and new ones; ``auto`` is room for two crews."""
        most = self.workers.max
        auto = min(2 * self.worker_count + SPARE, values.MAX_WORKERS)
        return max(most, self.worker_count) if isinstance(most, int) else auto

    @property
    def log_file(self) -> str | None:
        """Where the log goes, None for standard error."""
        return str(self.log.file) if self.log.to == "file" else None

    @property
    def consoles(self) -> tuple[uri.Uri, ...] | None:
        """Where consoles are listened for; None means in the run directory."""
        return self.console.listen if self.console.enabled else ()

    @property
    def run_dir(self) -> Path:
        """Where the pid file lives while the server runs; SettingsError when we know no place."""
        if self.process.run_dir is not None:
            return self.process.run_dir
        try:
            return places.run_dir(self.name)
        except OSError as error:
            raise SettingsError(
                f"process.run_dir: got none, expected a folder: {error} (defaults)"
            ) from error

    @property
    def data_dir(self) -> Path:
        """What outlives the server."""
        return self.process.data_dir or platformdirs.user_state_path(places.APP_NAME) / self.name


@dataclass(frozen=True)
class _Layer:
    """Values of one source, by dotted key, and how an error line calls the source."""

    given: Mapping[str, Any]
    origin: Mapping[str, str]
    tree: Mapping[str, Any]


class _Source(PydanticBaseSettingsSource):
    """A layer as pydantic-settings takes it."""

    def __init__(self, settings: type[BaseSettings], layer: _Layer) -> None:
        super().__init__(settings)
        self._layer = layer

    def get_field_value(self, _: Any, field_name: str) -> tuple[Any, str, bool]:
        return self._layer.tree.get(field_name), field_name, False

    def __call__(self) -> dict[str, Any]:
        return dict(self._layer.tree)


def load(flags: Mapping[str, Any], environment: Mapping[str, str]) -> Settings:
    """Settings from the flags given (names of FLAGS and ``config``) and the environment.

    SettingsError with one line for each wrong key, in the file also where it is overridden.
    """
    file, tree = _file(flags, environment)
    contexts = context.read(tree.pop(context.SECTION, None), environment)
    declared, problems = credentials.read(
        tree.pop(credentials.KEY, None), contexts, file or "defaults"
    )
    users, more = session_users.read(session_users.take(tree))
    problems += more
    found: dict[str, Any] = {credentials.KEY: declared}
    if users:
        found[session_users.SECTION] = {session_users.NAME: users}
    read = _Layer({}, {}, found)
    layers = _layers(flags, environment, contexts.variables, tree, file)
    wrong: dict[str, str] = {}
    for checked in (layers[-1:], layers):
        try:
            made = _made((*checked, read))
        except pydantic.ValidationError as error:
            wrong |= _lines(error, checked)
    if not wrong:
        wrong = together.faults(
            made.iproto,
            made.console,
            made.metrics,
            made.log,
            lambda key: next(layer.origin[key] for layer in layers if key in layer.given),
        )
    if not (wrong or contexts.problems or problems):
        problems += declared.weak(made.security.rules)
    wrong |= {f"{key}: {text} ({file})": key for key, text in (*contexts.problems, *problems)}
    if wrong:
        order = [*keys(), *wrong.values()]
        raise SettingsError(*sorted(wrong, key=lambda line: order.index(wrong[line])))
    return made


def origins(flags: Mapping[str, Any], environment: Mapping[str, str]) -> dict[str, str]:
    """Where the value of each key comes from, for settings that :func:`load` has taken."""
    file, tree = _file(flags, environment)
    contexts = context.read(tree.pop(context.SECTION, None), environment)
    layers = _layers(flags, environment, contexts.variables, tree, file)
    return {
        key: next((layer.origin[key] for layer in layers if key in layer.given), "defaults")
        for key in keys()
    }


def _file(
    flags: Mapping[str, Any], environment: Mapping[str, str]
) -> tuple[str | None, dict[str, Any]]:
    """Name and content of the settings' file."""
    file, origin = flags.get(CONFIG), "--config"
    if file is None:
        file, origin = environment.get(PREFIX + CONFIG.upper()) or None, PREFIX + CONFIG.upper()
    return file, {} if file is None else yamlfile.read(file, origin, keys(), FILE_ONLY)


def _layers(
    flags: Mapping[str, Any],
    environment: Mapping[str, str],
    others: Collection[str],
    tree: Mapping[str, Any],
    file: str | None,
) -> tuple[_Layer, ...]:
    return (
        _flag_layer(flags),
        _environment_layer(environment, others),
        _file_layer(tree, file),
    )


def _made(layers: Sequence[_Layer]) -> Settings:
    class Loaded(Settings):
        @classmethod
        def settings_customise_sources(
            cls, settings_cls: type[BaseSettings], *_: Any, **__: Any
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            return tuple(_Source(settings_cls, layer) for layer in layers)

    return Loaded()


def keys() -> dict[str, str]:
    """Every key of the schema in dotted form, with the text of what it expects."""
    return {**dict(_walk(Settings, "")), **FILE_ONLY}


def variables() -> dict[str, str]:
    """Every environment variable that is read (but the one for the file), with its key."""
    long = {PREFIX + key.upper().replace(".", "_"): key for key in keys() if key not in FILE_ONLY}
    short = {PREFIX + flag.upper(): key for flag, key in FLAGS.items()}
    return {**long, **short}


def _walk(model: type[pydantic.BaseModel], prefix: str) -> list[tuple[str, str]]:
    found = []
    for name, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, pydantic.BaseModel):
            found += _walk(kind, f"{prefix}{name}.")
        elif name != credentials.KEY:
            texts = [item.text for item in field.metadata if isinstance(item, Expected)]
            found.append((prefix + name, texts[0]))
    return found


def _flag_layer(flags: Mapping[str, Any]) -> _Layer:
    given = {
        FLAGS[flag]: value[0] if isinstance(value, list) and len(value) == 1 else value
        for flag, value in flags.items()
        if flag in FLAGS and value is not None and value != []
    }
    origin = {
        key: "command line" if flag == "app" else "--" + flag.replace("_", "-")
        for flag, key in FLAGS.items()
    }
    return _Layer(given, origin, _tree(given))


def _environment_layer(environment: Mapping[str, str], others: Collection[str]) -> _Layer:
    """The variables of settings; ``others`` are read by ``config.context``."""
    known = variables()
    given: dict[str, str] = {}
    origin: dict[str, str] = {}
    wrong = []
    for name in sorted(environment):
        if not name.startswith(PREFIX) or name == PREFIX + CONFIG.upper():
            continue
        if (name in others or name == places.PASSWORD_VARIABLE) and name not in known:
            continue
        value, key = environment[name], known.get(name)
        if key is None:
            wrong.append(f"{name}: got a value, expected no such variable (environment)")
        elif value and key in given and given[key] != value:
            wrong.append(f"{key}: got two values, expected one ({origin[key]}, {name})")
        elif value:
            given[key], origin[key] = value, f"environment {name}"
    if wrong:
        raise SettingsError(*wrong)
    return _Layer(given, origin, _tree(given))


def _file_layer(tree: Mapping[str, Any], file: str | None) -> _Layer:
    given: dict[str, Any] = {}

    def flatten(branch: Mapping[str, Any], prefix: str) -> None:
        for key, value in branch.items():
            given[f"{prefix}{key}"] = value
            if isinstance(value, dict):
                flatten(value, f"{prefix}{key}.")

    flatten(tree, "")
    return _Layer(given, dict.fromkeys(given, file or ""), tree)


def _tree(given: Mapping[str, Any]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for key, value in given.items():
        *path, last = key.split(".")
        branch = tree
        for step in path:
            branch = branch.setdefault(step, {})
        branch[last] = value
    return tree


def _lines(error: pydantic.ValidationError, layers: Sequence[_Layer]) -> dict[str, str]:
    """One line for every wrong key, with that key."""
    known = keys()
    lines: dict[str, str] = {}
    for problem in error.errors():
        path = ".".join(str(step) for step in problem["loc"])
        key = next((name for name in known if path == name or path.startswith(name + ".")), path)
        source = next((layer for layer in layers if key in layer.given), None)
        value = problem["input"] if source is None else source.given[key]
        origin = "defaults" if source is None else source.origin[key]
        expected = _expected(problem, key, known)
        lines.setdefault(key, f"{key}: got {_got(problem, key, value)}, {expected} ({origin})")
    return {line: key for key, line in lines.items()}


def _got(problem: Any, key: str, value: Any) -> str:
    """What the "got ..." part of a line shows."""
    if problem["type"] == "extra_forbidden":
        return "a value"
    return shown.scalar(value) if key in keys() else shown.kind(value)


def _expected(problem: Any, key: str, known: Mapping[str, str]) -> str:
    """The "expected ..." part of a line."""
    cause = problem.get("ctx", {}).get("error")
    if isinstance(cause, uri.UriError):
        return str(cause)
    if isinstance(cause, values.NetworkError):
        return f"expected {known[key]}: {cause}"
    if key in known:
        return f"expected {known[key]}"
    unknown = problem["type"] == "extra_forbidden"
    parent = key.rpartition(".")[0] if unknown else key
    inside = f"{parent}." if parent else ""
    names = {name.removeprefix(inside).split(".")[0] for name in known if name.startswith(inside)}
    what = "one of the keys" if unknown else "a map with the keys"
    return f"expected {what} {', '.join(sorted(names))}"
