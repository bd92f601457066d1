"""Training: losses, what moves, the loop."""
