"""The settings as plain values: those that hold, and what a file of them may hold (JSON Schema).

    Settings --shown()--> {dotted key: value JSON can hold}, passwords as "***"
    schema() ----------> JSON Schema of the YAML file, made of server.schema's sections

For ``beespace config show`` and ``config schema``, and the supervisor's command ``config``. Pure.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pydantic

from server import reload, session_users, values
from server.credentials import KEY, KINDS, Credentials
from server.settings import Settings
from server.uri import TcpUri, UnixUri

MASK: Final = "***"

_NAMES: Final = {"type": "array", "items": {"type": "string"}}
_PRIVILEGE: Final = {
    "type": "object",
    "properties": {
        "permissions": _NAMES,
        "universe": {"type": "boolean"},
        "lua_eval": {"type": "boolean"},
        "sessions": {"type": "boolean"},
        **dict.fromkeys(("functions", "lua_call", "sequences", "spaces", "sql"), _NAMES),
    },
    "required": ["permissions"],
    "additionalProperties": False,
}
_ROLE: Final = {"roles": _NAMES, "privileges": {"type": "array", "items": _PRIVILEGE}}
_ADDRESS: Final = ({"type": "string"}, {"type": "integer", "minimum": 0, "maximum": 65535})
_URI: Final = {
    "anyOf": [
        *_ADDRESS,
        {
            "type": "object",
            "properties": {
                "uri": {"anyOf": list(_ADDRESS)},
                "params": {
                    "type": "object",
                    "properties": {"proxy_protocol": {"type": "boolean"}},
                    "additionalProperties": False,
                },
            },
            "required": ["uri"],
            "additionalProperties": False,
        },
    ]
}
_CONTEXT: Final = {
    "from": {"enum": ["env", "file"]},
    "env": {"type": "string"},
    "file": {"type": "string"},
    "rstrip": {"type": "boolean"},
}
_KINDS: Final[Mapping[Any, Mapping[str, Any]]] = {
    bool: {"type": "boolean"},
    int: {"type": "integer"},
    float: {"type": "number"},
    str: {"type": "string"},
    Path: {"type": "string"},
}


def shown(settings: Settings) -> dict[str, Any]:
    """Every key with its value; users and roles by name, with what they have been given."""
    found = {key: _plain(value) for key, value in reload.flat(settings).items()}
    return {**found, **_credentials(settings.credentials)}


def schema() -> dict[str, Any]:
    """What the YAML file may hold."""
    made = _section(Settings)
    sections = made["properties"]
    sections["config"] = _object({"context": _names(_object(_CONTEXT))})
    sections[KEY] = _object(
        {
            "roles": _names(_object(_ROLE)),
            "users": _names(_object({"password": {"type": "string"}, **_ROLE})),
        }
    )
    idle = sections[session_users.SECTION]["properties"]["idle_timeout"]
    limits = {"idle_timeout": {key: idle[key] for key in ("type", "minimum", "maximum")}}
    sections[session_users.SECTION]["properties"][session_users.NAME] = _names(_object(limits))
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "beespace", **made}


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    return value if value is None or isinstance(value, (bool, int, float)) else str(value)


def _credentials(credentials: Credentials) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for section, kind in KINDS.items():
        members = {
            each.name: {
                **({"password": MASK} if each.name in credentials.passwords else {}),
                "roles": list(each.roles),
            }
            for each in credentials.declared
            if each.kind == kind
        }
        found[f"{KEY}.{section}"] = members
    return found


def _section(model: type[pydantic.BaseModel]) -> dict[str, Any]:
    properties: dict[str, Any] = {}
    for name, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, pydantic.BaseModel):
            properties[name] = _section(kind)
        elif name != KEY:
            properties[name] = _leaf(field)
    return _object(properties)


def _leaf(field: Any) -> dict[str, Any]:
    """One key: its type, bounds, what it expects and its default."""
    texts = [item.text for item in field.metadata if isinstance(item, values.Expected)]
    readers = [getattr(item, "func", None) for item in field.metadata]
    made = dict(_kind(field.annotation))
    for reader in readers:
        if isinstance(reader, values.Choice):
            made = {"enum": list(reader.words)}
        elif isinstance(reader, values.Whole):
            made |= {"minimum": reader.low, "maximum": reader.high}
        elif isinstance(reader, values.Seconds):
            made |= {"minimum": 0, "maximum": reader.high}
        elif isinstance(reader, values.Share):
            made = {"anyOf": [made | {"minimum": 0, "maximum": 1}, {"enum": list(reader.NONE)}]}
    made["description"] = texts[0]
    default = _plain(field.get_default(call_default_factory=True))
    return made if default is None else {**made, "default": default}


def _kind(annotation: Any) -> Mapping[str, Any]:
    if annotation in _KINDS:
        return _KINDS[annotation]
    parts = [part for part in typing.get_args(annotation) if part is not types.NoneType]
    if typing.get_origin(annotation) is tuple:
        if {TcpUri, UnixUri} & set(typing.get_args(parts[0])):
            return {"anyOf": [_URI, {"type": "array", "items": _URI, "minItems": 1}]}
        text = {"type": "string"}
        return {"anyOf": [text, {"type": "array", "items": text}]}
    if typing.get_origin(annotation) is types.UnionType or len(parts) > 1:
        kinds = [_kind(part) for part in parts]
        return kinds[0] if len(kinds) == 1 else {"anyOf": kinds}
    return {}


def _object(properties: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": dict(properties), "additionalProperties": False}


def _names(member: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "object", "additionalProperties": {"anyOf": [member, {"type": "null"}]}}
