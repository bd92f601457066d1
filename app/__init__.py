"""The browser app: one module a screen, built on the public names of `leaml`. Loads no torch."""
