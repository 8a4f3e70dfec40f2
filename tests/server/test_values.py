"""How single values are read, whichever source they come from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from server import values
from server.uri import TcpUri, UnixUri


def refuses(read: Callable[[Any], Any], given: Any) -> bool:
    """Whether a reader raises ValueError, the one error that becomes a line for the user."""
    try:
        read(given)
    except ValueError:
        return True
    return False


LOCAL = TcpUri("127.0.0.1", 3301)
LISTEN: list[tuple[Any, tuple[Any, ...]]] = [
    (3301, (LOCAL,)),
    ("3301", (LOCAL,)),
    (" 3301 , unix/:/tmp/x", (LOCAL, UnixUri("/tmp/x"))),
    (["3301", "[::1]:0"], (LOCAL, TcpUri("::1", 0))),
    (["3301,[::1]:0"], (LOCAL, TcpUri("::1", 0))),
    ([{"uri": "3301"}, {"uri": 0}], (LOCAL, TcpUri("127.0.0.1", 0))),
    ('[{"uri": "3301"}, {"uri": "unix/:/tmp/x"}]', (LOCAL, UnixUri("/tmp/x"))),
    ('["3301"]', (LOCAL,)),
    (["0", "0"], (TcpUri("127.0.0.1", 0), TcpUri("127.0.0.1", 0))),
]


@pytest.mark.parametrize(("given", "uris"), LISTEN)
def test_listen(given: Any, uris: tuple[Any, ...]) -> None:
    assert values.uris(2)(given) == uris


@pytest.mark.parametrize(
    "given",
    [None, True, 3.5, [], {}, [None], [[]], [{"uri": 1, "x": 2}], '[{"uri"', ["x"], [1, 2, 3]],
)
def test_no_listen(given: Any) -> None:
    assert refuses(values.uris(2), given)


@pytest.mark.parametrize(("given", "number"), [(1, 1), ("1", 1), ("010", 10), (10, 10)])
def test_whole(given: Any, number: int) -> None:
    assert values.whole(1, 10)(given) == number


@pytest.mark.parametrize(
    "given", [0, 11, "0", "11", "+1", "1.0", "", " 1", 1.0, True, None, "\u0661"]
)
def test_not_whole(given: Any) -> None:
    assert refuses(values.whole(1, 10), given)


@pytest.mark.parametrize(("given", "number"), [(0, 0), ("0", 0), ("5", 5), (10, 10)])
def test_whole_or_none(given: Any, number: int) -> None:
    assert values.whole_or_none(5, 10)(given) == number


@pytest.mark.parametrize("given", [1, 4, 11, "4", -5, None, False, 0.0, ""])
def test_not_whole_or_none(given: Any) -> None:
    assert refuses(values.whole_or_none(5, 10), given)


@pytest.mark.parametrize(
    ("given", "number"), [(0, 0.0), (2.5, 2.5), ("0.25", 0.25), ("10", 10.0), (10, 10.0)]
)
def test_seconds(given: Any, number: float) -> None:
    read = values.seconds(10)(given)
    assert (read, type(read)) == (number, float)


@pytest.mark.parametrize(
    "given", [-1, 10.1, "11", "1e1", "", ".5", "5.", "-0", True, None, float("nan"), "inf"]
)
def test_not_seconds(given: Any) -> None:
    assert refuses(values.seconds(10), given)


@pytest.mark.parametrize(
    ("given", "share"),
    [("off", 0.0), (False, 0.0), (0, 0.0), ("0.25", 0.25), (0.5, 0.5), (1, 1.0), ("1", 1.0)],
)
def test_a_share(given: Any, share: float) -> None:
    assert values.share(given) == share


@pytest.mark.parametrize("given", ["on", True, 1.5, -0.1, "50%", None, ""])
def test_not_a_share(given: Any) -> None:
    assert refuses(values.share, given)


@pytest.mark.parametrize("number", range(8))
def test_log_levels_by_number_and_name(number: int) -> None:
    name = values.log_level(number)
    assert name == values.log_level(str(number)) == values.log_level(values.LOG_LEVELS[number])
    assert name == ("error" if number == 1 else values.LOG_LEVELS[number])


@pytest.mark.parametrize("name", ["a", "A-b_c.9", "x" * 64, "a.."])
def test_names(name: str) -> None:
    assert values.server_name(name) == name


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a b", "\u00e9", "x" * 65, "a\n", 5, None])
def test_no_names(name: Any) -> None:
    assert refuses(values.server_name, name)


@pytest.mark.parametrize("path", ["", "a\0", 5, "~no-such-user-here/x"])
def test_no_folders(path: Any) -> None:
    assert refuses(values.folder, path)


@pytest.mark.parametrize("path", ["/no/app.lua", "/" + "x" * 5000, "/", "~no-such-user-here/x"])
def test_no_lua_files(path: str) -> None:
    assert refuses(values.lua_file, path)


PROXIED = TcpUri("127.0.0.1", 5, proxy=True)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([{"uri": "5", "params": {"proxy_protocol": True}}], (PROXIED,)),
        ([{"uri": 5, "params": {"proxy_protocol": "true"}}], (PROXIED,)),
        ([{"uri": "5", "params": {"proxy_protocol": False}}], (TcpUri("127.0.0.1", 5),)),
        ([{"uri": "5?proxy_protocol=true", "params": {}}], (PROXIED,)),
        ('[{"uri": "5", "params": {"proxy_protocol": true}}]', (PROXIED,)),
        ("5?proxy_protocol=true, 6", (PROXIED, TcpUri("127.0.0.1", 6))),
    ],
)
def test_listeners_of_proxies(given: Any, expected: tuple[Any, ...]) -> None:
    assert values.uris(9, proxied=True)(given) == expected


@pytest.mark.parametrize(
    "given",
    [
        [{"uri": "5", "params": {"proxy_protocol": 1}}],
        [{"uri": "5", "params": {"transport": "ssl"}}],
        [{"uri": "5", "params": None}],
        [{"params": {"proxy_protocol": True}}],
        "5?proxy_protocol=yes",
        "5?proxy_protocol=true,5",
    ],
)
def test_no_listeners_of_proxies(given: Any) -> None:
    assert refuses(values.uris(9, proxied=True), given)


def test_consoles_have_no_proxies() -> None:
    assert refuses(values.uris(9), "5?proxy_protocol=true")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("10.0.0.0/8, ::1", ("10.0.0.0/8", "::1/128")),
        (["2001:DB8::/32", "1.2.3.4"], ("2001:db8::/32", "1.2.3.4/32")),
        ([], ()),
        ("", ()),
    ],
)
def test_networks(given: Any, expected: tuple[str, ...]) -> None:
    assert values.networks(given) == expected


@pytest.mark.parametrize("given", ["10.0.0.1/8", "10.0.0.0/33", "bee", [1], 5, {"a": 1}, None])
def test_no_networks(given: Any) -> None:
    assert refuses(values.networks, given)
