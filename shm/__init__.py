"""What both planes agree on: memory, words of command, the form of a log line.

``server`` (which starts, watches and reports) and ``workers`` (which serve requests) never import
each other. Everything they share is here, and nothing here imports either of them.
"""
