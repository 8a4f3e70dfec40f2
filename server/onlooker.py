"""Looking at a server from outside: found by its run directory, read from its segment.

    Onlooker(run directory) --> snapshot(), census(), users()

The server is asked nothing and notices nothing, so this works while it hangs, and when all of it is
stopped. ``server.cli`` is the caller.
"""

from __future__ import annotations

from pathlib import Path
from typing import Self

from server import monitor, rundir, snapshot
from server.errors import ExitStatus, ServerError
from server.snapshot import Snapshot
from server.users import Users
from shm import segment as segments
from shm.census import Census, Moment
from shm.filters import Filter
from shm.segment import Segment, SegmentError


class Onlooker:
    """The server that runs in ``place``; ServerError with exit code NOT_RUNNING when none does,
    with FAILED when this user may not know.
    """

    def __init__(self, place: Path) -> None:
        self.place = place
        state = rundir.read(place)
        pid, name = state.get("pid"), state.get("segment")
        if reason := rundir.denial(place):
            raise ServerError(f"cannot look at the server in {place}: {reason}")
        if not isinstance(pid, int) or not isinstance(name, str) or "/" in name:
            raise self._absent()
        self._pid = pid
        self.name = str(state.get("name", ""))
        self._file = segments.SHM_DIR / name
        self.check()
        try:
            self.segment = Segment.look(name)
        except SegmentError as error:
            raise ServerError(f"the server in {place} (process {self._pid}): {error}") from None
        self._users = Users(self.segment, Path(str(state.get("catalog", ""))))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the segment."""
        self.segment.close()

    def check(self) -> None:
        """ServerError with exit code NOT_RUNNING when the server is not there any more."""
        if not monitor.has_mapped(self._pid, self._file):
            raise self._absent()

    def snapshot(self, *, processes: bool = True, sessions: Filter | None = None) -> Snapshot:
        """The server now, with the sessions that a filter wants."""
        self.check()
        now = Moment.now()
        listed = () if sessions is None else tuple(self.census().sessions(sessions, now))
        return snapshot.take(self.segment, self.name, processes=processes, sessions=listed, now=now)

    def census(self) -> Census:
        """The table of sessions, with names of users."""
        return Census(self.segment, self.users())

    def users(self) -> dict[int, str]:
        """Names of users by id; those known last if the catalog is not there."""
        return self._users.names()

    def _absent(self) -> ServerError:
        return ServerError(
            f"no server runs in {self.place}; give --run-dir or --name",
            exit_code=ExitStatus.NOT_RUNNING,
        )
