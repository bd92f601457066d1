"""The store: every table, the queue, the chain of decisions."""
