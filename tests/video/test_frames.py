"""Frames of clips that PyAV made: which ones, kept how, shown to a model, and files that are none."""

import shutil
import struct
from fractions import Fraction

import av
import numpy as np
import pytest
from PIL import Image

from leaml.data.images import image_row
from leaml.data.items import copy_item, open_pictures, read_item
from leaml.data.video import FRAMES, frame_files, is_video, read_clip, read_frames
from leaml.errors import ImportDataError
from leaml.models.backbone import load
from leaml.models.decoding import greedy, prefill
from leaml.models.features import ImageFeatures
from tests.backbones.tiny import make

STEP = 5
"""Grey levels from one frame to the next: a frame's brightness is its number."""


def clip(path, frames=40, times=None, sound=False, codec="mpeg4", size=(64, 48)):
    """Write a clip whose frame n has the brightness n * STEP, at equal or at given times (1/100 s)."""
    with av.open(str(path), "w") as container:
        if frames:
            stream = container.add_stream(codec, rate=25)
            stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
            stream.gop_size = 12
            stream.bit_rate = 2_000_000
            if times:
                stream.codec_context.time_base = stream.time_base = Fraction(1, 100)
        voice = container.add_stream("aac", rate=16000) if sound else None
        for number in range(frames):
            picture = np.full((size[1], size[0], 3), min(255, number * STEP), np.uint8)
            frame = av.VideoFrame.from_ndarray(picture, "rgb24")
            if times:
                frame.pts, frame.time_base = times[number], Fraction(1, 100)
            container.mux(stream.encode(frame))
        if frames:
            container.mux(stream.encode())
        if voice:
            for number in range(20):
                part = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
                part.sample_rate, part.pts = 16000, 1024 * number
                container.mux(voice.encode(part))
            container.mux(voice.encode())
    return path


def numbers(pictures):
    return [round(float(np.asarray(picture).mean()) / STEP) for picture in pictures]


def test_frames_are_in_the_middles_of_equal_spans(tmp_path):
    pictures = read_frames(clip(tmp_path / "a.mp4", 40))
    assert numbers(pictures) == [2, 7, 12, 17, 22, 27, 32, 37] and len(pictures) == FRAMES
    assert {(picture.mode, picture.size) for picture in pictures} == {("RGB", (64, 48))}
    assert numbers(read_frames(tmp_path / "a.mp4", count=2)) == [10, 30]


@pytest.mark.parametrize("ending", ["mkv", "avi", "mov", "m4v"])
def test_other_containers(tmp_path, ending):
    assert is_video(tmp_path / f"a.{ending.upper()}")
    assert numbers(read_frames(clip(tmp_path / f"a.{ending}", 40))) == [2, 7, 12, 17, 22, 27, 32, 37]


def test_a_short_clip_gives_all_its_frames(tmp_path):
    assert numbers(read_frames(clip(tmp_path / "a.mp4", 3))) == [0, 1, 2]
    assert numbers(read_frames(clip(tmp_path / "b.mp4", 1))) == [0]


def test_where_the_rate_varies_frames_are_uniform_in_time(tmp_path):
    """Ten frames in the first tenth of a second, then one a second."""
    times = [*range(10), *(100 * second for second in range(1, 21))]
    pictures = read_frames(clip(tmp_path / "a.mkv", 30, times), count=4)
    seconds = [times[number] / 100 for number in numbers(pictures)]
    assert seconds == [2, 7, 12, 17]


def test_sound_beside_pictures_is_left_alone(tmp_path):
    assert numbers(read_frames(clip(tmp_path / "a.mp4", 40, sound=True), count=2)) == [10, 30]


def turned(path, matrix):
    """Write a matrix, 16.16 and last 2.30, into the header of a clip's only track, as phones do."""
    content = bytearray(path.read_bytes())
    start = content.index(b"tkhd") + 4 + 40  # version 0: flags, times, number, length, reserved, layer, volume
    content[start : start + 36] = struct.pack(">9i", *(round(v * 2 ** (30 if n % 3 == 2 else 16)) for n, v in matrix))
    path.write_bytes(content)


QUARTER = [0, 1, 0, -1, 0, 0, 0, 0, 1]
"""Show it turned by 90 degrees clockwise: what players do with a phone's upright clip."""


@pytest.mark.parametrize(
    ("matrix", "size", "red", "blue"),
    [
        (QUARTER, (48, 64), (24, 8), (24, 56)),
        ([0, -1, 0, 1, 0, 0, 0, 0, 1], (48, 64), (24, 56), (24, 8)),
        ([-1, 0, 0, 0, -1, 0, 0, 0, 1], (64, 48), (56, 24), (8, 24)),
        ([1, 0, 0, 0, 1, 0, 0, 0, 1], (64, 48), (8, 24), (56, 24)),
    ],
)
def test_a_phones_clip_is_shown_upright(tmp_path, matrix, size, red, blue):
    path = tmp_path / "a.mp4"
    picture = np.zeros((48, 64, 3), np.uint8)
    picture[:, :32, 0] = picture[:, 32:, 2] = 255
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt, stream.bit_rate = 64, 48, "yuv420p", 2_000_000
        for _ in range(30):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
        container.mux(stream.encode())
    turned(path, enumerate(matrix))
    for frame in read_frames(path):
        assert frame.size == size
        assert np.argmax(frame.getpixel(red)) == 0 and np.argmax(frame.getpixel(blue)) == 2
    assert read_clip(path).width == size[0]


def refused(path, sentence):
    with pytest.raises(ImportDataError, match=sentence):
        read_frames(path)


def test_files_that_are_no_clips(tmp_path):
    refused(tmp_path / "none.mp4", r"none\.mp4 does not exist\. Check the folder\.")
    (tmp_path / "empty.mp4").touch()
    refused(tmp_path / "empty.mp4", r"empty\.mp4 is empty \(0 bytes\)\. Copy it again\.")
    (tmp_path / "text.mp4").write_text("not a video " * 100)
    refused(tmp_path / "text.mp4", r"Cannot read the video text\.mp4: .*Convert it to MP4")


def test_sound_alone(tmp_path):
    refused(clip(tmp_path / "a.mp4", 0, sound=True), r"a\.mp4 holds sound, but no pictures\. Choose another file\.")


def test_a_clip_without_frames(tmp_path):
    with av.open(str(tmp_path / "a.avi"), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        container.start_encoding()
    refused(tmp_path / "a.avi", r"a\.avi (holds no frame|: )|Cannot read the video a\.avi")


@pytest.mark.parametrize("share", [0.3, 0.6])
def test_a_clip_that_was_cut_off(tmp_path, share):
    """The index of an MP4 is at its end."""
    content = clip(tmp_path / "whole.mp4", 40).read_bytes()
    (tmp_path / "a.mp4").write_bytes(content[: int(share * len(content))])
    refused(tmp_path / "a.mp4", r"Cannot read the video a\.mp4: .*Convert it to MP4")


def test_pictures_that_are_overwritten(tmp_path):
    """The index is whole, what it points at is not."""
    content = bytearray(clip(tmp_path / "whole.mp4", 40).read_bytes())
    start = content.index(b"mdat") + 4
    content[start : start + 9 * (content.index(b"moov") - start) // 10] = bytes(
        9 * (content.index(b"moov") - start) // 10
    )
    (tmp_path / "a.mp4").write_bytes(content)
    refused(tmp_path / "a.mp4", r"(Cannot read the video a\.mp4: |a\.mp4 breaks off: ).*Convert it to MP4")


def test_frames_are_decoded_once_and_kept_exactly(tmp_path, monkeypatch):
    path = clip(tmp_path / "a.mp4", 40)
    fresh = read_frames(path)
    first = open_pictures(path)
    monkeypatch.setattr("leaml.data.video.read_frames", lambda *_, **__: pytest.fail("decoded again"))
    again = open_pictures(path)
    kept = [[np.asarray(one).tobytes() for one in frames] for frames in (fresh, first, again)]
    assert kept[0] == kept[1] == kept[2]
    assert {entry.name for entry in tmp_path.iterdir()} == {"a.mp4", "a.frames"}


def test_frames_that_are_missing_or_damaged_are_made_anew_by_importing_again(tmp_path):
    item = read_item(clip(tmp_path / "a.mp4", 20))
    (tmp_path / "images").mkdir()
    row = image_row(item, name="a.mp4", group="g", split="pool")
    copy_item(item, tmp_path, row)
    copy = tmp_path / row.path
    whole = [file.read_bytes() for file in frame_files(copy)]
    frames = frame_files(copy)
    for damage in (
        frames[-1].unlink,
        lambda: frames[2].write_bytes(whole[2][:50]),
        lambda: shutil.copy(frames[0], copy),  # and the frames may have been made of what was there
    ):
        damage()
        copy_item(item, tmp_path, row)
        assert [file.read_bytes() for file in frame_files(copy)] == whole
    for file in frames:
        file.unlink()
    assert [file.read_bytes() for file in frame_files(copy)] == whole, "without a frame there is nothing to be shown"


def test_frames_that_cannot_be_kept_leave_nothing(tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full)
    with pytest.raises(ImportDataError, match=r"Cannot keep the frames of a\.mp4: .*No space left.*Free some disk"):
        frame_files(clip(tmp_path / "a.mp4", 40))
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.mp4"]


@pytest.mark.parametrize("family", ["qwen2_vl", "smolvlm"])
def test_a_model_is_shown_a_clip_as_several_images(family, tmp_path, monkeypatch):
    backbone = load(str(make(family, tmp_path / "model")), device="cpu")
    path = clip(tmp_path / "a.mp4", 40)
    features = ImageFeatures(backbone, tmp_path / "cache")
    features.add({"a": path})
    (seen,) = features.batch(["a"])
    fresh = backbone.encode(read_frames(path))
    assert len(seen) == FRAMES and [image.place for image in seen] == [image.place for image in fresh]
    assert all(np.array_equal(one.features, other.features) for one, other in zip(seen, fresh, strict=True))
    ids = backbone.prompt_ids("What happens?", seen)
    assert ids.count(backbone.vision.token_id) == sum(len(image.features) for image in seen)
    still = ImageFeatures(backbone, tmp_path / "cache")
    monkeypatch.setattr(backbone.vision, "encode", lambda pictures: pytest.fail("encoded again"))
    still.add({"a": path})
    texts = [
        greedy(backbone, prefill(backbone, ["What?"], f.batch(["a"])), max_new_tokens=4) for f in (features, still)
    ]
    assert texts[0] == texts[1]
