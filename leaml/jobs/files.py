"""Files that are there whole or not at all, after a power cut and on a full disk, too."""

import errno
import json
import os
from pathlib import Path


def write_json(path: Path, value: object) -> None:
    """Write a JSON file aside, then rename it; a disk that does not take it keeps the former one and nothing aside."""
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        aside.write_text(json.dumps(value, indent=1))
        sync(aside)
        aside.replace(path)
        sync(path.parent)
    except OSError:
        aside.unlink(missing_ok=True)
        raise


def sync(path: Path) -> None:
    """Wait until a file's content, or the names in a folder, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # some network disks cannot be asked this of a folder
            raise
    finally:
        os.close(descriptor)
