"""What came of asking a teacher about one image."""

from collections.abc import Callable
from dataclasses import dataclass

from leaml.records import ImageId


@dataclass(frozen=True)
class Described:
    """One image's caption, or why there is none.

    Attributes:
        image_id: The image.
        text: The caption; empty where there is none.
        error: The reason, in the server's own words where it gave any.
        silent: Whether the server was out of reach, broken or busy to the last.
    """

    image_id: ImageId
    text: str = ""
    error: str = ""
    silent: bool = False


Keep = Callable[[Described], None]
"""Keeps a caption for good. Called from several threads, as soon as a caption has arrived."""
