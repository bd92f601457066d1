"""A server's key: read when it is needed, from where the settings say, and never written anywhere."""

import os
from pathlib import Path

from leaml.errors import ConfigError
from leaml.teacher.config import TeacherConfig


def read_key(config: TeacherConfig) -> str:
    """Return the server's key; empty where the settings name none.

    Raises:
        ConfigError: If it is not there, or cannot be a key. The message never shows it.
    """
    if config.key_env:
        place, key = f"The environment variable {config.key_env}", os.environ.get(config.key_env, "").strip()
    elif config.key_file:
        place, key = f"The file {config.key_file}", _content(config.key_file)
    else:
        return ""
    if not key:
        raise ConfigError(f"{place} holds no key for {config.host}. Put it there and start again.")
    # An HTTP library would name the whole header in its error.
    if not (key.isascii() and key.isprintable() and " " not in key):
        raise ConfigError(
            f"{place} holds no usable key: it has blanks, line breaks or letters outside ASCII. Check it."
        )
    return key


def without_key(text: str, key: str) -> str:
    """Return what a server said without its key, which some servers repeat."""
    return text.replace(key, "[key]") if key else text


def _content(file: str) -> str:
    try:
        return Path(file).expanduser().read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise ConfigError(f"Cannot read the key from {file}: {reason}. Check key_file.") from None
