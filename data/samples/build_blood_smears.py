"""Build the sample project `blood_smears` from a copy of BCCD: `python build_blood_smears.py --source DIR`.

Reads DIR's `images/`, `annotations/`, `captions.jsonl`, `test.txt`, `LICENSE` and `SOURCE.md`; writes the
project folder beside this file, the same bytes each time with the same Pillow. Its `README.md`, the data
card, is written by hand; `benchmarks/sample_types.py` measures whether the questions can be learnt. Boxes are
(left, top, right, bottom) in pixels of the 640 x 480 originals.
"""

import argparse
import json
import math
import xml.etree.ElementTree as ElementTree
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

Box = tuple[int, int, int, int]
TARGET = Path(__file__).parent / "blood_smears"
WIDTH, HEIGHT = 640, 480
SHIPPED_SIZE = (512, 384)
JPEG_QUALITY = 80
TEACHER = "a large multimodal model that saw the image alone, never the boxes or any label"
DESCRIPTION = (
    "364 fields of stained blood smears (BCCD), mostly with one white cell each. The questions and reference "
    "answers are derived from the published boxes and from pixels: see README.md. Not for diagnosis."
)
NOTE = "<!-- The note that came with the pictures and boxes; README.md says what was changed. -->\n"
UNBOXED_WHITE_CELL = {"BloodImage_00171", "BloodImage_00178", "BloodImage_00228", "BloodImage_00327"}
"""Fields that show a white cell (seen by eye) without a box: no reference answer is given for them."""
WHITE_CELL_MIN, PLATELET_MAX = 40, 100
"""Pixels: a narrower WBC box (00113) is a platelet, a wider Platelets box (00133, 00135) a white cell."""


@dataclass(frozen=True)
class Field:
    """One micrograph with its boxes, wrongly labelled ones put right."""

    name: str
    image: Image.Image
    white: tuple[Box, ...]
    red: tuple[Box, ...]
    platelets: tuple[Box, ...]

    @property
    def largest(self) -> Box:
        """The white cell whose box has the largest area."""
        return max(self.white, key=lambda box: (box[2] - box[0]) * (box[3] - box[1]))

    @property
    def centre(self) -> tuple[float, float]:
        """Centre of the largest white cell, as fractions of the width and the height."""
        left, top, right, bottom = self.largest
        return (left + right) / 2 / WIDTH, (top + bottom) / 2 / HEIGHT

    @property
    def side(self) -> int:
        """Longer side of the largest white cell's box in pixels."""
        left, top, right, bottom = self.largest
        return max(right - left, bottom - top)

    @cached_property
    def red_mask(self) -> NDArray[np.bool_]:
        """`[H, W]`: stained pixels (green below Otsu's threshold) outside the white cells' boxes."""
        green = np.asarray(self.image)[:, :, 1]
        outside = np.ones(green.shape, dtype=bool)
        for left, top, right, bottom in self.white:
            outside[top:bottom, left:right] = False
        stained: NDArray[np.bool_] = (green < otsu_threshold(green[outside])) & outside
        return stained


@dataclass(frozen=True)
class QuestionType:
    """A question; its answer is the option in whose interval the measure falls (cuts: the inner bounds)."""

    id: str
    question: str
    options: tuple[str, ...]
    measure: Callable[[Field], float]
    cuts: tuple[float, ...]

    def answer(self, field: Field) -> str:
        """Return the reference answer for a field that has a boxed white cell."""
        return self.options[bisect_right(self.cuts, self.measure(field))]


def otsu_threshold(values: NDArray[np.uint8]) -> int:
    """Return the threshold that separates two classes of grey values best (Otsu 1979)."""
    share = np.bincount(values.ravel(), minlength=256) / values.size
    below, mean = share.cumsum(), (share * np.arange(256)).cumsum()
    between = (mean[-1] * below - mean) ** 2 / np.maximum(below * (1 - below), 1e-9)
    return int(between.argmax())


def edge_gap(field: Field) -> int:
    """Return the pixels between the largest white cell's box and the nearest edge of the picture."""
    left, top, right, bottom = field.largest
    return min(left, top, WIDTH - right, HEIGHT - bottom)


def off_centre(field: Field) -> float:
    """Return the distance of the largest white cell's centre from the picture's centre, in pixels."""
    across, down = field.centre
    return math.hypot((across - 0.5) * WIDTH, (down - 0.5) * HEIGHT)


def redness(field: Field) -> float:
    """Return the median of red minus blue over the red cells: low is mauve, high is brown."""
    pixels = np.asarray(field.image)[field.red_mask].astype(int)
    return float(np.median(pixels[:, 0] - pixels[:, 2]))


def largest_clump(field: Field) -> float:
    """Return the share of the picture that the largest connected clump of red cells covers."""
    small = Image.fromarray(field.red_mask.astype(np.uint8) * 255).resize((160, 120), Image.Resampling.BOX)
    opened = small.point(lambda value: 255 * (value > 127)).filter(ImageFilter.MinFilter(3))
    mask = np.asarray(opened.filter(ImageFilter.MaxFilter(3))) > 0
    return largest_component(mask) / mask.size


def largest_component(mask: NDArray[np.bool_]) -> int:
    """Return the size of the largest 4-connected component of a `[H, W]` mask."""
    label, before = np.arange(1, mask.size + 1).reshape(mask.shape) * mask, None
    while before is None or not np.array_equal(label, before):
        before, wide = label, np.pad(label, 1)
        near = (wide[:-2, 1:-1], wide[2:, 1:-1], wide[1:-1, :-2], wide[1:-1, 2:], label)
        label = np.maximum.reduce(near) * mask
    return int(np.bincount(label[mask]).max(initial=0))


QUESTIONS = """
place_across | Where is the largest white blood cell, from left to right? | left, center, right
place_down | Where is the largest white blood cell, from top to bottom? | top, middle, bottom
white_cell_size | How large is the largest white blood cell in this picture? | small, medium, large
touches_edge | Is the largest white blood cell cut off by the edge of the picture? | yes, no
central_or_peripheral | Does the largest white blood cell lie central or peripheral? | central, peripheral
red_cell_clumping | How are the red blood cells arranged? | separate, short chains, large clumps
red_cell_tint | What tint have the red blood cells taken? | mauve, brown
"""
MEASURES: dict[str, tuple[Callable[[Field], float], tuple[float, ...]]] = {
    "place_across": (lambda field: field.centre[0], (0.4, 0.6)),
    "place_down": (lambda field: field.centre[1], (0.4, 0.65)),
    "white_cell_size": (lambda field: field.side, (185, 222)),
    "touches_edge": (edge_gap, (4,)),
    "central_or_peripheral": (off_centre, (142,)),
    "red_cell_clumping": (largest_clump, (0.075, 0.13)),
    "red_cell_tint": (redness, (18,)),
}


DEFINITIONS = {
    "place_across": "By the cell's middle: left of 40% of the picture's width, right of 60%, or between.",
    "place_down": "By the cell's middle: above 40% of the picture's height is top, below 65% bottom.",
    "white_cell_size": "By its longer side that can be seen: small below 29% of the picture's width, large from 35%.",
    "touches_edge": "Yes where the cell reaches the edge of the picture.",
    "central_or_peripheral": "Central: less than 22% of the picture's width from the picture's middle to the cell's.",
    "red_cell_clumping": "By the largest connected clump: short chains from 7.5% of the picture, large from 13%.",
    "red_cell_tint": "By the typical red cell: mauve has nearly as much blue as red in it, brown clearly less.",
}
"""How people tell the answers apart; what is measured is in MEASURES."""


def question_types() -> list[QuestionType]:
    """Return the project's question types, in the order of `QUESTIONS`."""
    rows = (line.split(" | ") for line in QUESTIONS.strip().splitlines())
    return [QuestionType(id, text, tuple(choice.split(", ")), *MEASURES[id]) for id, text, choice in rows]


def read_field(source: Path, name: str) -> Field:
    """Return the micrograph `name` with its boxes."""
    boxes: dict[str, list[Box]] = {"WBC": [], "RBC": [], "Platelets": []}
    for item in ElementTree.parse(source / "annotations" / f"{name}.xml").iter("object"):
        left, top, right, bottom = (
            int(item.findtext(f"bndbox/{side}", "")) for side in ("xmin", "ymin", "xmax", "ymax")
        )
        boxes[corrected_class(item.findtext("name", ""), right - left)].append((left, top, right, bottom))
    image = Image.open(source / "images" / f"{name}.jpg").convert("RGB")
    return Field(name, image, tuple(boxes["WBC"]), tuple(boxes["RBC"]), tuple(boxes["Platelets"]))


def corrected_class(label: str, width: int) -> str:
    """Return the class of a box, the three that are plainly of another class put right by their width."""
    if label == "WBC" and width < WHITE_CELL_MIN:
        return "Platelets"
    return "WBC" if label == "Platelets" and width > PLATELET_MAX else label


NEAR_SIZE, LEAST_OVERLAP, SAME_FIELD = (80, 60), 0.25, 0.8
"""Copies of 80 x 60 are compared at all shifts that leave a quarter in common: one field if they correlate at
0.8 or more. The pairs found have 0.88 or more; the highest of the others, seen to be other fields, 0.75."""
NARROW_OVERLAPS = """
44/45 147/148 160/161 165/193 204/205 207/279 223/224 225/264 231/255 255/256 263/264 311/312 364/409 365/408
"""
"""Pairs with 4 to 25 percent in common: a correlation at 160 x 120 above 0.91, and seen to be the same."""


def gaussian_rows(size: int, sigma: float) -> NDArray[np.float64]:
    """Return the `[size, size]` matrix that blurs a column of pixels."""
    kernel = np.exp(-0.5 * ((np.arange(size)[:, None] - np.arange(size)) / sigma) ** 2)
    return np.asarray(kernel / kernel.sum(axis=1, keepdims=True))


def flattened(images: Iterable[Image.Image]) -> NDArray[np.float64]:
    """Return grey copies `[N, 60, 80]` without the common shading and slow gradients, clipped at 3 sd."""
    small = (image.convert("F").resize(NEAR_SIZE, Image.Resampling.BOX) for image in images)
    copies = np.stack([np.asarray(image) for image in small])
    copies = copies - copies.mean(axis=0)
    fine_x, fine_y = (gaussian_rows(size, 0.7) for size in NEAR_SIZE)
    slow_x, slow_y = (gaussian_rows(size, 7.0) for size in NEAR_SIZE)
    copies = fine_y @ copies @ fine_x.T - slow_y @ copies @ slow_x.T
    return np.asarray(np.clip(copies / copies.std(axis=(1, 2), keepdims=True), -3, 3))


def same_field_pairs(images: dict[str, Image.Image]) -> list[tuple[str, str]]:
    """Return the pairs whose overlap correlates at some shift (normalised as in Padfield 2012)."""
    names, copies = list(images), flattened(images.values())
    shape = (2 * NEAR_SIZE[1], 2 * NEAR_SIZE[0])
    values, squares, ones = (np.fft.rfft2(x, s=shape) for x in (copies, copies**2, np.ones(copies.shape[1:])))

    def sums(first: NDArray[np.complex128], second: NDArray[np.complex128]) -> NDArray[np.float64]:
        return np.fft.irfft2(first * second.conj(), s=shape)

    common = np.maximum(sums(ones, ones).round(), 1)
    wide = common >= LEAST_OVERLAP * copies[0].size
    spread = [
        np.maximum(sums(*square) - sums(*value) ** 2 / common, 1e-3 * common)
        for square, value in (((squares, ones), (values, ones)), ((ones, squares), (ones, values)))
    ]
    of_first, of_second = sums(values, ones), sums(ones, values)
    pairs = []
    for i in range(len(names) - 1):
        covariance = sums(values[i], values[i + 1 :]) - of_first[i] * of_second[i + 1 :] / common
        best = (covariance / np.sqrt(spread[0][i] * spread[1][i + 1 :]))[:, wide].max(axis=1)
        pairs += [(names[i], names[i + 1 + j]) for j in np.flatnonzero(best >= SAME_FIELD)]
    return pairs


def duplicate_groups(images: dict[str, Image.Image]) -> dict[str, str]:
    """Return for each name its near-duplicate group, named after the group's first image."""
    group = {name: name for name in images}
    seen = [[f"BloodImage_{int(n):05d}" for n in pair.split("/")] for pair in NARROW_OVERLAPS.split()]
    for first, second in (*same_field_pairs(images), *seen):
        kept, gone = sorted((group[first], group[second]))
        group = {name: kept if value == gone else value for name, value in group.items()}
    return group


def split_by_group(groups: dict[str, str], listed: set[str]) -> dict[str, str]:
    """Return pool or test for each image: test if at least half of its group is in the original list."""
    members = defaultdict(list)
    for name, group in groups.items():
        members[group].append(name)
    test = {group for group, names in members.items() if 2 * len(listed & set(names)) >= len(names)}
    return {name: "test" if group in test else "pool" for name, group in groups.items()}


def reference_answers(field: Field) -> list[dict[str, str]]:
    """Return the lines of `reference.jsonl` for a field: none where a white cell has no box."""
    if field.name in UNBOXED_WHITE_CELL:
        return []
    file = f"{field.name}.jpg"
    return [{"file": file, "question_type": k.id, "answer": k.answer(field)} for k in question_types()]


def write_images(fields: list[Field]) -> None:
    """Write the pictures at the size shipped."""
    (TARGET / "images").mkdir(parents=True, exist_ok=True)
    for field in fields:
        small = field.image.resize(SHIPPED_SIZE, Image.Resampling.LANCZOS)
        small.save(TARGET / "images" / f"{field.name}.jpg", quality=JPEG_QUALITY, optimize=True)


def write_lines(name: str, rows: Iterable[dict[str, str]]) -> None:
    """Write `name.jsonl`, one JSON object a line."""
    (TARGET / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def build(source: Path) -> None:
    """Write the project folder."""
    fields = [read_field(source, path.stem) for path in sorted((source / "images").glob("*.jpg"))]
    groups = duplicate_groups({field.name: field.image for field in fields})
    split = split_by_group(groups, set((source / "test.txt").read_text().split()))
    write_images(fields)
    kinds = [
        {"id": k.id, "question": k.question, "options": k.options, "definition": DEFINITIONS[k.id]}
        for k in question_types()
    ]
    about = {"name": "Blood smears", "description": DESCRIPTION, "teacher": TEACHER}
    (TARGET / "project.json").write_text(
        json.dumps({**about, "question_types": kinds}, indent=1) + "\n", encoding="utf-8"
    )
    write_lines("images", [{"file": f"{n}.jpg", "group": groups[n], "split": split[n]} for n in groups])
    captions = [json.loads(line) for line in (source / "captions.jsonl").read_text("utf-8").splitlines()]
    recorded = [{"file": line["image"], "caption": line["caption"]} for line in captions]
    write_lines("captions", [line for line in recorded if split[Path(line["file"]).stem] == "pool"])
    write_lines("reference", [row for field in fields for row in reference_answers(field)])
    (TARGET / "LICENSE").write_bytes((source / "LICENSE").read_bytes())
    (TARGET / "SOURCE.md").write_text(NOTE + (source / "SOURCE.md").read_text("utf-8"), encoding="utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Build the sample project blood_smears from a copy of BCCD.")
    parser.add_argument("--source", type=Path, required=True, help="the copy of BCCD")
    build(parser.parse_args().source)
