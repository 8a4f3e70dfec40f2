"""The echo server as a process: ``python -m bench.echo REQUEST_BYTES ANSWER_HEX``.

Started by ``bench.targets``. Listens on a free port of 127.0.0.1, prints the port, and serves until
its standard input ends, so it cannot outlive who started it.
"""

from __future__ import annotations

import signal
import socket
import sys

from bench import lua, packets

GREETING = b"echo, the ceiling of this machine".ljust(packets.GREETING_SIZE - 1) + b"\n"


def main(arguments: list[str]) -> None:
    """Serve; the arguments are the size of a request and the answer in hex."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    size, answer = int(arguments[0]), bytes.fromhex(arguments[1])
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as listener:
        listener.setblocking(False)
        print(listener.getsockname()[1], flush=True)
        echo = lua.load(lua.runtime(), "echo.lua")
        stop = sys.stdin.fileno()
        lua.call(echo[b"serve"], listener.fileno(), stop, size, answer, GREETING)


if __name__ == "__main__":
    main(sys.argv[1:])
