"""The scenarios of ``python -m bench run``, one module each."""
