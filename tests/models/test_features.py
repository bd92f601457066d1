"""The cache of image features: computed once, mapped from disk, bounded, shared by what sees alike."""

import json
import os
from unittest.mock import patch

import numpy as np
import pytest
import torch
from PIL import Image

from leaml.errors import ImportDataError, ModelError
from leaml.labelling.looks import image_vectors
from leaml.models.backbone import load
from leaml.models.features import ImageFeatures
from leaml.records import ImageId
from leaml.teacher.config import TeacherConfig
from leaml.teacher.local import describe
from tests.backbones.tiny import make
from tests.conftest import draw


@pytest.fixture(scope="module")
def deep(tmp_path_factory):
    """A tiny Qwen3-VL: features of several layers, images of any shape."""
    return load(str(make("qwen3_vl", tmp_path_factory.mktemp("model"))), device="cpu")


@pytest.fixture
def counted(deep, monkeypatch):
    """The same model, and a list with an entry for each time that its tower ran."""
    runs, see = [], deep.vision.see
    monkeypatch.setattr(deep.vision, "see", lambda made: runs.append(len(made.places)) or see(made))
    return deep, runs


def same(first, second):
    for one, other in zip(first, second, strict=True):
        assert (one.place, one.grid) == (other.place, other.grid)
        assert torch.equal(one.features, other.features) and torch.equal(one.deep, other.deep)


def test_features_from_disk_are_those_of_the_tower(deep, pictures, tmp_path):
    fresh = {name: deep.encode([Image.open(path).convert("RGB")]) for name, path in pictures.items()}
    for _ in range(2):  # written, then found
        features = ImageFeatures(deep, tmp_path / "cache")
        features.add(pictures)
        for name, seen in zip(pictures, features.batch(pictures), strict=True):
            same(seen, fresh[name])


def test_a_tower_runs_once_an_image_whatever_comes_later(counted, pictures, tmp_path):
    backbone, runs = counted
    for _ in range(2):
        features = ImageFeatures(backbone, tmp_path / "cache")
        features.add(pictures)
        features.add(pictures)
        features.batch(pictures)
    assert runs == [1] * len(pictures)


@pytest.mark.skipif(not os.path.exists("/proc/self/maps"), reason="only Linux says what is mapped")
def test_features_are_mapped_and_not_read(deep, pictures, tmp_path):
    features = ImageFeatures(deep, tmp_path / "cache")
    features.add(pictures)
    kept = features.batch(list(pictures)[:1])
    with open("/proc/self/maps") as maps:
        mapped = maps.read()
    assert str(tmp_path) in mapped and kept


def test_another_tower_or_processor_has_another_cache_and_another_decoder_has_not(deep, tmp_path):
    folder = make("qwen3_vl", tmp_path / "model")
    with torch.no_grad():
        changed = load(str(folder), device="cpu")
        assert changed.vision_hash == deep.vision_hash
        next(iter(changed.decoder_weights().values())).add_(1.0)
        del changed.vision_hash
        assert changed.vision_hash == deep.vision_hash
        changed.model.model.visual.patch_embed.proj.weight.add_(1e-3)
        del changed.vision_hash
        assert changed.vision_hash != deep.vision_hash
    settings = json.loads((folder / "preprocessor_config.json").read_text())
    settings["image_mean"] = [0.1, 0.2, 0.3]
    (folder / "preprocessor_config.json").write_text(json.dumps(settings))
    assert load(str(folder), device="cpu").vision_hash != deep.vision_hash


def test_the_cache_drops_what_was_asked_for_longest_ago(deep, pictures, tmp_path):
    names = list(pictures)
    sizes = {}
    for name in names[:3]:
        ImageFeatures(deep, tmp_path / "cache").add({name: pictures[name]})
        file = next((tmp_path / "cache").glob(f"*/{name}.npy"))
        sizes[name] = file.stat().st_size
        os.utime(file, (1000 + len(sizes), 1000 + len(sizes)))
    ImageFeatures(deep, tmp_path / "cache").add({names[0]: pictures[names[0]]})  # asked for again: now the newest
    limit = sum(sizes.values()) + 100
    ImageFeatures(deep, tmp_path / "cache", limit_bytes=limit).add({names[3]: pictures[names[3]]})
    kept = {path.stem for path in (tmp_path / "cache").glob("*/*.npy")}
    assert kept == {names[0], names[2], names[3]} == {path.stem for path in (tmp_path / "cache").glob("*/*.json")}
    assert sum(path.stat().st_size for path in (tmp_path / "cache").glob("*/*.npy")) <= limit


def test_what_does_not_fit_is_computed_again_and_equal(counted, pictures, tmp_path):
    backbone, runs = counted
    features = ImageFeatures(backbone, tmp_path / "cache", limit_bytes=0)
    features.add(pictures)
    assert not list((tmp_path / "cache").glob("*/*.npy"))
    first, again = features.batch(pictures), features.batch(pictures)
    assert len(runs) == 3 * len(pictures)
    for one, other in zip(first, again, strict=True):
        same(one, other)


def test_features_that_another_process_dropped_are_computed_again(counted, pictures, tmp_path):
    backbone, runs = counted
    features = ImageFeatures(backbone, tmp_path / "cache")
    features.add(pictures)
    before = features.batch(pictures)
    for path in (tmp_path / "cache").glob("*/*.npy"):
        path.unlink()
    for one, other in zip(before, features.batch(pictures), strict=True):
        same(one, other)
    assert len(runs) == 2 * len(pictures) and len(list((tmp_path / "cache").glob("*/*.npy"))) == len(pictures)


@pytest.mark.parametrize("ending", [".json", ".npy"])
@pytest.mark.parametrize("share", [0, 0.1, 0.7])
def test_features_whose_file_is_cut_off_are_computed_again(counted, pictures, tmp_path, ending, share):
    backbone, runs = counted
    (tmp_path / "cache").mkdir()
    one = dict(list(pictures.items())[:1])
    features = ImageFeatures(backbone, tmp_path / "cache")
    features.add(one)
    before = [image.features.clone() for image in features.batch(one)[0]]
    (file,) = (tmp_path / "cache").glob(f"*/*{ending}")
    content = file.read_bytes()
    file.unlink()  # a file that is mapped must not lose its end
    file.write_bytes(content[: int(share * len(content))])
    for _ in range(2):  # computed, then found
        again = ImageFeatures(backbone, tmp_path / "cache")
        again.add(one)
        assert all(map(torch.equal, [image.features for image in again.batch(one)[0]], before))
    assert len(runs) == 2 and file.read_bytes() == content


def test_features_that_do_not_fit_their_description_are_computed_again(counted, pictures, tmp_path):
    backbone, runs = counted
    features = ImageFeatures(backbone, tmp_path / "cache")
    features.add(pictures)
    before = features.batch(pictures)
    for file in (tmp_path / "cache").glob("*/*.npy"):
        rows = np.load(file)
        file.unlink()
        np.save(file, rows[:-1])
    again = ImageFeatures(backbone, tmp_path / "cache")
    again.add(pictures)
    for one, other in zip(before, again.batch(pictures), strict=True):
        same(one, other)
    assert len(runs) == 2 * len(pictures)


def test_features_of_a_lying_picture_are_computed_again(counted, pictures, tmp_path):
    """An older version did not turn pictures as cameras note, and kept what it saw."""
    backbone, runs = counted
    exif = Image.Exif()
    exif[0x0112] = 6
    lying, plain = ImageId("lying"), next(iter(pictures))
    with Image.open(pictures[plain]) as image:
        image.save(tmp_path / "lying.jpg", exif=exif)
        image.convert("RGB").save(tmp_path / "b.jpg")
    paths = {lying: tmp_path / "lying.jpg", plain: pictures[plain]}
    older = ImageFeatures(backbone, tmp_path / "cache")
    older.add({lying: tmp_path / "b.jpg", plain: pictures[plain]})
    for file in (tmp_path / "cache").glob("*/*.json"):
        file.write_text(json.dumps({k: v for k, v in json.loads(file.read_text()).items() if k != "upright"}))
    upright = ImageFeatures(backbone, tmp_path / "fresh")
    upright.add(paths)
    before = len(runs)
    now = ImageFeatures(backbone, tmp_path / "cache")
    now.add(paths)
    assert len(runs) == before + 1, "the other picture's features stay as they are"
    for seen, expected in zip(now.batch(paths), upright.batch(paths), strict=True):
        same(seen, expected)
    ImageFeatures(backbone, tmp_path / "cache").add(paths)
    assert len(runs) == before + 1


def test_weights_of_another_precision_have_another_cache(tmp_path):
    path = str(make("qwen2_vl", tmp_path / "model"))
    rounded = load(path, device="cpu", dtype=torch.bfloat16)
    exact = load(path, device="cpu")
    exact.model.to(torch.bfloat16).to(torch.float32)  # the same values, in the other type
    frozen = [{name: value.float() for name, value in model.frozen_state().items()} for model in (rounded, exact)]
    assert frozen[0].keys() == frozen[1].keys() and all(torch.equal(v, frozen[1][n]) for n, v in frozen[0].items())
    assert rounded.vision_hash != exact.vision_hash


def test_a_picture_that_the_image_processor_refuses_is_named(tmp_path):
    backbone = load(str(make("qwen2_vl", tmp_path / "model")), device="cpu")
    Image.new("RGB", (16, 4000), "teal").save(tmp_path / "strip.png")
    sentence = r"does not take the image strip\.png: .*aspect ratio.*[^.]\. Crop it, or leave it out and import again\."
    with pytest.raises(ImportDataError, match=sentence):
        ImageFeatures(backbone, tmp_path / "cache").add({"strip": tmp_path / "strip.png"})
    images = {ImageId("strip"): tmp_path / "strip.png", ImageId("disc"): draw(tmp_path / "disc.png", 1)}
    config = TeacherConfig("local", "tiny", max_tokens=4)
    rows = {
        row.image_id: row for row in describe(backbone, config, images, keep=lambda _: None, cache=tmp_path / "cache")
    }
    assert "Crop it" in rows["strip"].error and set(rows) == set(images)
    assert "Crop it" not in (rows["disc"].error or "")


def test_a_picture_that_cannot_be_read_is_named_and_not_taken_in(deep, pictures, tmp_path):
    (tmp_path / "broken.png").write_bytes(b"no picture")
    features = ImageFeatures(deep, tmp_path / "cache")
    with pytest.raises(ImportDataError, match=r"Cannot read the image broken\.png"):
        features.add({**pictures, "broken": tmp_path / "broken.png"})
    assert set(features.ids()) == set(pictures)


def test_threads_of_one_core_see_what_one_thread_sees(deep, pictures, tmp_path):
    cores, counts, see = torch.get_num_threads(), [], deep.vision.see
    try:
        torch.set_num_threads(2)
        with patch.object(deep.vision, "see", lambda made: counts.append(torch.get_num_threads()) or see(made)):
            together = ImageFeatures(deep, tmp_path / "together")
            together.add(pictures)
            assert counts == [1] * len(pictures) and torch.get_num_threads() == 2
            alone = ImageFeatures(deep, tmp_path / "alone")
            for name, path in pictures.items():
                alone.add({name: path})
            assert counts[len(pictures) :] == [2] * len(pictures)
    finally:
        torch.set_num_threads(cores)
    for one, other in zip(together.batch(pictures), alone.batch(pictures), strict=True):
        same(one, other)


def test_a_full_disk_is_said(deep, pictures, tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "save", full)
    with pytest.raises(ModelError, match=r"No space left on device\. Free some disk space and try again"):
        ImageFeatures(deep, tmp_path / "cache").add(pictures)
    assert not [path for path in (tmp_path / "cache").glob("*/*") if path.suffix != ".json"]


def test_the_order_of_labelling_reads_the_same_files(deep, pictures, tmp_path):
    ImageFeatures(deep, tmp_path / "cache").add(pictures)
    vectors = image_vectors(pictures, tmp_path / "cache")
    assert vectors.shape[0] == len(pictures) and vectors.shape[1] % 32 == 0
