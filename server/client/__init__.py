"""The client ``beespace connect``: a terminal, or a script, at a console or binary port.

Only :mod:`server.client.connect` is called from outside. README.md in ``server/`` draws the parts.
"""
