"""A server under load, churn and faults for minutes; ``python -m tests.soak`` checks it all."""
