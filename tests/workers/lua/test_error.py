"""Error objects: making, reading, raising, and their form on the wire."""

from __future__ import annotations

from typing import Any

import msgpack
import pytest

from tests.helpers.lua import make_runtime
from workers.runtime import LuaFailureError, Runtime

PRELUDE = """
local errors = require('beespace.box.error')
local codec = require('beespace.engine.codec')
local encode = require('beespace.engine.encode')
local ffi = require('ffi')
local box = {error = errors.api}
local function raised(f, ...)
  local ok, err = pcall(f, ...)
  assert(not ok, 'nothing was raised')
  return err
end
local function body(object)
  local buffer = ffi.new('uint8_t[?]', 100000)
  local cap = encode.limits.cap
  encode.limits.cap = 100000
  local size = errors.write(buffer, 0, object)
  encode.limits.cap = cap
  return ffi.string(buffer, size)
end
"""


@pytest.fixture(scope="module")
def runtime() -> Runtime:
    return make_runtime()


@pytest.fixture
def run(runtime: Runtime) -> Any:
    runtime.execute("require('beespace.box.error').api.clear()")

    def execute(source: str, *arguments: Any) -> Any:
        return runtime.execute(PRELUDE + source, *arguments)

    return execute


def fields(run: Any, expression: str) -> dict[str, Any]:
    """code, type, base_type, message, custom_type of an error object."""
    names = ("code", "type", "base_type", "message", "custom_type")
    got = run(f"local e = {expression} return {', '.join(f'e.{name}' for name in names)}")
    return {
        name: value.decode() if isinstance(value, bytes) else value
        for name, value in zip(names, got, strict=True)
    }


MADE = [
    ("box.error.new(45, 'bob')", 45, "ClientError", "User 'bob' is not found", None),
    ("raised(box.error, 45, 'bob')", 45, "ClientError", "User 'bob' is not found", None),
    ("box.error.new{code = 1234, reason = 'x'}", 1234, "ClientError", "x", None),
    ("box.error.new{reason = 'x'}", 0, "ClientError", "x", None),
    ("box.error.new{code = '45', reason = 12}", 45, "ClientError", "12", None),
    ("box.error.new{code = -1}", -1, "ClientError", "", None),
    ("box.error.new(9999, 'a')", 9999, "ClientError", "Unknown error", None),
    ("box.error.new{code = 500, reason = 'x', type = 'My'}", 500, "CustomError", "x", "My"),
    ("box.error.new('My', 'fmt %s %d', 'a', 5)", 0, "CustomError", "fmt a 5", "My"),
    ("errors.client('NO_SUCH_PROC', 'f')", 33, "ClientError", "Procedure 'f' is not defined", None),
    ("errors.client(254, 2^40)", 254, "ClientError", "Session 1099511627776 does not exist", None),
    ("errors.client('ILLEGAL_PARAMS', 'no')", 1, "IllegalParams", "no", None),
    ("errors.client('TIMEOUT')", 78, "ClientError", "Timeout exceeded", None),
    ("errors.typed('FiberIsCancelled', 'fiber is cancelled')", 32, "FiberIsCancelled",
     "fiber is cancelled", None),
    ("ffi.new('struct error')", 0, "ClientError", "Unknown error", None),
]  # fmt: skip


@pytest.mark.parametrize(("expression", "code", "base", "message", "custom"), MADE)
def test_made(
    run: Any, expression: str, code: int, base: str, message: str, custom: str | None
) -> None:
    assert fields(run, expression) == {
        "code": code,
        "type": custom or base,
        "base_type": base,
        "message": message,
        "custom_type": custom,
    }


FROM = [
    ("'eval:1: boom'", "eval:1: boom"),
    ("nil", "nil"),
    ("5", "5"),
    ("true", "true"),
    ("1LL", "1LL"),
    ("ffi.cast('void *', 0)", "cdata<void *>: NULL"),
    ("setmetatable({}, {__tostring = function() return 'own' end})", "own"),
    ("setmetatable({}, {__tostring = function() error('x') end})", "table: error in __tostring"),
    ("setmetatable({}, {__tostring = function() return {} end})", "table: error in __tostring"),
    ("('x'):rep(5000)", "x" * 5000),
    ("raised(loadstring('local t = nil; return t.x', '=eval'))",
     "eval:1: attempt to index local 't' (a nil value)"),
]  # fmt: skip


@pytest.mark.parametrize(("expression", "message"), FROM)
def test_anything_raised_is_a_lua_error(run: Any, expression: str, message: str) -> None:
    got = fields(run, f"errors.from({expression})")

    assert (got["code"], got["type"], got["message"]) == (32, "LuajitError", message)


def test_a_table_without_tostring_says_its_address(run: Any) -> None:
    assert run("return errors.from({}).message").startswith(b"table: 0x")


def test_error_objects_stay_what_they_are(run: Any) -> None:
    assert run("local e = box.error.new(45, 'x') return rawequal(errors.from(e), e)")


TEXTS = [
    ("box.error(45)", "box.error(): bad arguments"),
    ("box.error('My')", "box.error(): bad arguments"),
    ("box.error(nil)", "box.error(): bad arguments"),
    ("box.error(true)", "box.error(): bad arguments"),
    ("box.error(box.error.new(45, 'x'), 5)", "box.error(): bad arguments"),
    ("local e = box.error.new()", "Usage: box.error.new(code, args) or box.error.new(type, args)"),
    ("box.error.set(5)", "Invalid argument #1 (error expected, got number)"),
    ("box.error.set()", "Usage: box.error.set(error)"),
    ("box.error.last(1)", "box.error.last(): bad arguments"),
    ("box.error.clear(nil)", "box.error.clear(): bad arguments"),
    ("box.error.unpack(5)", "Usage: error:unpack()"),
    ("box.error.new(45, 'x'):set_prev(5)", "Usage: error1:set_prev(error2)"),
    ("local e = box.error.new(45, 'x') e:set_prev(e)", "Cycles are not allowed"),
]


@pytest.mark.parametrize(("source", "text"), TEXTS)
def test_misuse_is_a_text_with_a_place(run: Any, source: str, text: str) -> None:
    raised = run(f"return raised(setfenv(loadstring([==[{source}]==], '=eval'), {{box = box}}))")

    assert raised.decode() == f"eval:1: {text}"


def test_all_codes_have_one_name_and_a_usable_format(run: Any) -> None:
    problems = run("""
      local problems, numbers = {}, {}
      for _, row in ipairs(require('beespace.box.codes')) do
        local code, name, format = row[1], row[2], row[3]
        local ok, text = pcall(string.format, format, 1, 2, 3, 4, 5, 6)
        if not ok or numbers[code] or box.error[name] ~= code then
          table.insert(problems, name .. ' ' .. tostring(text))
        end
        numbers[code] = true
      end
      return table.concat(problems, '\\n')
    """)

    assert problems == b""


def test_names_of_both_generations(run: Any) -> None:
    assert run("return box.error.PASSWORD_MISMATCH, box.error.CREDS_MISMATCH") == (47, 47)
    assert run("return box.error.NO_SUCH_PROC, box.error.SHUTDOWN, box.error.NOPE") == (
        33,
        279,
        None,
    )


def test_last_is_what_was_raised_not_what_was_made(run: Any) -> None:
    assert run("""
      local seen = {}
      table.insert(seen, tostring(box.error.last()))
      box.error.new(45, 'a')
      table.insert(seen, tostring(box.error.last()))
      pcall(box.error, 45, 'b')
      table.insert(seen, tostring(box.error.last()))
      pcall(error, 'text')
      table.insert(seen, tostring(box.error.last()))
      box.error.set(box.error.new(45, 'c'))
      table.insert(seen, tostring(raised(box.error)))
      box.error.clear()
      table.insert(seen, tostring(box.error.last()))
      table.insert(seen, select('#', box.error()))
      return table.concat(seen, ', ')
    """) == (
        b"nil, nil, User 'b' is not found, User 'b' is not found, User 'c' is not found, nil, 0"
    )


def test_trace_says_who_called(run: Any) -> None:
    file, line = run("""
      local chunk = loadstring('\\n\\nbox.error{reason = "x"}', '=eval')
      local trace = raised(setfenv(chunk, {box = box})).trace[1]
      return trace.file, trace.line
    """)

    assert (file, line) == (b"eval", 3)


def test_a_lua_error_has_its_place_in_its_text(run: Any) -> None:
    assert run("""
      local a = errors.from('eval:12: boom').trace[1]
      local b = errors.from('no place').trace[1]
      return a.file, a.line, b.file, b.line
    """) == (b"eval", 12, b"[C]", 4294967295)


def test_objects_behave_as_values(run: Any) -> None:
    assert run("""
      local e = box.error.new(45, 'bob')
      return 'x ' .. e, e .. ' y', e:match("'(.*)'"), e == 'text', e == nil, type(e), e.nosuch
    """) == (
        b"x User 'bob' is not found", b"User 'bob' is not found y", b"bob", False, False, b"cdata",
        None,
    )  # fmt: skip


def test_objects_cannot_be_changed(run: Any) -> None:
    for name in ("message", "ref", "foo"):
        with pytest.raises(LuaFailureError):
            run(f"local e = box.error.new(45, 'x') e.{name} = 1")


def test_unpack(run: Any) -> None:
    assert run("""
      local cause = box.error.new(46, 'b')
      local e = box.error.new{code = 500, reason = 'x', type = 'My'}
      e:set_prev(cause)
      local t = e:unpack()
      return t.code, t.type, t.base_type, t.message, t.custom_type, t.prev == cause, #t.trace,
        t.errno
    """) == (500, b"My", b"CustomError", b"x", b"My", True, 1, None)


def test_causes(run: Any) -> None:
    assert run("""
      local a, b, c = box.error.new(45, 'a'), box.error.new(45, 'b'), box.error.new(45, 'c')
      a:set_prev(b)
      b:set_prev(c)
      local closes = pcall(c.set_prev, c, a)
      local list = errors.stack(a)
      local depth, message = #list, list[3].message
      a:set_prev(nil)
      return closes, depth, message, a.prev, #errors.stack(a)
    """) == (False, 3, b"User 'c' is not found", None, 1)


def test_records_go_with_their_objects(run: Any) -> None:
    before, after = run("""
      collectgarbage() collectgarbage()
      local before = collectgarbage('count')
      for i = 1, 50000 do
        errors.from('text')
      end
      collectgarbage() collectgarbage()
      return before, collectgarbage('count')
    """)

    assert after - before < 6000


@pytest.mark.parametrize(
    ("raising", "text"),
    [
        ("box.error{code = 5, reason = 'no'}", "app.lua:2: no"),
        ("error('no')", "app.lua:2: no"),
        ("error('no', 0)", "no"),
        ("error(errors.client('TIMEOUT'))", "Timeout exceeded"),
        ("error()", "nil"),
    ],
)
def test_what_to_print(run: Any, raising: str, text: str) -> None:
    got = run(f"""
      local chunk = setfenv(loadstring([==[\n\n{raising}]==], '@app.lua'),
        {{box = box, error = error, errors = errors}})
      return errors.describe(raised(chunk))
    """)

    assert got.decode() == text


def unpacked(data: bytes) -> Any:
    return msgpack.unpackb(data, strict_map_key=False)


def test_body_of_a_plain_error(run: Any) -> None:
    """The shortest error of the protocol reference, byte for byte."""
    body = run("""
      local chunk = setfenv(loadstring('box.error{code=1234,reason="x"}', '=eval'), {box = box})
      return body(raised(chunk))
    """)

    assert body.hex() == (
        "8231a178528100918600ab436c69656e744572726f7202" + "0101a46576616c03a178040005cd04d2"
    )


def test_body_of_a_stack_with_fields(run: Any) -> None:
    body = unpacked(
        run("""
      local e = box.error.new{code = 500, reason = 'x', type = 'My'}
      e:set_prev(errors.client('ACCESS_DENIED', 'Execute', 'function', 'f', 'guest'))
      return body(e)
    """)
    )

    outer, inner = body[0x52][0]
    assert body[0x31] == "x"
    assert (outer[0], outer[5], outer[6]) == ("CustomError", 500, {"custom_type": "My"})
    assert (inner[0], inner[5], inner[2]) == ("AccessDeniedError", 42, 4294967295)
    assert inner[6] == {
        "access_type": "Execute",
        "object_type": "function",
        "object_name": "f",
        "user": "guest",
    }


def test_an_error_too_long_for_the_buffer_says_so(run: Any) -> None:
    body = unpacked(run("return body(box.error.new{code = 7, reason = ('x'):rep(60000)})"))

    assert body[0x31] == "an error of 60000 bytes cannot be sent: response too large"
    assert body[0x52][0][0][5] == 7


def test_a_negative_code_is_unsigned_on_the_wire(run: Any) -> None:
    assert unpacked(run("return body(box.error.new{code = -1})"))[0x52][0][0][5] == 2**32 - 1


def test_an_object_as_a_value(run: Any) -> None:
    assert run("""
      local e = box.error.new{code = 500, reason = 'x', type = 'My'}
      e:set_prev(box.error.new(45, 'bob'))
      encode.settings.error_ext = 1
      local packed = codec.pack({e, 7})
      encode.settings.error_ext = 0
      local as_text = codec.unpack(codec.pack({e}))[1]
      local back = codec.unpack(packed)
      return as_text, packed:byte(2), back[1].type, back[1].code, back[1].custom_type,
        back[1].prev.message, back[2]
    """) == (b"x", 0xC7, b"My", 500, b"My", b"User 'bob' is not found", 7)


@pytest.mark.parametrize("size", [0, 200, 300, 70000])
def test_an_object_of_any_size_as_a_value(run: Any, size: int) -> None:
    assert (
        run(
            """
      encode.settings.error_ext = 1
      local packed = codec.pack(box.error.new{reason = ('x'):rep(...)})
      encode.settings.error_ext = 0
      return #codec.unpack(packed).message
    """,
            size,
        )
        == size
    )


def test_the_sample_of_the_protocol_is_read(run: Any) -> None:
    sample = bytes.fromhex(
        "c72603810091860" + "0ab436c69656e744572726f7202ceffffffff01a35b435d03a27a7a040005cd04d2"
    )

    assert run("local e = codec.unpack(...) return e.type, e.message, e.code, e.errno", sample) == (
        b"ClientError",
        b"zz",
        1234,
        None,
    )


BAD = [
    "80", "8100", "810090", "c0", "8100c0", "810091c0",
    "8100918103c0" + "00", "810091810305", "8100918105a178", "8100918105cb7ff8000000000000",
    "8100918102cb7ff0000000000000", "8100918102cf0000000100000000", "8100918103a17a00",
]  # fmt: skip


@pytest.mark.parametrize("payload", BAD)
def test_bad_payloads(run: Any, payload: str) -> None:
    data = bytes.fromhex(payload)
    packet = b"\xc7" + bytes([len(data), 3]) + data

    ok, text = run("return pcall(codec.unpack, ...)", packet)

    assert (ok, text) == (False, b"msgpack.decode: invalid MsgPack")


def test_an_error_of_which_nothing_is_said(run: Any) -> None:
    packet = bytes.fromhex("d6038100" + "9180")

    read = run("local e = codec.unpack(...) return e.code, e.type, e.message", packet)
    assert read == (0, b"ClientError", b"")
