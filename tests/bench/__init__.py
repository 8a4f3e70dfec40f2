"""The bench: bytes, figures, tables, and the load generator against servers made wrong."""
