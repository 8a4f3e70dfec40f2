"""One packet: header forms, bodies, arguments, and that both readers say the same."""

from __future__ import annotations

import itertools

import msgpack
import pytest

from tests.helpers.engine import Client, error_of
from tests.helpers.raw import CALL, EVAL, PING, Packet, frame, pack

BODY_ERROR = (20, "Invalid MsgPack - packet body")
SYNCS = [
    ("05", 5),
    ("cc05", 5),
    ("cd0005", 5),
    ("ce00000005", 5),
    ("cf0000000000000005", 5),
    ("7f", 127),
    ("cc80", 128),
    ("cdffff", 65535),
    ("cd8000", 32768),
    ("ceffffffff", 2**32 - 1),
    ("ce80000000", 2**31),
    ("cf0000000100000000", 2**32),
    ("cf00005af3107a4000", 10**14),
    ("cf8000000000000000", 2**63),
    ("cfffffffffffffffff", 2**64 - 1),
]


def one(client: Client, payload: bytes) -> Packet:
    (answer,) = client.exchange(frame(payload))
    assert client.in_step()
    return answer


@pytest.mark.parametrize(("form", "value"), SYNCS)
@pytest.mark.parametrize("order", ["type first", "sync first", "with schema", "many keys"])
def test_sync_in_every_form(client: Client, form: str, value: int, order: str) -> None:
    sync = bytes.fromhex(form)
    headers = {
        "type first": b"\x82\x00\x40\x01" + sync,
        "sync first": b"\x82\x01" + sync + b"\x00\x40",
        "with schema": b"\x83\x00\x40\x01" + sync + b"\x05\x01",
        "many keys": b"\x84\x01" + sync + b"\x02\x00\x05\x00\x00\x40",
    }
    answer = one(client, headers[order])

    assert (answer.type, answer.sync, answer.schema_version) == (0, value, 1)


@pytest.mark.parametrize(("form", "value"), SYNCS)
def test_session_sync_is_the_whole_number(client: Client, form: str, value: int) -> None:
    header = b"\x82\x00\x0a\x01" + bytes.fromhex(form)
    answer = one(client, header + pack({0x22: "box.session.sync", 0x21: []}))

    assert (answer.sync, answer.data) == (value, [value])
    assert client.engine.execute("return box.session.sync()") == 0


@pytest.mark.parametrize("form", ["ff", "d0ff", "d100ff", "cb3ff0000000000000", "a131", "c0", "90"])
def test_a_sync_that_is_no_unsigned_integer(client: Client, form: str) -> None:
    answer = one(client, b"\x82\x00\x40\x01" + bytes.fromhex(form))

    assert error_of(answer) == (20, "Invalid MsgPack - packet header")
    assert answer.sync == 0


@pytest.mark.parametrize(
    "head",
    ["820064", "8200cc40", "8200cd0040", "8200ce00000040", "8200cf0000000000000040"],
)
def test_a_type_of_any_width(client: Client, head: str) -> None:
    payload = bytes.fromhex(head).replace(b"\x64", b"\x40") + b"\x01\x05"
    answer = one(client, payload)

    assert (answer.type, answer.sync) == (0, 5)


@pytest.mark.parametrize("count", range(8))
@pytest.mark.parametrize("method", [False, True])
def test_any_number_of_arguments(client: Client, count: int, method: bool) -> None:
    client.engine.execute(
        """
        counted = {tag = 'object'}
        function counted.f(first, ...)
          if first == counted then return select('#', ...), ... end
          return select('#', first, ...), first, ...
        end
        function counted.none(...) return select('#', ...) end
        """
    )
    arguments = [f"a{k}" for k in range(count)]
    answer = client.call("counted:f" if method else "counted.f", *arguments)

    if count or method:
        assert answer.data == [count, *arguments]
    assert client.call("counted.none", *arguments).data == [count]


@pytest.mark.parametrize("count", range(8))
def test_eval_with_any_number_of_arguments(client: Client, count: int) -> None:
    answer = client.eval("return select('#', ...), ...", *range(count))

    assert answer.data == [count, *range(count)]


def test_nil_is_an_argument(client: Client) -> None:
    source = "return select('#', ...), ... == nil, type(...)"
    assert client.eval(source, None).data == [1, True, "cdata"]
    assert client.eval(source, None, None, None, None).data[0] == 4


@pytest.mark.parametrize("head", ["90", "dc0000", "dd00000000"])
def test_every_form_of_the_arguments(client: Client, head: str) -> None:
    body = b"\x82\x27" + pack("return 1, ...") + b"\x21"
    empty = bytes.fromhex(head)
    assert one(client, b"\x82\x00\x08\x01\x05" + body + empty).data == [1]
    full = empty[:-1] + bytes([empty[-1] + 2]) + b"\x07\x08"
    assert one(client, b"\x82\x00\x08\x01\x05" + body + full).data == [1, 7, 8]


@pytest.mark.parametrize("kind", [CALL, EVAL])
def test_both_readers_say_the_same(client: Client, kind: int) -> None:
    """Whatever order the keys have and whatever else is in the body."""
    key, text = (0x22, "math.max") if kind == CALL else (0x27, "return math.max(...)")
    entries = {key: text, 0x21: [3, 9, 4], 0x10: 512, 0x77: {"a": 1}}
    for order in itertools.permutations(entries):
        body = pack({name: entries[name] for name in order})
        answer = one(client, pack({0: kind, 1: 5}) + body)
        assert answer.data == [9]
    doubled = (
        b"\x84"
        + (pack(key) + pack("nosuch") + b"\x21\x90")
        + (pack(key) + pack(text) + b"\x21\x92\x01\x02")
    )
    assert one(client, pack({0: kind, 1: 5}) + doubled).data == [2]


@pytest.mark.parametrize("kind", [CALL, EVAL])
def test_without_arguments_key(client: Client, kind: int) -> None:
    body = {0x22: "math.random"} if kind == CALL else {0x27: "return 1"}
    assert one(client, pack({0: kind, 1: 5}) + pack(body)).code == 0


def calls() -> list[tuple[str, bytes]]:
    head = pack({0: CALL, 1: 5})
    name = b"\x82\x22" + pack("mark") + b"\x21"
    return [
        ("body is an array", head + b"\x90"),
        ("body is nil", head + b"\xc0"),
        ("body is a number", head + b"\x05"),
        ("body is cut", head + b"\x82\x22"),
        ("arguments are missing", head + name),
        ("arguments are cut", head + name + b"\x92\x01"),
        ("arguments are a map", head + name + b"\x80"),
        ("arguments are nil", head + name + b"\xc0"),
        ("an argument is no MessagePack", head + name + b"\x91\xc1"),
        ("a later argument is cut", head + name + b"\x93\x01\x02\xa5ab"),
        ("a fifth argument is cut", head + name + b"\x95\x01\x02\x03\x04\xcc"),
        ("bytes behind no arguments", head + name + b"\x90\xc0"),
        ("bytes behind one argument", head + name + b"\x91\x01\xc0"),
        ("bytes behind two arguments", head + name + b"\x92\x01\x02\xc0"),
        ("bytes behind three arguments", head + name + b"\x93\x01\x02\x03\xc0"),
        ("bytes behind four arguments", head + name + b"\x94\x01\x02\x03\x04\xc0"),
        ("more arguments than bytes", head + name + b"\xdd\xff\xff\xff\xff\x01"),
        ("name is a number", head + b"\x82\x22\x05\x21\x90"),
        ("name is bin", head + b"\x82\x22" + msgpack.packb(b"mark") + b"\x21\x90"),
        ("name is cut", head + b"\x82\x22\xa9mark"),
        ("key is text", head + b"\x82\xa1x\x05\x21\x90"),
        ("key is negative", head + b"\x83\x22\xa4mark\x21\x90\xff\x01"),
    ]


@pytest.mark.parametrize(("what", "payload"), calls(), ids=lambda value: str(value)[:28])
def test_a_malformed_body_runs_nothing(client: Client, what: str, payload: bytes) -> None:
    client.engine.execute("marked = 0 function mark() marked = marked + 1 end")
    answer = one(client, payload)

    assert error_of(answer) == BODY_ERROR, what
    assert answer.sync == 5
    assert client.engine.execute("return marked") == 0


def test_no_body(client: Client) -> None:
    for kind in (CALL, EVAL, 6, 7):
        answer = one(client, pack({0: kind, 1: 5}))
        assert error_of(answer) == (20, "Invalid MsgPack - missing request body")


@pytest.mark.parametrize(
    ("kind", "body", "field"),
    [(CALL, {0x21: []}, "FUNCTION_NAME"), (EVAL, {0x21: []}, "EXPR"), (CALL, {}, "FUNCTION_NAME")],
)
def test_a_missing_field(client: Client, kind: int, body: dict[int, object], field: str) -> None:
    answer = client.request(kind, body)

    assert error_of(answer) == (69, f"Missing mandatory field '{field}' in request")


def test_a_name_of_every_length(client: Client) -> None:
    for size in (0, 1, 31, 32, 255, 256, 65535, 65536):
        name = "n" * size
        answer = client.call(name)
        assert error_of(answer) == (33, f"Procedure '{name}' is not defined")


@pytest.mark.parametrize("body", [b"", b"\x80", b"\x90", b"\x81\x01\x02", b"\xa3abc"])
def test_ping_ignores_its_body(client: Client, body: bytes) -> None:
    answer = one(client, pack({0: PING, 1: 5}) + body)

    assert (answer.type, answer.body) == (0, {})


@pytest.mark.parametrize("body", [b"\xc1", b"\x81\x01", b"\x80\x80", b"\xa3ab"])
def test_ping_with_a_body_that_is_no_value(client: Client, body: bytes) -> None:
    assert error_of(one(client, pack({0: PING, 1: 5}) + body)) == BODY_ERROR
