"""Frames of a video clip, uniform in time, decoded once and kept beside it: a model is shown them as several images.

Not covered: sound, subtitles, and models' own ways to read videos.
"""

import hashlib
import os
import shutil
import threading
from bisect import bisect_right
from pathlib import Path
from typing import Any

import av
from av.stream import Disposition
from PIL import Image

from leaml.data.images import Picture, frames_folder, is_whole, to_disk
from leaml.errors import ImportDataError
from leaml.records import ImageId

FILE_ENDINGS = frozenset({".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi"})
FRAMES = 8
CONVERT = "Convert it to MP4 (H.264) and try again."


def is_video(path: Path) -> bool:
    """Tell whether a file's ending is that of a video."""
    return path.suffix.lower() in FILE_ENDINGS


def read_clip(path: Path) -> Picture:
    """Return a clip as the importers take it, with the size of its frames; they are decoded, so that faults show now.

    Raises:
        ImportDataError: If it cannot be read.
    """
    width, height = read_frames(path)[0].size
    with path.open("rb") as file:
        name = hashlib.file_digest(file, "sha256").hexdigest()
    return Picture(ImageId(name), path, path.suffix.lower(), width, height)


def frame_files(path: Path) -> list[Path]:
    """Return the files of a clip's frames, in the order of time, in a folder beside it that the first call makes.

    Raises:
        ImportDataError: If the clip cannot be read, or the disk does not take its frames.
    """
    folder = frames_folder(path)
    if not (kept := sorted(folder.glob("*.png"))):
        aside = folder.with_name(f".{folder.name}.{os.getpid()}.{threading.get_ident()}")
        frames = read_frames(path)
        try:
            aside.mkdir()
            for number, frame in enumerate(frames):
                file = aside / f"{number:03d}.png"
                frame.save(file, compress_level=1)
                to_disk(file)
            aside.rename(folder)
        except OSError as error:
            if not folder.exists():  # somebody else was quicker
                message = f"Cannot keep the frames of {path.name}: {error}. Free some disk space and try again."
                raise ImportDataError(message) from error
        finally:
            shutil.rmtree(aside, ignore_errors=True)
        kept = sorted(folder.glob("*.png"))
    return kept


def discard_damaged(path: Path) -> None:
    """Delete a clip's frames where one is missing or cannot be read, so that `frame_files` makes them anew.

    Raises:
        ImportDataError: If the clip cannot be read.
    """
    folder = frames_folder(path)
    if folder.exists():
        frames = sorted(folder.glob("*.png"))
        if len(frames) != len(read_frames(path)) or not all(map(is_whole, frames)):
            shutil.rmtree(folder, ignore_errors=True)


def read_frames(path: Path, *, count: int = FRAMES) -> list[Image.Image]:
    """Return a clip's frames in the middles of `count` equal spans of time, in RGB; all frames if there are fewer.

    Where the rate varies, a frame counts for as long as it is shown.

    Raises:
        ImportDataError: If the file is empty, broken, or without pictures.
    """
    if not path.exists():
        raise ImportDataError(f"The video {path} does not exist. Check the folder.")
    if path.stat().st_size == 0:
        raise ImportDataError(f"The video {path.name} is empty (0 bytes). Copy it again.")
    try:
        with av.open(str(path)) as container:
            stream = _pictures(container, path)
            chosen = _spread(_times(container, stream, path), count)
            return [_frame_at(container, stream, time, path) for time in chosen]
    except (av.FFmpegError, ValueError) as error:
        raise ImportDataError(f"Cannot read the video {path.name}: {error}. {CONVERT}") from error


def _pictures(container: Any, path: Path) -> Any:
    """Return the stream of pictures; the cover of a piece of music is none."""
    for stream in container.streams.video:
        if not stream.disposition & Disposition.attached_pic:
            return stream
    what = "sound, but no pictures" if container.streams.audio else "no pictures"
    raise ImportDataError(f"The video {path.name} holds {what}. Choose another file.")


def _times(container: Any, stream: Any, path: Path) -> list[int]:
    """Return when each frame is shown, in the stream's units, and at the end when the last one ends."""
    packets = [packet for packet in container.demux(stream) if packet.size]
    times = sorted({packet.pts for packet in packets if packet.pts is not None})
    if not packets or not times:
        why = "holds no frame" if not packets else "does not say when its frames are shown"
        raise ImportDataError(f"The video {path.name} {why}. {CONVERT}")
    usual = (times[-1] - times[0]) // max(1, len(times) - 1)
    last = max((packet.duration or 0 for packet in packets if packet.pts == times[-1]), default=0)
    return [*times, times[-1] + max(1, last or usual)]


def _spread(times: list[int], count: int) -> list[int]:
    """Return the times of the frames that are shown in the middles of equal spans; each frame once."""
    shown, end = times[:-1], times[-1]
    if len(shown) <= count:
        return shown
    middles = [shown[0] + (end - shown[0]) * (2 * span + 1) // (2 * count) for span in range(count)]
    return sorted({shown[bisect_right(shown, middle) - 1] for middle in middles})


def _frame_at(container: Any, stream: Any, time: int, path: Path) -> Image.Image:
    """Return the frame of a time, upright.

    It is decoded from the key frame before it, so that of a long clip only parts are.
    """
    container.seek(time, stream=stream, backward=True)
    for frame in container.decode(stream):
        if frame.pts is not None and frame.pts >= time:
            picture: Image.Image = frame.to_image()
            return picture.rotate(frame.rotation, expand=True)  # phones film lying, and note how they were held
    raise ImportDataError(f"The video {path.name} breaks off: a frame that it announces is not there. {CONVERT}")
