"""The bridge's services as Lua calls them: bytes in, bytes out, failures as (None, text)."""

from __future__ import annotations

import json
import os
from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shm import logs
from shm.launch import LogOrder
from workers import bridge
from workers.bridge import Context, make_services

CONTEXT = Context(version="9.8.7", role="worker-3", log=LogOrder(level="info", format="json"))
SERVICES = make_services(CONTEXT)


def call(name: str, *arguments: Any) -> Any:
    return SERVICES[name](*arguments)


def packed(value: Any) -> bytes:
    return bytes(msgpack.packb(value))


@pytest.mark.parametrize(
    ("name", "arguments", "part"),
    [
        ("digest", (b"crc99", b""), b"unknown hash 'crc99'"),
        ("json_decode", (b"[1,",), b"on line 1 at character 4"),
        ("json_decode", (b"[" * 129 + b"]" * 129,), b"too many nested data structures (129)"),
        ("json_decode", (b"[" * 1_000_000,), b"nest"),
        ("json_decode", (b'"\\ud800"',), b"invalid unicode escape code"),
        ("json_decode", (b"nan", 128, False), b"on line 1"),
        ("json_encode", (packed(float("nan")), 14, False), b"must not be NaN or Inf"),
        ("json_encode", (packed({True: 1}),), b"table key must be a number or string"),
        ("json_encode", (b"\xc1",), b""),
        ("yaml_read", (b"a: [",), b"line: 2, column: 1"),
        ("yaml_read", (b"[" * 1_000_000,), b"nest"),
        ("yaml_read", (b"\xff",), b"UTF-8"),
        ("pbkdf2", (b"p", b"s", 1, 129), b"too big digest size"),
        ("log_level", (b"loud",), b"expected one of fatal"),
        ("base64_encode", (None,), b""),
    ],
)
def test_a_failure_is_an_answer(name: str, arguments: tuple[Any, ...], part: bytes) -> None:
    result, text = call(name, *arguments)

    assert result is None
    assert text
    assert part in text


@given(st.binary())
def test_json_never_raises_on_any_bytes(text: bytes) -> None:
    result = call("json_decode", text)

    assert isinstance(result, bytes) or result[0] is None


@given(st.binary())
def test_yaml_never_raises_on_any_bytes(text: bytes) -> None:
    result = call("yaml_read", text)

    assert isinstance(result, bytes) or result[0] is None


@given(st.binary(), st.booleans(), st.booleans(), st.booleans())
def test_base64_comes_back(data: bytes, pad: bool, wrap: bool, urlsafe: bool) -> None:
    encoded = call("base64_encode", data, pad, wrap, urlsafe)

    assert call("base64_decode", encoded) == data
    assert max((len(line) for line in encoded.split(b"\n")), default=0) <= 72 or not wrap


scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, width=16)
    | st.text(st.characters(exclude_categories=["Cs"]))
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=12,
)


@given(values)
def test_json_is_json_and_comes_back(value: Any) -> None:
    text = call("json_encode", packed(value), 17, True)
    back = call("json_decode", text)

    assert msgpack.unpackb(back) == value
    if b"inf" not in text:
        assert json.loads(text) == value


def ext(kind: int, payload: str) -> bytes:
    return bytes(msgpack.packb(msgpack.ExtType(kind, bytes.fromhex(payload))))


TYPED = [
    (ext(1, "01015c"), "1.5"),
    (ext(1, "05123d"), "-0.00123"),
    (ext(1, "000c"), "0"),
    (ext(1, "fb1c"), "1E+5"),
    (ext(2, "64d22e4dac924a23899ae59f34af5479"), "64d22e4d-ac92-4a23-899a-e59f34af5479"),
    (ext(4, "0000000000000000"), "1970-01-01T00:00:00Z"),
    (ext(4, "ffffffffffffffff"), "1969-12-31T23:59:59Z"),
    (ext(4, "0000000000000000" + "00000000" + "b400" + "0000"), "1970-01-01T03:00:00+0300"),
    (ext(4, "ffffffffffffff7f"), "9223372036854775807 seconds"),
    (ext(6, "0200010303"), "+1 years, +3 days"),
    (ext(3, "8100918103a27a7a"), "zz"),
]


@pytest.mark.parametrize(("value", "text"), TYPED)
def test_typed_values_are_readable_text(value: bytes, text: str) -> None:
    assert call("json_encode", value).decode() == f'"{text}"'


def test_a_fraction_of_a_second_is_as_long_as_it_must_be() -> None:
    def moment(nanoseconds: int) -> Any:
        payload = bytes(8) + nanoseconds.to_bytes(4, "little") + bytes(4)
        return call("json_encode", bytes(msgpack.packb(msgpack.ExtType(4, payload))))

    assert moment(500_000_000) == b'"1970-01-01T00:00:00.500Z"'
    assert moment(1_000) == b'"1970-01-01T00:00:00.000001Z"'
    assert moment(1) == b'"1970-01-01T00:00:00.000000001Z"'


def test_texts_that_are_not_utf8() -> None:
    raw = bytes(msgpack.packb(b"\xff\xfe", use_bin_type=False))

    assert call("json_encode", raw) == b'"\xff\xfe"'
    assert call("yaml_read", b"--- !!binary //4=") == b"\x92\x91\x01\xa2\xff\xfe"


def test_versions() -> None:
    facts = msgpack.unpackb(call("versions"))

    assert facts["beespace"] == "9.8.7"
    assert facts["python"].startswith("3.")


def test_log_lines_carry_session_and_module(capfd: pytest.CaptureFixture[str]) -> None:
    logs.configure(CONTEXT.log, CONTEXT.role)
    call("log", b"warn", b"caf\xc3\xa9 \xff", 42.0, b"shop")
    call("log", b"info", b"no session", 0, None)
    call("log", b"debug", b"below the level", 0, None)

    first, second = (json.loads(line) for line in capfd.readouterr().err.splitlines())
    assert (first["message"], first["session"], first["module"]) == ("caf\u00e9 \ufffd", 42, "shop")
    assert first["role"] == "worker-3"
    assert "session" not in second


def test_a_line_about_a_request(capfd: pytest.CaptureFixture[str]) -> None:
    logs.configure(CONTEXT.log, CONTEXT.role)
    call("log_request", b"warn", b"slow request", 42.0, b"bob", b"[::1]:5", b"call f", 0.7003)
    call("log_request", b"info", b"request", 0, None, None, b"eval passwd(1)", 1.5e-06, b"ok")

    first, second = (json.loads(line) for line in capfd.readouterr().err.splitlines())
    assert (first["message"], first["level"], first["session"]) == ("slow request", "warning", 42)
    assert (first["user"], first["peer"], first["request"]) == ("bob", "[::1]:5", "call f")
    assert first["ms"] == 700.3
    assert "outcome" not in first
    assert (second["request"][:16], second["outcome"], second["ms"]) == (
        "eval (not shown:",
        "ok",
        0.002,
    )
    assert not {"session", "user", "peer"} & set(second)


def test_what_all_processes_shall_have_is_passed_on() -> None:
    asked: list[tuple[str, Any]] = []
    context = bridge.Context(version="1", adjust=lambda key, value: asked.append((key, value)))
    adjust = bridge.make_services(context)["adjust"]
    adjust(b"log.level", b"debug")
    adjust(b"log.slow_request", 0.25)
    assert asked == [("log.level", "debug"), ("log.slow_request", 0.25)]
    assert bridge.make_services(CONTEXT)["adjust"](b"log.level", b"debug") is None


def test_the_level_can_be_changed(capfd: pytest.CaptureFixture[str]) -> None:
    logs.configure(CONTEXT.log, CONTEXT.role)
    assert call("log_level") == b"info"
    call("log_level", b"debug")
    call("log", b"debug", b"seen", 0, None)
    call("log_level", b"error")
    call("log", b"warn", b"unseen", 0, None)

    assert [json.loads(line)["message"] for line in capfd.readouterr().err.splitlines()] == ["seen"]


def test_all_services_are_guarded() -> None:
    assert set(SERVICES) >= {"log", "json_encode", "yaml_read", "digest", "base64_decode"}
    for service in SERVICES.values():
        assert service(object(), object(), object(), object(), object(), object())[0] is None


def test_hashes_are_the_ones_named() -> None:
    for name in bridge.HASHES:
        assert len(call("digest", name.encode(), b"x")) in {16, 20, 28, 32, 48, 64}


def test_open_descriptors() -> None:
    before = call("descriptors")
    reader, writer = os.pipe()
    assert call("descriptors") == before + 2
    os.close(reader)
    os.close(writer)
