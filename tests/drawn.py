"""A small project of drawn pictures for tests of the app: a dot left or right, with reference answers."""

import atexit
import hashlib
import shutil
import tempfile
from functools import cache
from io import BytesIO
from pathlib import Path

from PIL import Image, ImageDraw

from leaml.records import (
    AnsweredQuestion,
    Candidate,
    Caption,
    ImageId,
    ImageRow,
    Project,
    QuestionType,
    RunId,
)
from leaml.store import Store

SIDE = QuestionType("side", "On which side is the dot?", ("left", "right"))
COLOUR = QuestionType("colour", "Which colour is the dot?", ("red", "green", "blue"))
PROJECT = Project("Drawn dots", "Dots on plain ground.", (SIDE, COLOUR))
COLOURS = {"red": "#c0392b", "green": "#1e8449", "blue": "#2471a3"}
RUN = RunId("r0001")


def fill(workspace: Path, *, pool: int = 12, test: int = 4, candidates: int = 0, references: bool = True) -> None:
    """Put the project into a new workspace; `candidates` pairs about the pool's first images wait for review."""
    shutil.copytree(_filled(pool, test, candidates, references), workspace, dirs_exist_ok=True)


@cache
def _filled(pool: int, test: int, candidates: int, references: bool) -> Path:
    """Make such a workspace once a process: hundreds of tests begin with a few kinds of them."""
    folder = tempfile.mkdtemp(prefix="leaml_drawn_")
    atexit.register(shutil.rmtree, folder)
    workspace = Path(folder) / "work"
    _fill(workspace, pool, test, candidates, references)
    return workspace


def _fill(workspace: Path, pool: int, test: int, candidates: int, references: bool) -> None:
    with Store.open(workspace) as store:
        images, answers, captions = [], [], []
        for number in range(pool + test):
            side, colour = SIDE.options[number % 2], COLOUR.options[number % 3]
            image_id, name = _draw(workspace, number, side, colour)
            split = "pool" if number < pool else "test"
            images.append(ImageRow(image_id, name, f"images/{image_id}.png", name, split, 240, 180))
            answers.append(AnsweredQuestion(image_id, SIDE.question, SIDE.options, side, SIDE.id))
            answers.append(AnsweredQuestion(image_id, COLOUR.question, COLOUR.options, colour, COLOUR.id))
            if split == "pool":
                captions.append(Caption(image_id, f"A {colour} dot on the {side}.", "nobody", "Describe the image."))
        store.import_project(PROJECT, images, references=answers if references else (), captions=captions)
        if candidates:
            store.results.add_generator_run(RUN, [_candidate(image, n) for n, image in enumerate(images[:candidates])])


def _draw(workspace: Path, number: int, side: str, colour: str) -> tuple[ImageId, str]:
    picture = Image.new("RGB", (240, 180), (240 - number, 238, 230))
    x = 60 if side == "left" else 180
    ImageDraw.Draw(picture).ellipse((x - 30, 60, x + 30, 120), fill=COLOURS[colour])
    data = BytesIO()
    picture.save(data, "PNG")
    image_id = ImageId(hashlib.sha256(data.getvalue()).hexdigest())
    (workspace / "images" / f"{image_id}.png").write_bytes(data.getvalue())
    return image_id, f"dot_{number:02d}.png"


def _candidate(image: ImageRow, number: int) -> Candidate:
    kind = PROJECT.question_types[number % 2]
    even = tuple(1 / len(kind.options) for _ in kind.options)
    return Candidate(
        id=f"{RUN}-{number:03d}",
        image_id=image.id,
        question=kind.question,
        options=kind.options,
        answer=kind.options[0],
        type_id=kind.id,
        log_probability=-0.5,
        agreement=even[0],
        option_probabilities=even,
        run_id=RUN,
        round=1,
    )
