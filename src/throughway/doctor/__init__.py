"""From evidence to the root cause: source -> Evidence -> parser -> Fact -> rule -> Finding."""
