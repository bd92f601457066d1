"""The photographs that are measured on: the sample's pool, and Kvasir polyps where a copy is given.

Test images are never opened. Kvasir's are for research only: they are read where they lie, and nothing of them is
written but figures.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.mini.splits import hold_out
from leaml.config import Flips
from leaml.data.project_folder import SAMPLES
from leaml.records import AnsweredQuestion, Caption, ImageId

INFORMATIVE = {
    "What type of polyp is present?": "polyp type",
    "What is the size of the polyp?": "polyp size",
    "Where in the image is the abnormality?": "location",
    "What color is the abnormality? If more than one separate with ;": "color",
    "Is there a green/black box artefact?": "box",
    "Is there text?": "text",
    "How many polyps are in the image?": "polyps",
    "How many findings are present?": "findings",
    "How many instrumnets are in the image?": "instruments",
}
"""Kvasir-VQA's questions that carry something, as its SOURCE.md says."""
LEAST_IMAGES, LEAST_SHARE = 15, 0.05
"""An answer is frequent from so many images and such a share of its type's."""
LEAST_SINGLE = 2 / 3
"""A type is a single-answer type where at least this share of its images has one answer."""


@dataclass(frozen=True)
class Photos:
    """Pictures with captions and answered questions, none of a test side.

    Attributes:
        name: Of the collection.
        images: Path by image id.
        groups: Near-duplicates of one picture share a group.
        captions: A teacher's.
        questions: With reference answers; the options may lack the answer (several findings in one image).
        flips: How the pictures may be mirrored.
    """

    name: str
    images: dict[ImageId, Path]
    groups: dict[ImageId, str]
    captions: list[Caption]
    questions: list[AnsweredQuestion]
    flips: Flips = "none"

    def held_out(self, share: float, *, seed: int) -> set[ImageId]:
        """Return the images of the held-out part."""
        return hold_out(self.groups, share, seed=seed)


def blood_smears() -> Photos:
    """Return the pool of the bundled sample, with its reference answers."""
    folder = SAMPLES["blood_smears"]
    project = json.loads((folder / "project.json").read_text())
    kinds = {kind["id"]: kind for kind in project["question_types"]}
    pool = {row["file"]: row["group"] for row in _lines(folder / "images.jsonl") if row["split"] == "pool"}
    questions = []
    for row in _lines(folder / "reference.jsonl"):
        if row["file"] in pool:
            kind = kinds[row["question_type"]]
            options = tuple(kind["options"])
            questions.append(
                AnsweredQuestion(ImageId(row["file"]), kind["question"], options, row["answer"], kind["id"])
            )
    return Photos(
        "blood_smears",
        {ImageId(file): folder / "images" / file for file in pool},
        {ImageId(file): group for file, group in pool.items()},
        [_caption(row) for row in _lines(folder / "captions.jsonl") if row["file"] in pool],
        questions,
        project["flips"],
    )


def kvasir(folder: Path) -> Photos:
    """Return the train images of Kvasir's polyps, with the single-answer types of at least two frequent answers."""
    rows = [row for row in _lines(folder / "annotations.jsonl") if row["split"] == "train"]
    names = {row["image"] for row in rows}
    found = informative_answers(rows)
    questions = []
    for question in INFORMATIVE:
        options = frequent_answers(list(found[question].values()))
        for image, answer in found[question].items() if options else ():
            questions.append(AnsweredQuestion(ImageId(image), question, options, answer, INFORMATIVE[question]))
    captions = [row for row in _lines(folder / "captions.jsonl") if row.get("image") in names]
    return Photos(
        "kvasir",
        {ImageId(name): folder / "images" / name for name in sorted(names)},
        {ImageId(name): name for name in sorted(names)},
        [_caption({"file": row["image"], **row}) for row in captions],
        questions,
    )


def informative_answers(rows: Iterable[dict[str, Any]]) -> dict[str, dict[str, str]]:
    """Return the answers of annotation lines by question and image; several are joined in alphabetical order."""
    found: dict[str, dict[str, str]] = defaultdict(dict)
    for row in rows:
        for item in row["qa"]:
            if item["question"] in INFORMATIVE:
                parts = {part.strip() for answer in item["answers"] for part in answer.split(";")}
                found[item["question"]][row["image"]] = "; ".join(sorted(parts))
    return found


def frequent_answers(answers: list[str]) -> tuple[str, ...]:
    """Return a type's frequent answers, most frequent first; none where it is no single-answer type or has but one."""
    if sum(";" not in answer for answer in answers) < LEAST_SINGLE * len(answers):
        return ()
    counted = Counter(answers).most_common()
    least = max(LEAST_IMAGES, LEAST_SHARE * len(answers))
    kept = tuple(answer for answer, count in counted if count >= least and ";" not in answer)
    return kept if len(kept) > 1 else ()


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def _caption(row: dict[str, Any]) -> Caption:
    return Caption(ImageId(row["file"]), row["caption"], "teacher", "")
