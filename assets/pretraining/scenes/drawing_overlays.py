"""Draws what is laid over an image: lines of text and a box in a corner."""

from functools import lru_cache

from PIL import Image, ImageDraw, ImageFont

from assets.pretraining.scenes.facts import Scene
from assets.pretraining.scenes.overlays import LINE


@lru_cache(maxsize=4)
def _font(pixels: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size=pixels)


def add_overlays(image: Image.Image, scene: Scene) -> None:
    """Draw the scene's box and text, in place."""
    size = image.size[0]
    pen = ImageDraw.Draw(image)
    if scene.box:
        left, top, right, bottom = (v * size for v in scene.box.area)
        pen.rectangle([left, top, right - 1, bottom - 1], fill=scene.box.tint.rgb)
        if scene.box.content:
            _add_content(pen, (left, top, right, bottom), dark=sum(scene.box.tint.rgb) < 380)
    if scene.writing:
        font = _font(round(0.052 * size))
        for number, line in enumerate(scene.writing.lines):
            at = (scene.writing.area[0] * size, (scene.writing.area[1] + number * LINE) * size)
            pen.text(at, line, fill=scene.writing.tint.rgb, font=font)


def _add_content(pen: ImageDraw.ImageDraw, area: tuple[float, float, float, float], *, dark: bool) -> None:
    """Draw a small winding line with a marked point, as position diagrams have it."""
    left, top, right, bottom = area
    ink = (225, 225, 225) if dark else (30, 30, 30)
    path = ((0.2, 0.8), (0.25, 0.3), (0.5, 0.2), (0.75, 0.35), (0.7, 0.75), (0.5, 0.6))
    points = [(left + a * (right - left), top + b * (bottom - top)) for a, b in path]
    pen.line(points, fill=ink, width=2, joint="curve")
    x, y = points[-1]
    pen.ellipse([x - 2, y - 2, x + 2, y + 2], fill=ink)
