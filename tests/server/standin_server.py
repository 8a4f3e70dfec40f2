"""``beespace`` with stand-in workers: the same command line, run by tests as a script."""

from __future__ import annotations

import functools

from server import cli, supervisor

if __name__ == "__main__":
    supervisor.Supervisor = functools.partial(  # type: ignore[misc, assignment]
        supervisor.Supervisor, worker_module="tests.server.standin_worker"
    )
    cli.main()
