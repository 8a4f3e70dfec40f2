"""The run directory: who runs here, and what a killed server left behind.

    server.pid     the supervisor's process id; locked (flock) for as long as it lives
    server.json    {pid, segment, sockets, control, commands}: what must not outlive the server;
                   {consoles}: URIs of its consoles, once they are open; and {name, catalog},
                   for who looks at the server from outside
    control.sock   the way in for the server's own user, see server.listeners
    console.sock   the same for a console, unless the settings name others
    supervisor.sock  where the supervisor takes commands, see server.desk

The supervisor opens it first and closes it last. Whoever holds the lock owns everything that
server.json names: if there is such a file when the lock was free, its writer was killed, and its
leftovers are removed.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import secrets
import stat
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from server.errors import ServerError
from server.places import COMMAND_FILE, CONSOLE_FILE, STATE_FILE
from shm import segment

PID_FILE: Final = "server.pid"
CONTROL_FILE: Final = "control.sock"
SEGMENT_PREFIX: Final = "beespace-"


class RunDir:
    """The locked run directory of one running server."""

    def __init__(self, path: Path, lock: int, name: str) -> None:
        self.path = path
        self.control_path = str(path / CONTROL_FILE)
        self.console_path = str(path / CONSOLE_FILE)
        self.command_path = str(path / COMMAND_FILE)
        self._lock = lock
        # The random part keeps a late clean-up of a killed server, which goes by name (the
        # resource tracker's, for one), away from the segment of the next one.
        folder = hashlib.sha256(os.fsencode(path)).hexdigest()[:8]
        self.segment_name = f"{SEGMENT_PREFIX}{name}-{folder}-{secrets.token_hex(3)}"

    @classmethod
    def open(cls, path: Path, name: str) -> RunDir:
        """Lock an existing directory; ServerError when another server runs there."""
        try:
            lock = os.open(path / PID_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise _refused("process.run_dir", path, error.strerror) from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            pid = os.pread(lock, 32, 0).decode("ascii", "replace").strip() or "unknown"
            os.close(lock)
            raise ServerError(
                f"process.run_dir: got {str(path)!r}, expected a folder without a running server: "
                f"process {pid} runs there"
            ) from None
        if _inode(path / PID_FILE) != os.fstat(lock).st_ino:
            # The server that ran there removed the file between our two steps.
            os.close(lock)
            return cls.open(path, name)
        try:
            os.ftruncate(lock, 0)
            os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
        except OSError as error:
            os.close(lock)
            raise _refused("process.run_dir", path, error.strerror) from error
        return cls(path, lock, name)

    def remove_leftovers(self, answers: Callable[[str], bool]) -> list[str]:
        """Remove what a killed server left; the names of what was there.

        ``answers`` tells whether somebody listens at the path of a unix socket: then another server
        has taken the path over, and it stays.
        """
        state = read(self.path)
        found = []
        name = state.get("segment")
        if isinstance(name, str) and name.startswith(SEGMENT_PREFIX) and "/" not in name:
            file = segment.SHM_DIR / name
            if file.exists():
                file.unlink(missing_ok=True)
                found.append(f"segment {name}")
        for socket in (*state.get("sockets", ()), state.get("control"), state.get("commands")):
            if isinstance(socket, str) and Path(socket).is_socket() and not answers(socket):
                Path(socket).unlink(missing_ok=True)
                found.append(f"socket {socket}")
        (self.path / STATE_FILE).unlink(missing_ok=True)
        return found

    def record(self, sockets: Sequence[str], consoles: Sequence[str] = (), **facts: str) -> None:
        """Write down what a successor has to remove if this server is killed, and the consoles.

        ``facts`` are for others to read. ServerError when that cannot be written.
        """
        state = {
            "pid": os.getpid(),
            "segment": self.segment_name,
            "sockets": list(sockets),
            "control": self.control_path,
            "commands": self.command_path,
            "consoles": list(consoles),
            **facts,
        }
        draft = self.path / f"{STATE_FILE}.new"
        try:
            draft.touch(0o600)
            draft.write_text(json.dumps(state) + "\n")
            draft.replace(self.path / STATE_FILE)
        except OSError as error:
            raise _refused("process.run_dir", self.path, error.strerror) from error

    def close(self) -> None:
        """Remove the files and give the directory free."""
        (self.path / STATE_FILE).unlink(missing_ok=True)
        (self.path / PID_FILE).unlink(missing_ok=True)
        os.close(self._lock)


def read(path: Path) -> dict[str, Any]:
    """What server.json of a run directory holds; nothing when it cannot be read."""
    try:
        state = json.loads((path / STATE_FILE).read_text())
    except (OSError, ValueError):
        return {}
    return state if isinstance(state, dict) else {}


def denial(path: Path) -> str | None:
    """Why this user may not know what runs in ``path``, in the system's words; None if it may."""
    try:
        (path / STATE_FILE).open("rb").close()
    except PermissionError as error:
        return error.strerror
    except OSError:
        return None
    return None


def _inode(path: Path) -> int | None:
    try:
        return path.stat().st_ino
    except OSError:
        return None


def make_private(path: Path, key: str, chosen: bool) -> None:
    """Make a directory that only this user may enter, with what is missing above it.

    A directory that the user chose is taken as it is if it can be written. One that we chose must
    not be open to other users: under /tmp somebody may have prepared it for us. ServerError, which
    names the setting ``key``, when the directory cannot be used.
    """
    try:
        missing = [folder for folder in (path, *path.parents) if not folder.exists()]
        for folder in reversed(missing):
            folder.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise _refused(key, path, error.strerror) from error
    if not path.is_dir():
        raise _refused(key, path, "not a folder")
    if not os.access(path, os.W_OK | os.X_OK):
        raise _refused(key, path, "it cannot be written")
    if not chosen:
        _check_owners(key, path)


def _check_owners(key: str, path: Path) -> None:
    for folder in (path, *path.parents):
        state = folder.stat(follow_symlinks=False)
        if state.st_uid not in (0, os.geteuid()):
            raise _refused(key, path, f"{folder} belongs to user {state.st_uid}")
        # A folder everybody may write to, like /tmp, is safe to have above us when it is sticky:
        # then nobody can swap what is ours in it.
        sticky = state.st_mode & stat.S_ISVTX and folder != path
        link = stat.S_ISLNK(state.st_mode)
        if state.st_mode & stat.S_IWOTH and not sticky and not link:
            raise _refused(key, path, f"every user may write to {folder}")


def _refused(key: str, path: Path, reason: str | None) -> ServerError:
    return ServerError(f"{key}: got {str(path)!r}, expected a private folder: {reason}")
