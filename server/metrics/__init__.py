"""Metrics and health over HTTP: a process of its own, which only reads the segment."""
