"""Pictures that cameras, scanners and accidents make: read rightly, or refused in a sentence."""

import os
import struct
import threading
import warnings
from io import BytesIO

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageOps

from leaml.data.images import image_row, is_turned, open_rgb, read_picture, shown_file
from leaml.data.items import copy_item, read_item
from leaml.errors import ImportDataError

RED, DARK = (200, 40, 30), (20, 30, 60)


def halves(mode="RGB", size=(64, 48)):
    """Return a picture whose left half is red and whose right half is dark."""
    picture = Image.new("RGB", size, RED)
    picture.paste(DARK, (size[0] // 2, 0, *size))
    return picture.quantize(8) if mode == "P" else picture.convert(mode)


def saved(picture, path, **settings):
    picture.save(path, **settings)
    return path


def refused(path, sentence):
    with pytest.raises(ImportDataError, match=sentence):
        read_picture(path)


def test_one_pixel(tmp_path):
    refused(saved(Image.new("RGB", (1, 1)), tmp_path / "a.png"), r"a\.png has 1 x 1 pixels; 16 are the least")


def test_two_hundred_megapixels_are_refused_before_they_are_decoded(tmp_path):
    path = saved(Image.new("1", (20_000, 10_000)), tmp_path / "a.png")
    refused(path, r"a\.png is too large: 150 megapixels are the most\. Shrink it, or cut it up\.")


@pytest.mark.parametrize("size", [(12_000, 10_000), (16_000, 10_000)])
def test_the_limit_is_ours_and_not_pillows(tmp_path, size, monkeypatch):
    """Pillow warns from 89 megapixels on, and raises from 179."""
    monkeypatch.setattr(Image.Image, "load", lambda image: None)  # the size is looked at, and that is all
    path = saved(Image.new("1", size), tmp_path / "a.png")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        if size[0] < 15_000:
            assert read_picture(path).width == size[0]
        else:
            refused(path, "150 megapixels are the most")


@pytest.mark.parametrize("mode", ["CMYK", "L", "P", "RGBA", "LA"])
def test_other_colours_become_rgb(tmp_path, mode):
    ending = "jpg" if mode == "CMYK" else "png"
    path = saved(halves(mode), tmp_path / f"a.{ending}", **({"quality": 98} if mode == "CMYK" else {}))
    assert (read_picture(path).width, read_picture(path).height) == (64, 48)
    seen = open_rgb(path)
    assert seen.mode == "RGB" and seen.size == (64, 48)
    left, right = np.asarray(seen)[24, 10].astype(int), np.asarray(seen)[24, 50].astype(int)
    if mode in ("CMYK", "P", "RGBA"):
        assert np.abs(left - RED).max() < 12 and np.abs(right - DARK).max() < 12
    else:
        assert left.mean() > right.mean()


@pytest.mark.parametrize("ending", ["png", "tif"])
def test_sixteen_bits_keep_their_brightness(tmp_path, ending):
    values = np.tile(np.linspace(0, 65535, 64).astype(np.uint16), (48, 1))
    path = saved(Image.fromarray(values), tmp_path / f"a.{ending}")
    assert read_picture(path).width == 64
    seen = np.asarray(open_rgb(path))
    assert np.abs(seen[20, :, 0].astype(int) - values[20] // 257).max() <= 1
    assert (seen[..., 0] == seen[..., 2]).all()


@pytest.mark.parametrize("kind", [np.int32, np.float32])
def test_thirty_two_bits_have_no_known_range(tmp_path, kind):
    path = saved(Image.fromarray(np.ones((20, 20), kind)), tmp_path / "a.tif")
    refused(path, r"a\.tif has 32-bit values of no known range\. Save it with 8 or 16 bits\.")


def test_lab_colours_are_refused_at_once(tmp_path):
    path = saved(Image.new("LAB", (20, 20)), tmp_path / "a.tif")
    refused(path, r"a\.tif has LAB colours\. Save it with RGB colours\.")


@pytest.mark.parametrize("ending", ["gif", "webp", "tif", "png"])
def test_an_animation_is_several_images(tmp_path, ending):
    frames = [halves(), Image.new("RGB", (64, 48), "navy"), Image.new("RGB", (64, 48), "teal")]
    path = saved(frames[0], tmp_path / f"a.{ending}", save_all=True, append_images=frames[1:])
    refused(path, rf"a\.{ending} \(\w+\) holds 3 frames or pages, but an image is one\. Save those that matter")


def test_a_still_gif_names_its_format(tmp_path):
    path = saved(halves("P"), tmp_path / "a.gif")
    refused(path, r"a\.gif is GIF; JPEG, PNG, WebP, BMP and TIFF are read\. Convert it\.")


def test_a_cameras_jpeg_with_a_preview_is_its_first_picture(tmp_path):
    path = saved(halves(), tmp_path / "a.jpg", format="MPO", save_all=True, append_images=[halves(size=(32, 24))])
    picture = read_picture(path)
    assert (picture.width, picture.suffix) == (64, ".jpg")
    assert open_rgb(path).size == (64, 48)


@pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 0.95])
def test_a_truncated_jpeg(tmp_path, share):
    content = BytesIO()
    Image.effect_noise((200, 150), 80).convert("RGB").save(content, "JPEG")
    (tmp_path / "a.jpg").write_bytes(content.getvalue()[: int(share * len(content.getvalue()))])
    refused(tmp_path / "a.jpg", r"a\.jpg cannot be read: .*Replace it or take it out\.")
    with pytest.raises(ImportDataError, match=r"Cannot read the image a\.jpg: .*Import it again\."):
        open_rgb(tmp_path / "a.jpg")


def test_a_tiff_whose_second_page_is_damaged(tmp_path):
    width = struct.pack("<HHL", 256, 4, 1)
    content = BytesIO()
    halves().save(content, "TIFF", save_all=True, append_images=[halves()])
    before, mark, after = content.getvalue().rpartition(width)
    assert mark and width in before
    (tmp_path / "a.tif").write_bytes(before + struct.pack("<HHL", 255, 4, 1) + after)
    refused(tmp_path / "a.tif", r"a\.tif cannot be read: .*Replace it or take it out\.")


def turned(orientation):
    """Return EXIF data that tell how a camera was held."""
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    return exif


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("ending", ["jpg", "png", "webp", "tif"])
def test_a_picture_is_upright_as_its_camera_noted(tmp_path, ending, orientation):
    settings = {"quality": 95} if ending == "jpg" else {"lossless": True} if ending == "webp" else {}
    path = saved(halves(), tmp_path / f"a.{ending}", exif=turned(orientation), **settings)
    lying = saved(halves(), tmp_path / f"b.{ending}", **settings)
    seen, picture = open_rgb(path), read_picture(path)
    with Image.open(lying) as image:
        expected = ImageOps.exif_transpose(with_exif(image.convert("RGB"), orientation))
    assert np.array_equal(np.asarray(seen), np.asarray(expected))
    assert seen.size == (picture.width, picture.height) == ((48, 64) if orientation > 4 else (64, 48))
    assert not seen.getexif() and not seen.info, "or an image processor would turn it again"
    assert is_turned(path) == (orientation > 1)


def with_exif(image, orientation):
    image.info["exif"] = turned(orientation).tobytes()
    return image


@pytest.mark.parametrize("mode", ["L", "P", "CMYK", "RGBA"])
def test_a_tiff_that_pil_would_map_is_turned_too(tmp_path, mode):
    path = saved(halves(mode), tmp_path / "a.tif", exif=turned(6))
    seen = np.asarray(open_rgb(path)).mean(axis=2)
    assert seen.shape == (64, 48) and seen[:32].min() > seen[32:].max(), "red above, dark below"
    assert (read_picture(path).width, read_picture(path).height) == (48, 64)


def test_sixteen_bits_are_turned_too(tmp_path):
    values = np.tile(np.linspace(0, 65535, 64).astype(np.uint16), (48, 1))
    path = saved(Image.fromarray(values), tmp_path / "a.png", exif=turned(6))
    seen = np.asarray(open_rgb(path))[..., 0]
    assert seen.shape == (64, 48) and seen[0].max() == 0 and seen[-1].min() == 255


@pytest.mark.parametrize("exif", [b"", b"Exif\0\0", b"Exif\0\0MM", b"Exif\0\0no note at all", turned(9).tobytes()])
def test_a_picture_without_a_note_that_can_be_read_is_what_pil_reads(tmp_path, exif):
    path = saved(halves(), tmp_path / "a.jpg", exif=exif, quality=90)
    with Image.open(path) as image:
        expected = np.asarray(image.convert("RGB"))
    assert np.array_equal(np.asarray(open_rgb(path)), expected) and read_picture(path).width == 64
    assert not is_turned(path)


def test_only_exif_turns_a_picture_as_in_browsers(tmp_path):
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
    path = saved(halves(), tmp_path / "a.jpg", xmp=xmp)
    with Image.open(path) as image:
        assert ImageOps.exif_transpose(image).size == (48, 64)
    assert open_rgb(path).size == (read_picture(path).width, read_picture(path).height) == (64, 48)


def test_what_cannot_be_read_is_not_turned(tmp_path):
    (tmp_path / "a.jpg").write_text("no picture")
    assert not is_turned(tmp_path / "a.jpg") and not is_turned(tmp_path / "missing.jpg")


@pytest.mark.parametrize("mode", ["RGB", "L", "1", "P", "CMYK", "RGBA", "I;16"])
def test_a_tiff_is_shown_as_a_png_of_what_models_see(tmp_path, mode):
    values = np.tile(np.linspace(0, 65535, 64).astype(np.uint16), (48, 1))
    picture = Image.fromarray(values) if mode == "I;16" else halves(mode)
    path = saved(picture, tmp_path / "a.tif", exif=turned(6), icc_profile=b"of CMYK, perhaps")
    shown = shown_file(path)
    assert shown.parent == path.parent and shown.suffix == ".png" and shown_file(path) == shown
    with Image.open(shown) as image:
        assert (image.format, image.mode, image.size) == ("PNG", "RGB", (48, 64)) and not image.info
        assert np.array_equal(np.asarray(image), np.asarray(open_rgb(path)))
    assert np.asarray(open_rgb(path)).std() > 10, "a picture and no plain area"
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a.shown.png", "a.tif"]


@pytest.mark.parametrize("ending", ["jpg", "png", "webp", "bmp"])
def test_what_every_browser_shows_upright_is_its_own_file(tmp_path, ending):
    plain = saved(halves(), tmp_path / f"a.{ending}")
    assert shown_file(plain) == plain
    if ending != "bmp":  # which notes nothing
        noted = saved(halves(), tmp_path / f"b.{ending}", exif=turned(6))
        assert shown_file(noted) == (noted if ending == "jpg" else tmp_path / "b.shown.png")


def test_an_imported_tiff_has_its_png(tmp_path):
    path = saved(halves(), tmp_path / "a.tiff")
    (tmp_path / "work" / "images").mkdir(parents=True)
    item = read_item(path)
    row = image_row(item, name="a.tiff", group="g", split="pool")
    copy_item(item, tmp_path / "work", row)
    names = sorted(file.name for file in (tmp_path / "work" / "images").iterdir())
    assert names == [f"{row.id}.shown.png", f"{row.id}.tif"] and row.path == f"images/{row.id}.tif"


@pytest.mark.parametrize("kept", [0, 80])
def test_a_png_that_was_damaged_is_made_anew_by_importing_again(tmp_path, kept):
    item = read_item(saved(halves(), tmp_path / "a.tiff"))
    (tmp_path / "work" / "images").mkdir(parents=True)
    row = image_row(item, name="a.tiff", group="g", split="pool")
    copy_item(item, tmp_path / "work", row)
    shown = shown_file(tmp_path / "work" / row.path)
    whole = shown.read_bytes()
    shown.write_bytes(whole[:kept])
    copy_item(item, tmp_path / "work", row)
    assert shown.read_bytes() == whole


def test_two_who_open_a_tiff_at_once_both_get_it(tmp_path, monkeypatch):
    path, found, both = saved(halves(), tmp_path / "a.tif"), [], threading.Barrier(2)
    save = Image.Image.save

    def together(picture, *arguments, **settings):
        both.wait(10)
        save(picture, *arguments, **settings)
        both.wait(10)

    monkeypatch.setattr(Image.Image, "save", together)
    threads = [threading.Thread(target=lambda: found.append(shown_file(path))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [tmp_path / "a.shown.png"] * 2 and len(os.listdir(tmp_path)) == 2


def test_a_full_disk_leaves_no_half_png(tmp_path, monkeypatch):
    def full(picture, file, *arguments, **settings):
        file.write_bytes(b"half a picture")
        raise OSError(28, "No space left on device")

    path = saved(halves(), tmp_path / "a.tif")
    monkeypatch.setattr(Image.Image, "save", full)
    with pytest.raises(ImportDataError, match=r"Cannot keep a PNG of a\.tif: .*No space left.* Free some disk space"):
        shown_file(path)
    assert os.listdir(tmp_path) == ["a.tif"]
