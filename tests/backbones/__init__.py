"""Every family of models, on tiny checkpoints."""
