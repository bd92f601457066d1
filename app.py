"""`python app.py --host --port --workspace`: LEAML Studio in the browser."""

import sys

from app.settings import parse_settings, set_environment
from leaml.errors import LeamlError
from leaml.store.workspace import keep_private


def main(argv: list[str]) -> int:
    """Serve the app until it is stopped; return 2 where it cannot start."""
    try:
        set_environment(settings := parse_settings(argv))
        keep_private()
        from app.main import serve  # Gradio reads the environment when it is imported.

        serve(settings, argv)
    except LeamlError as error:
        print(f"LEAML Studio cannot start: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
