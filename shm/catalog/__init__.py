"""The catalog: users, roles, privileges and functions, in one SQLite file that outlives the server.

The supervisor makes and migrates it and applies the settings' credentials; every worker has it
open, loads it as a snapshot and changes it, one transaction an operation. Nothing here knows of
processes, Lua or the segment: whoever changes the catalog tells the others afterwards.
"""
