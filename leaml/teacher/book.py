"""The captions that one teacher gave to one prompt: JSON lines in the workspace's cache, on the disk at once.

They outlive a killed run, and belong to no run: whichever asks next does not ask for them again. One run of a workspace
has its turn at a time, so one process writes.
"""

import hashlib
import json
import os
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from leaml.records import Caption, ImageId
from leaml.teacher.config import TeacherConfig
from leaml.teacher.described import Described

FAILURES_FILE = "caption_failures.jsonl"
"""In a run's output: the images without a caption, and why."""


class CaptionBook:
    """All captions of one teacher and prompt. Safe to share by threads."""

    def __init__(self, cache: Path, config: TeacherConfig) -> None:
        """Use the file of this teacher and prompt, below the directory `cache`."""
        self._teacher, self._prompt = config.name, config.prompt
        name = hashlib.sha256(json.dumps([config.name, config.prompt]).encode()).hexdigest()[:16]
        self._path = cache / "captions" / f"{name}.jsonl"
        self._writing = threading.Lock()

    def captions(self) -> dict[ImageId, Caption]:
        """Return what was kept; half a line, cut by a power failure or a full disk, is left out."""
        found = {}
        for line in read_lines(self._path):
            image_id, at = ImageId(line["image"]), datetime.fromisoformat(line["at"])
            found[image_id] = Caption(image_id, line["text"], self._teacher, self._prompt, at)
        return found

    def keep(self, described: Described) -> None:
        """Write one caption to the disk."""
        at = datetime.now(UTC).isoformat()
        with self._writing:
            append_line(self._path, {"image": described.image_id, "text": described.text, "at": at})


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Return the whole JSON lines of a file; none where there is no file."""
    try:
        lines = path.read_bytes().split(b"\n")
    except FileNotFoundError:
        return []
    found = []
    for line in lines:
        try:
            found.append(json.loads(line))
        except ValueError:
            continue
    return found


def append_line(path: Path, value: dict[str, Any]) -> None:
    """Append one JSON line and wait until it is on the disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        # A line that was cut short must not swallow this one; readers pass over an empty line.
        file.write(b"\n" + json.dumps(value).encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())
