"""AUTH: order of checks, answers that tell nothing, on_auth, and what a session is afterwards."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator

import pytest

from tests.helpers import users
from tests.helpers.engine import SALT, Client, Engine, error_of
from tests.helpers.raw import AUTH, frame, pack, request, scramble
from tests.helpers.users import login

PROOF = scramble(SALT, "")
MISMATCH = (47, "User not found or supplied credentials are invalid")
BAD_BODY = (20, "Invalid MsgPack - authentication request body")
WHO = "return box.session.uid(), box.session.user(), box.session.euid()"


@pytest.fixture(scope="module")
def bob(engine: Engine) -> int:
    """Number of the user bob; there are also bare, without a password, and idle, disabled."""
    users.add(engine, "bare")
    users.add(engine, "idle", "secret")
    users.disable(engine, "idle")
    found = users.add(engine, "bob", "secret")
    users.make_super(engine, "bob")
    return found


@pytest.fixture(autouse=True)
def _no_failures(engine: Engine, bob: int) -> Iterator[None]:
    yield
    engine.execute(
        """
        for _, f in ipairs(box.session.on_auth()) do box.session.on_auth(nil, f) end
        local failures = require('beespace.engine.failures')
        failures.delay, failures.retries = 0, 0
        failures.reset()"""
    )


@pytest.mark.parametrize(
    ("user", "data", "expected"),
    [
        ("guest", [], (0, "")),
        ("guest", ["chap-sha1", PROOF], (0, "")),
        ("guest", ["chap-sha1", PROOF, "more"], (0, "")),
        ("guest", ["chap-sha1", bytes(20)], MISMATCH),
        ("guest", ["chap-sha1"], BAD_BODY),
        ("bob", [], BAD_BODY),
        ("nosuch", [], BAD_BODY),
        ("bob", ["chap-sha1"], BAD_BODY),
        ("bob", ["chap-sha1", PROOF], MISMATCH),
        ("bob", ["chap-sha1", scramble(SALT, "secret")], (0, "")),
        ("bare", ["chap-sha1", PROOF], MISMATCH),
        ("admin", ["chap-sha1", PROOF], MISMATCH),
        ("nosuch", ["chap-sha1", PROOF], MISMATCH),
        ("super", ["chap-sha1", PROOF], MISMATCH),
        ("public", ["chap-sha1", PROOF], MISMATCH),
        ("", ["chap-sha1", PROOF], MISMATCH),
        ("Bob", ["chap-sha1", scramble(SALT, "secret")], MISMATCH),
        ("idle", ["chap-sha1", PROOF], MISMATCH),
        (
            "idle",
            ["chap-sha1", scramble(SALT, "secret")],
            (42, "Session access to universe '' is denied for user 'idle'"),
        ),
        ("guest", [5, PROOF], BAD_BODY),
        ("guest", [None, PROOF], BAD_BODY),
        ("guest", ["md5", PROOF], (249, "Unknown authentication method 'md5'")),
        ("nosuch", ["md5", PROOF], (249, "Unknown authentication method 'md5'")),
        ("bob", ["pap-sha256", "secret"], (249, "Unknown authentication method 'pap-sha256'")),
        (
            "guest",
            ["chap-sha1", 5],
            (251, "Invalid 'chap-sha1' request: scramble must be string"),
        ),
        ("bob", ["chap-sha1", b"x"], (251, "Invalid 'chap-sha1' request: invalid scramble size")),
        ("guest", ["chap-sha1", ""], (251, "Invalid 'chap-sha1' request: invalid scramble size")),
    ],
)
def test_answers(client: Client, user: str, data: list[object], expected: tuple[int, str]) -> None:
    answer = client.request(AUTH, {0x23: user, 0x21: data})

    assert error_of(answer) == expected
    if expected == (0, ""):
        assert answer.body == {}
    assert client.in_step()


def test_the_reference_vectors(engine: Engine, client: Client) -> None:
    """Salt 00 01 02 ..., as the engine gives it, with the bytes that asynctnt sends."""
    users.add(engine, "empty", "")
    kept = {"secret": "FOZVZ6vbUTXQz9mnCzAywXmknuc=", "": "vhvewKp0tNyweZQ+cFKAlsyphfg="}
    for password, text in kept.items():
        assert users.stored(password) == base64.b64decode(text)
    proofs = {
        "bob": "21b3ff405f32cbe4aafff291396046ea29fa3a4d",
        "empty": "767be93ed197083818f15db91fd7d52407ad353e",
    }
    for name, proof in proofs.items():
        body = b"\x82\x23" + pack(name) + b"\x21\x92\xa9chap-sha1\xb4" + bytes.fromhex(proof)
        (answer,) = client.exchange(frame(bytes.fromhex("8200070101") + body))
        assert (answer.header[0], answer.sync, answer.body_bytes) == (0, 1, b"\x80")
        assert client.slot.uid == users.number(engine, name)


def test_the_proof_may_be_text_or_bytes(client: Client) -> None:
    as_text = b"\xb4" + PROOF
    payload = pack({0: AUTH, 1: 5}) + b"\x82\x23" + pack("guest") + b"\x21\x92"
    (answer,) = client.exchange(frame(payload + pack("chap-sha1") + as_text))
    assert answer.code == 0
    assert client.request(AUTH, {0x23: "guest", 0x21: ["chap-sha1", PROOF]}).code == 0


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({0x21: []}, (69, "Missing mandatory field 'USER_NAME' in request")),
        ({0x23: "guest"}, (69, "Missing mandatory field 'TUPLE' in request")),
        ({0x23: "guest", 0x21: {}}, (20, "Invalid MsgPack - packet body")),
        ({0x23: 5, 0x21: []}, (20, "Invalid MsgPack - packet body")),
        ([], (20, "Invalid MsgPack - packet body")),
        (None, (20, "Invalid MsgPack - missing request body")),
    ],
)
def test_bodies(client: Client, body: object, expected: tuple[int, str]) -> None:
    assert error_of(client.request(AUTH, body)) == expected


def test_a_login_is_the_sessions_user(client: Client, bob: int) -> None:
    assert client.eval(WHO).data == [0, "guest", 0]
    assert login(client, "bob", "secret").code == 0
    assert client.eval(WHO).data == [bob, "bob", bob]
    assert client.slot.uid == bob


def test_any_number_of_logins(client: Client, bob: int) -> None:
    for _ in range(3):
        assert login(client, "bob", "secret").code == 0
        assert error_of(login(client, "bob", "wrong")) == MISMATCH
        assert client.eval(WHO).data == [bob, "bob", bob]
        assert login(client, "guest", "").code == 0
        assert client.eval(WHO).data == [0, "guest", 0]


def test_running_requests_switch_user_too(client: Client) -> None:
    waiting = "require('fiber').sleep(0.001) return box.session.user()"
    asked = request({0: 8, 1: 7}, {0x27: waiting, 0x21: []})
    proof = ["chap-sha1", scramble(SALT, "secret")]
    answers = client.answers(asked + request({0: AUTH, 1: 8}, {0x23: "bob", 0x21: proof}), 2)
    assert [(answer.sync, answer.code) for answer in answers] == [(8, 0), (7, 0)]
    assert answers[1].data == ["bob"]


def test_a_user_without_a_right_to_sessions_is_told_after_the_password(client: Client) -> None:
    assert login(client, "idle", "secret").code == 42
    assert client.eval(WHO).data == [0, "guest", 0]


# on_auth


def watch(engine: Engine, body: str = "") -> None:
    engine.execute(
        f"""
        seen = {{}}
        box.session.on_auth(function(name, ok)
          table.insert(seen, {{name, ok, box.session.user(), box.session.effective_user(),
            box.session.sync(), box.session.id()}})
          {body}
        end)"""
    )


def seen(client: Client) -> list[list[object]]:
    rows: list[list[object]] = client.eval("local s = seen seen = {} return s").data[0]
    return rows


def test_on_auth_is_told_before_the_user_changes(client: Client) -> None:
    watch(client.engine)
    sync = client._sync
    login(client, "bob", "secret")
    login(client, "bob", "wrong")
    login(client, "nosuch", "wrong")
    client.request(AUTH, {0x23: "guest", 0x21: []})
    assert seen(client) == [
        ["bob", True, "guest", "guest", sync + 1, client.id],
        ["bob", False, "bob", "bob", sync + 2, client.id],
        ["nosuch", False, "bob", "bob", sync + 3, client.id],
        ["guest", True, "bob", "bob", sync + 4, client.id],
    ]


def test_on_auth_is_not_told_what_has_no_form_or_no_right(client: Client) -> None:
    watch(client.engine)
    login(client, "idle", "secret")
    client.request(AUTH, {0x23: "bob", 0x21: ["md5", PROOF]})
    client.request(AUTH, {0x23: "bob", 0x21: []})
    assert seen(client) in ([], {})


@pytest.mark.parametrize("password", ["secret", "wrong"])
def test_an_error_of_on_auth_is_the_answer(client: Client, password: str) -> None:
    watch(client.engine, "error('no ' .. name, 0)")
    assert error_of(login(client, "bob", password)) == (32, "no bob")
    assert client.eval(WHO).data == [0, "guest", 0]


@pytest.mark.parametrize(
    ("password", "expected", "user"), [("secret", (0, ""), "bob"), ("wrong", MISMATCH, "guest")]
)
def test_on_auth_may_wait(
    client: Client, password: str, expected: tuple[int, str], user: str
) -> None:
    watch(client.engine, "require('fiber').sleep(0.001)")
    proof = ["chap-sha1", scramble(SALT, password)]
    (answer,) = client.answers(request({0: AUTH, 1: 77}, {0x23: "bob", 0x21: proof}), 1)
    assert (answer.sync, error_of(answer)) == (77, expected)
    assert client.eval(WHO).data[1] == user
    assert client.in_step()


def test_an_error_after_a_wait(client: Client) -> None:
    watch(client.engine, "require('fiber').sleep(0.001) error('late', 0)")
    proof = ["chap-sha1", scramble(SALT, "secret")]
    (answer,) = client.answers(request({0: AUTH, 1: 77}, {0x23: "bob", 0x21: proof}), 1)
    assert error_of(answer) == (32, "late")
    assert client.eval(WHO).data == [0, "guest", 0]


def test_a_password_that_changes_while_on_auth_waits_is_not_enough(
    client: Client, bob: int
) -> None:
    watch(client.engine, "gate = require('fiber').cond() gate:wait()")
    proof = ["chap-sha1", scramble(SALT, "secret")]
    client.send(request({0: AUTH, 1: 77}, {0x23: "bob", 0x21: proof}))
    users.set_password(client.engine, bob, "secret")
    client.engine.execute("gate:broadcast()")
    (answer,) = client.answers(b"", 1)
    assert error_of(answer) == MISMATCH
    assert client.eval(WHO).data == [0, "guest", 0]


def test_a_client_that_leaves_while_on_auth_waits(engine: Engine) -> None:
    watch(engine, "require('fiber').sleep(0.01)")
    with engine.connect() as client:
        proof = ["chap-sha1", scramble(SALT, "secret")]
        client.send(request({0: AUTH, 1: 77}, {0x23: "bob", 0x21: proof}))
        client.close()
        engine.run_until(lambda: not client.exists)


# Failures


def failures(client: Client, source: str = "") -> list[dict[str, object]]:
    rows = client.engine.execute(f"return box.security.failures({source})")
    return [
        {
            key.decode(): value.decode() if isinstance(value, bytes) else value
            for key, value in rows[index].items()
        }
        for index in range(1, len(rows) + 1)
    ]


@pytest.mark.parametrize(
    ("peer", "address"),
    [
        (b"127.0.0.1:4000", "127.0.0.1"),
        (b"[::1]:59784", "::1"),
        (b"[fe80::1%eth0]:59784", "fe80::1%eth0"),
        (b"[::ffff:10.1.2.3]:59784", "10.1.2.3"),
        (b"unix/:(socket)", "unix/:"),
        (b"unix/:/tmp/x:33", "unix/:"),
    ],
)
def test_failures_are_counted_by_address_without_port(
    engine: Engine, peer: bytes, address: str
) -> None:
    with engine.connect(peer) as client:
        for _ in range(3):
            login(client, "bob", "wrong")
        (row,) = failures(client, f"{{peer = '{address}'}}")
        assert (row["count"], row["consecutive"]) == (3, 3)
        (row,) = failures(client, "'bob'")
        assert (row["count"], row["known"]) == (3, True)


@pytest.mark.parametrize("name", ["bob", "nosuch", "super", "bare"])
def test_the_delay_is_the_same_for_all_names(engine: Engine, name: str) -> None:
    engine.execute("local f = require('beespace.engine.failures') f.delay, f.retries = 60, 1")
    for number, expected in enumerate([47, 47, 257, 257]):
        with engine.connect(b"10.0.0.%d:1" % number) as client:
            answer = login(client, name, "wrong")
            assert answer.code == expected
    assert answer.text == "Too many authentication attempts"
    with engine.connect(b"10.0.0.9:1") as client:
        assert login(client, name, "secret").code == 257
        assert client.in_step()


def test_an_address_that_fails_is_delayed_for_others_names(client: Client) -> None:
    client.engine.execute("require('beespace.engine.failures').delay = 60")
    assert login(client, "nosuch", "wrong").code == 47
    assert login(client, "bob", "secret").code == 257
    with client.engine.connect(b"10.0.0.1:1") as elsewhere:
        assert login(elsewhere, "bob", "secret").code == 0


def test_guest_without_a_proof_is_neither_counted_nor_refused(client: Client) -> None:
    client.engine.execute("require('beespace.engine.failures').delay = 60")
    login(client, "bob", "wrong")
    assert client.request(AUTH, {0x23: "guest", 0x21: []}).code == 0
    assert login(client, "guest", "").code == 257


def test_a_login_as_guest_clears_no_address(client: Client) -> None:
    client.engine.execute(
        "local f = require('beespace.engine.failures') f.delay, f.retries = 60, 1"
    )
    for user in ("a", "b"):
        assert login(client, user, "wrong").code == 47
        client.request(AUTH, {0x23: "guest", 0x21: []})
    assert login(client, "c", "wrong").code == 257


def test_failures_are_logged_without_letting_names_forge_lines(client: Client) -> None:
    lines = client.engine.execute(
        """
        local bridge = require('beespace.bridge')
        require('beespace.engine.complaints').tick()
        original, lines = bridge.log, {}
        bridge.log = function(level, text, session)
          lines[#lines + 1] = ('%s|%s|%d'):format(level, text, session or 0)
        end
        return lines"""
    )
    for name in ["bob", "x\ny\x00ж", "n" * 1000] + ["bob"] * 20:
        login(client, name, "wrong")
    client.engine.execute(
        """require('beespace.engine.complaints').tick()
        require('beespace.bridge').log = original"""
    )
    found = [lines[index].decode() for index in range(1, len(lines) + 1)]
    at = f"from 127.0.0.1:4000 failed, 1 in a row, 1 in all|{client.id}"
    assert found[:3] == [
        f"warn|login of user 'bob' {at}",
        f"warn|login of user 'x?y???' {at}",
        f"warn|login of user '{'n' * 64}...' {at}",
    ]
    assert len(found) == 11
    assert found[10] == "warn|13 more logins failed|0"
    assert all(re.fullmatch(r"[ -~]*", line) for line in found)
