"""Broken packets by the thousand; ``python -m tests.fuzz`` runs for as long as wanted."""
