"""Models whose linear weights have 4 or 8 bits: close to the whole model, smaller, and refused without bitsandbytes."""

import importlib.util

import pytest
import torch
from PIL import Image

from leaml.config import BUNDLED_MODEL
from leaml.errors import ModelError
from leaml.estimate import facts_here, reading_bytes
from leaml.models.backbone import load
from leaml.records import ImageId
from leaml.teacher.config import TeacherConfig
from leaml.teacher.local import describe_locally
from tests.conftest import draw


@pytest.mark.parametrize(("bits", "nearest"), [(8, 0.99), (4, 0.9)])
@torch.inference_mode()
def test_quantised_weights_say_nearly_the_same_and_take_less(bits, nearest, tmp_path):
    draw(tmp_path / "a.png", 0)
    whole, small = load(BUNDLED_MODEL, device="cpu"), load(BUNDLED_MODEL, device="cpu", bits=bits)
    picture = Image.open(tmp_path / "a.png").convert("RGB")
    seen = [backbone.encode([picture])[0].features for backbone in (whole, small)]
    assert torch.cosine_similarity(*seen, dim=-1).mean() > nearest
    tokens = torch.arange(100, 120)[None]
    logits = [backbone.model(input_ids=tokens).logits for backbone in (whole, small)]
    assert torch.cosine_similarity(*logits, dim=-1).mean() > nearest
    assert small.model.get_memory_footprint() < 0.7 * whole.model.get_memory_footprint()
    assert whole.vision_hash != small.vision_hash, "their features must not share a cache"


@pytest.mark.parametrize("bits", [4, 8])
def test_a_quantised_teacher_writes_captions(bits, tmp_path):
    images = {}
    for number in range(3):
        draw(tmp_path / f"{number}.png", number)
        images[ImageId(f"{number}")] = tmp_path / f"{number}.png"
    config = TeacherConfig("local", BUNDLED_MODEL, bits=bits, batch_size=2, max_tokens=8)
    found = list(describe_locally(config, images, keep=lambda _: None, cache=tmp_path / "cache"))
    assert [row.image_id for row in found] == list(images) and all(row.text for row in found)


def test_without_bitsandbytes_it_is_named(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ModelError, match=r"Weights of 4 bits need the package bitsandbytes\. Install it: pip install"):
        load(BUNDLED_MODEL, device="cpu", bits=4)


def test_a_teacher_that_does_not_fit_is_refused_before_its_weights_are_read(tmp_path, monkeypatch):
    monkeypatch.setattr("leaml.teacher.local.load", lambda *_, **__: pytest.fail("its weights were read"))
    whole, small = (reading_bytes(facts_here(BUNDLED_MODEL), bits=bits) for bits in (None, 4))
    memory = {"bytes": int((whole + small) / 2 / 0.9)}
    monkeypatch.setattr("leaml.estimate._memory_bytes", lambda _: memory["bytes"])

    def describe(bits):
        config = TeacherConfig("local", BUNDLED_MODEL, bits=bits)
        return list(describe_locally(config, {}, keep=lambda _: None, cache=tmp_path / "cache"))

    with pytest.raises(ModelError, match=r"needs about 1\.1 GB .* may use 1\.1 GB here\. With weights of 16 bits"):
        describe(None)
    memory["bytes"] = 2**30
    with pytest.raises(ModelError, match=r"may use 0\.9 GB here\. Run it on a larger computer, or serve it there"):
        describe(4)
