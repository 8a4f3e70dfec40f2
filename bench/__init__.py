"""Benchmarks: how fast and how small a server is, beside others on the same machine.

``python -m bench run`` measures one scenario, ``compare`` the grid whose bars the project keeps,
``idle`` the memory of sessions that do nothing. README.md explains every figure.

    cli -> targets   starts and stops the servers
        -> rounds    takes turns   -> client   one round   -> load.lua   the traffic
        -> bars, report            what the figures mean, how they are shown
"""
