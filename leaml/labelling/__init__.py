"""Which question a person is asked next, what a model suggests, and an expert simulated from reference answers."""
