"""The image collections that are measured on, with their pool and test sides. Nothing is written but figures."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from PIL import Image

from benchmarks.mini.photos import INFORMATIVE, frequent_answers, informative_answers
from benchmarks.mini.splits import hold_out
from leaml.data.project_folder import SAMPLES
from leaml.prompts import CAPTION_PROMPT, match_option
from leaml.records import AnsweredQuestion, Caption, ImageId, ImageRow, QuestionType, Split

KVASIR_SPLITS: dict[str, Split] = {"train": "pool", "test": "test"}


@dataclass(frozen=True)
class Collection:
    """Images, the questions about them with reference answers, and a teacher's captions of the pool.

    Attributes:
        name: Of the collection.
        folder: Where the images' relative paths begin.
        images: Of both sides; a group is on one side. On blood smears near-duplicates share a group; Kvasir polyps come
            without groups, and one of their test images has a near-duplicate in the pool
            (docs/decisions/label-efficiency.md).
        types: The question types.
        references: Answers to questions about images of either side.
        captions: Of pool images.
    """

    name: str
    folder: Path
    images: tuple[ImageRow, ...]
    types: tuple[QuestionType, ...]
    references: tuple[AnsweredQuestion, ...]
    captions: tuple[Caption, ...]

    @cached_property
    def pool(self) -> tuple[AnsweredQuestion, ...]:
        """Answered questions about pool images: the labels are drawn from these."""
        return self._of("pool")

    @cached_property
    def test(self) -> tuple[AnsweredQuestion, ...]:
        """Answered questions about test images."""
        return self._of("test")

    @cached_property
    def groups(self) -> dict[ImageId, str]:
        """The group of each image."""
        return {image.id: image.group for image in self.images}

    def inner(self, *, share: float = 0.25, seed: int = 0) -> "Collection":
        """Return the pool alone, this share of its groups as the test side: for choosing settings."""
        mine = [image for image in self.images if image.split == "pool"]
        out = hold_out({image.id: image.group for image in mine}, share, seed=seed)
        images = tuple(replace(image, split="test") if image.id in out else image for image in mine)
        told = tuple(caption for caption in self.captions if caption.image_id not in out)
        return replace(self, name=f"{self.name}_inner", images=images, references=self.pool, captions=told)

    def _of(self, split: Split) -> tuple[AnsweredQuestion, ...]:
        side = {image.id for image in self.images if image.split == split}
        return tuple(pair for pair in self.references if pair.image_id in side)


def blood_smears() -> Collection:
    """Return the bundled sample."""
    folder = SAMPLES["blood_smears"]
    settings = json.loads((folder / "project.json").read_text(encoding="utf-8"))
    types = {
        kind["id"]: QuestionType(kind["id"], kind["question"], tuple(kind["options"]))
        for kind in settings["question_types"]
    }
    rows = {
        line["file"]: _image(folder, f"images/{line['file']}", group=line["group"], split=line["split"])
        for line in _lines(folder / "images.jsonl")
    }
    references = [
        _answered(rows[line["file"]].id, types[line["question_type"]], line["answer"])
        for line in _lines(folder / "reference.jsonl")
    ]
    captions = [(rows[line["file"]], line["caption"]) for line in _lines(folder / "captions.jsonl")]
    return _collection("blood_smears", folder, rows, types, references, captions)


def kvasir(folder: Path) -> Collection:
    """Return the polyp images of a Kvasir-VQA copy: its single-answer question types of at least two frequent answers.

    Which answers are frequent is read from the pool side. Questions with another answer are left out on both sides, so
    that each question can be answered from its options.
    """
    lines = list(_lines(folder / "annotations.jsonl"))
    rows = {
        line["image"]: _image(
            folder, f"images/{line['image']}", group=line["image"], split=KVASIR_SPLITS[line["split"]]
        )
        for line in lines
    }
    found = informative_answers(lines)
    types = {}
    for question, name in INFORMATIVE.items():
        options = frequent_answers([a for image, a in found[question].items() if rows[image].split == "pool"])
        if options:
            types[question] = QuestionType(name, question, options)
    references = [
        _answered(rows[image].id, kind, answer)
        for question, kind in types.items()
        for image, answer in found[question].items()
        if match_option(answer, kind.options)
    ]
    captions = [
        (rows[line["image"]], line["caption"])
        for line in _lines(folder / "captions.jsonl")
        if line.get("image") in rows
    ]
    return _collection("kvasir_polyps", folder, rows, types, references, captions)


def _collection(
    name: str,
    folder: Path,
    rows: dict[str, ImageRow],
    types: dict[str, QuestionType],
    references: list[AnsweredQuestion],
    captions: list[tuple[ImageRow, str]],
) -> Collection:
    told = tuple(Caption(row.id, text, "teacher", CAPTION_PROMPT) for row, text in captions if row.split == "pool")
    return Collection(name, folder, tuple(rows.values()), tuple(types.values()), tuple(references), told)


def _image(folder: Path, path: str, *, group: str, split: Split) -> ImageRow:
    content = (folder / path).read_bytes()
    with Image.open(folder / path) as picture:
        width, height = picture.size
    return ImageRow(ImageId(hashlib.sha256(content).hexdigest()), Path(path).name, path, group, split, width, height)


def _answered(image_id: ImageId, kind: QuestionType, answer: str) -> AnsweredQuestion:
    return AnsweredQuestion(image_id, kind.question, kind.options, answer, kind.id)


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.strip():
            yield json.loads(line)
