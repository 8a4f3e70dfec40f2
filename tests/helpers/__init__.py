"""What several test files share; every helper says in its header who uses it."""
