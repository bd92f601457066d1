"""Frames of a video clip, uniform in time, decoded once and kept; a model is shown them as several images.

Not covered: sound, subtitles, and models' own ways to read videos.
"""

import os
import shutil
from bisect import bisect_right
from pathlib import Path
from typing import Any

from PIL import Image

from leaml.errors import ImportDataError

FILE_ENDINGS = frozenset({".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi"})
FRAMES = 8
CONVERT = "Convert it to MP4 (H.264) and try again."


def is_video(path: Path) -> bool:
    """Tell whether a file's ending is that of a video."""
    return path.suffix.lower() in FILE_ENDINGS


def kept_frames(path: Path, folder: Path, *, count: int = FRAMES) -> list[Image.Image]:
    """Return a clip's frames as `read_frames` does, from the folder where they were kept the first time.

    Args:
        path: The clip.
        folder: Of this clip alone; it is made by the first reading, whole or not at all.
        count: How many frames.

    Raises:
        ImportDataError: If the clip cannot be read.
    """
    if not folder.exists():
        aside = folder.with_name(f".{folder.name}.{os.getpid()}")
        frames = read_frames(path, count=count)
        try:
            aside.mkdir(parents=True)
            for number, frame in enumerate(frames):
                frame.save(aside / f"{number:03d}.png", compress_level=1)
            aside.rename(folder)
        except OSError as error:
            if not folder.exists():  # another process was quicker
                message = f"Cannot keep the frames of {path.name}: {error}. Free some disk space and try again."
                raise ImportDataError(message) from error
        finally:
            shutil.rmtree(aside, ignore_errors=True)
    return [Image.open(file).convert("RGB") for file in sorted(folder.glob("*.png"))]


def read_frames(path: Path, *, count: int = FRAMES) -> list[Image.Image]:
    """Return a clip's frames in the middles of `count` equal spans of time, in RGB; all frames if there are fewer.

    Where the rate varies, a frame counts for as long as it is shown.

    Raises:
        ImportDataError: If PyAV is not installed, or the file is empty, broken, or without pictures.
    """
    try:
        import av
    except ImportError as error:
        message = "Videos are read by PyAV, which is not installed. Install it: pip install 'leaml-studio[video]'."
        raise ImportDataError(message) from error
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
    from av.stream import Disposition

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
    """Return the frame of a time: from the key frame before it, so that of a long clip only parts are decoded."""
    container.seek(time, stream=stream, backward=True)
    for frame in container.decode(stream):
        if frame.pts is not None and frame.pts >= time:
            picture: Image.Image = frame.to_image()
            return picture
    raise ImportDataError(f"The video {path.name} breaks off: a frame that it announces is not there. {CONVERT}")
