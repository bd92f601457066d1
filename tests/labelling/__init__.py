"""Label order, suggestions, the simulated expert."""
