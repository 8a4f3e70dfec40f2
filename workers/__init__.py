"""The data plane: one process a core, a Python shell around LuaJIT, which serves every request."""
