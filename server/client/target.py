"""What ``beespace connect`` is told: where, as whom. Text to value, and back without the password.

    unix/:/path   /path   host:port   [::1]:port   port   user:password@host:port   user@...

Without one it is the console of the server that runs in a run directory: the socket there, or the
first of those that the server has written down.

The part after the user is read by :mod:`server.uri`. User and password are taken as they are
written, as Tarantool does: no escapes. What an error shows of a text that cannot be read ends at
its first colon, so no part of a password.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from server import places, uri
from server.client.failures import ClientError
from server.uri import UnixUri, Uri, UriError

EXPECTED: Final = "unix/:/path, /path, host:port, [ipv6]:port or port, after user:password@ if any"

_CREDENTIALS: Final = re.compile(
    r"(?P<user>[^:@/\[]+)(?::(?P<password>.*?))?@(?P<rest>(?:unix/:)?/.*|[^@]*)", re.DOTALL
)


_PATHS: Final = ("/", uri.UNIX_PREFIX)
_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_HARMLESS: Final = re.compile(r"(?:\[[0-9A-Fa-f:.]*\]|[^:]*):")
_PORT: Final = "expected a port from 1 to 65535"
_REASONS: Final = {f"expected {uri.EXPECTED}": f"expected {EXPECTED}", uri.EXPECTED_PORT: _PORT}


@dataclass(frozen=True)
class Target:
    """One server to connect to; as text it is without the password."""

    address: Uri
    user: str | None = None
    password: str | None = field(default=None, repr=False)

    def __str__(self) -> str:
        return f"{self.user}@{self.address}" if self.user else str(self.address)


def parse(text: str, user: str | None = None) -> Target:
    """The target a text stands for; ``user`` counts more than the one in it. ClientError else."""
    if user is not None and (not user or ":" in user):
        reason = f"expected a name; a password goes into {places.PASSWORD_VARIABLE}"
        raise ClientError(f"--user: got {_shown(user)!r}, {reason}")
    found = None if text.startswith(_PATHS) else _CREDENTIALS.fullmatch(text)
    try:
        address = _address(found["rest"] if found else text, text)
    except UriError as error:
        reason = _REASONS.get(str(error), str(error))
        raise ClientError(f"URI: got {_shown(text)!r}, {reason}") from None
    if not found:
        return Target(address, user)
    same = user is None or user == found["user"]
    return Target(address, found["user"] if same else user, found["password"] if same else None)


def _address(text: str, whole: str) -> Uri:
    """The address a text stands for, which is all of the URI but who logs in."""
    if not whole.startswith(_PATHS):
        if _SCHEME.match(whole):
            raise UriError(f"expected no scheme but {EXPECTED}")
        if text == whole and "@" in text:
            raise UriError("expected the name of a user and the place of a server around the @")
    address = UnixUri(text) if text.startswith("/") else uri.parse(text)
    if isinstance(address, UnixUri):
        return uri.parse(str(address))
    if text.startswith("*:"):
        raise UriError("expected a host to connect to; * is every address of the one that listens")
    if address.port == 0:
        raise UriError(_PORT)
    return address


def _shown(text: str) -> str:
    """What an error may show of a text."""
    found = None if text.startswith(_PATHS) else _HARMLESS.match(text)
    return f"{found[0]}..." if found else text


def local(run_dir: str | None, name: str | None, user: str | None = None) -> Target:
    """The console of the server that runs in a run directory; ClientError when none does."""
    if user is not None:
        raise ClientError("--user: a console takes no user, who reaches it is admin; give a URI")
    try:
        folder = Path(run_dir) if run_dir else places.run_dir(name or places.DEFAULT_NAME)
    except OSError as error:
        raise ClientError(f"no run directory: {error}; give --run-dir or a URI") from None
    path = folder.absolute() / places.CONSOLE_FILE
    if path.is_socket():
        return Target(UnixUri(str(path)), user)
    consoles = _consoles(folder)
    if consoles is None:
        raise ClientError(f"no server runs in {folder}; give --run-dir, --name or a URI")
    if not consoles:
        raise ClientError(f"the server that runs in {folder} has no console")
    return Target(parse(consoles[0]).address, user)


def _consoles(folder: Path) -> list[str] | None:
    """URIs of the consoles that a running server has written down; None without a server."""
    try:
        state = json.loads((folder / places.STATE_FILE).read_text())
    except (OSError, ValueError):
        return None
    consoles = state.get("consoles") if isinstance(state, dict) else None
    return [one for one in consoles or () if isinstance(one, str)]
