"""Captions of a model on this computer."""

from dataclasses import replace

from leaml.config import BUNDLED_MODEL
from leaml.teacher.book import FAILURES_FILE, read_lines
from leaml.teacher.config import TeacherConfig
from tests.teacher.servers import ask


def test_a_local_model_describes_in_batches(pictures, tmp_path):
    config = TeacherConfig("local", BUNDLED_MODEL, prompt="Describe the image.", max_tokens=12, batch_size=4)
    found = ask(config, pictures, tmp_path)
    assert [caption.image_id for caption in found] == list(pictures)
    assert all(caption.text and caption.teacher == "leaml-mini at this computer" for caption in found)
    one_by_one = ask(replace(config, batch_size=1), pictures, tmp_path / "other")
    assert [caption.text for caption in one_by_one] == [caption.text for caption in found]


def test_a_local_model_goes_on_after_a_broken_image(pictures, tmp_path):
    broken = next(iter(pictures))
    pictures[broken].write_bytes(b"no picture")
    config = TeacherConfig("local", BUNDLED_MODEL, max_tokens=4, failure_share=0.2)
    assert len(ask(config, pictures, tmp_path)) == 5
    (failure,) = read_lines(tmp_path / "output" / FAILURES_FILE)
    assert failure["image"] == broken and "Cannot read the image" in failure["error"]
