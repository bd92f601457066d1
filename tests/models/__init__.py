"""Models: loading, features, decoding."""
