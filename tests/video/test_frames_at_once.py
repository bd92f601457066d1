"""Two people open the same clip at the same time, each in a thread of one process."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest
from PIL import Image

from leaml.data import video
from leaml.data.video import FRAMES, frame_files, read_frames
from tests.video.test_frames import clip


def test_both_get_its_frames(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    both, path = Barrier(2), clip(tmp_path / "a.mp4")

    def read(file: Path) -> list[Image.Image]:
        frames = read_frames(file)
        both.wait(20)
        return frames

    monkeypatch.setattr(video, "read_frames", read)
    with ThreadPoolExecutor(2) as people:
        one, other = people.map(frame_files, [path, path])
    assert one == other and len(one) == FRAMES
    assert sorted(found.name for found in tmp_path.iterdir()) == ["a.frames", "a.mp4"]
