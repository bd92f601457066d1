"""`python -m leaml`."""

from leaml.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
