"""A workspace of drawn figures, as large as asked for: images that are names only, pairs with made-up scores."""

from hashlib import sha256
from pathlib import Path

import numpy as np
from PIL import Image

from leaml.records import Project, QuestionType
from leaml.store import Store
from leaml.store.database import Database, now
from leaml.store.workspace import STORE_FILE

KINDS = tuple(QuestionType(f"type{n}", f"Question number {n}?", ("one", "two", "three")) for n in range(7))
PASSWORD = "correct horse"

_IMAGES = """INSERT INTO images
    SELECT sha256('i' || n), n || '.jpg', 'images/' || sha256('i' || n) || '.jpg', 'g' || n, 'pool', 640, 480
    FROM range(?) numbers(n)"""
_CAPTIONS = """INSERT INTO captions
    SELECT sha256('i' || n), 'A drawn picture with the number ' || n, 'teacher', 'Describe.', ?::TIMESTAMPTZ
    FROM range(?) numbers(n) WHERE n % 3 <> 0"""
_PAIRS = """INSERT INTO candidates
    SELECT 'r0001-' || image || '-' || n, image, 'Question number ' || (n % 7) || '?', ['one', 'two', 'three'], 'one',
        'type' || (n % 7), -chance, chance, [chance, (1 - chance) / 2, (1 - chance) / 2], 'r0001', 1
    FROM (SELECT n, sha256('i' || (n % ?)) AS image, hash(n) / 18446744073709551616.0 AS chance
          FROM range(?) numbers(n))"""


def make_workspace(folder: Path, *, images: int, pairs: int, reviewers: int = 0, drawn: bool = False) -> list[str]:
    """Make a workspace with pairs that wait for review; return the names of its reviewers.

    Args:
        folder: Must not exist.
        images: How many.
        pairs: How many.
        reviewers: How many people may sign in.
        drawn: Whether the images have files, for a browser.
    """
    folder.mkdir(parents=True)
    database = Database(folder / STORE_FILE)
    with database.transaction("make the workspace") as cursor:
        cursor.execute(_IMAGES, [images])
        cursor.execute(_CAPTIONS, [now(), images])
        cursor.execute(_PAIRS, [images, pairs])
        cursor.execute("INSERT INTO ingested_runs VALUES ('r0001', 'generator', ?)", [now()])
    database.close()
    names = reviewer_names(reviewers)
    with Store.open(folder) as store:  # puts the pairs in order
        store.save_project(Project("Drawn", "For measuring.", KINDS), author="nobody")
        for name in names:
            store.users.add(name, "reviewer", PASSWORD)
    if drawn:
        draw_images(folder / "images", images)
    return names


def reviewer_names(count: int) -> list[str]:
    """Return the names of the first reviewers of a workspace."""
    return [f"reviewer{number}" for number in range(count)]


def draw_images(folder: Path, count: int) -> None:
    """Write the files of the first images: grain of all sizes, 640 x 480 pixels, as heavy as photographs."""
    grain = np.random.default_rng(0)
    for number in range(count):
        coarse = Image.fromarray(grain.integers(0, 255, (48, 64, 3), dtype=np.uint8)).resize((640, 480))
        fine = Image.fromarray(grain.integers(0, 255, (480, 640, 3), dtype=np.uint8))
        name = sha256(f"i{number}".encode()).hexdigest()
        Image.blend(coarse, fine, 0.2).save(folder / f"{name}.jpg", quality=85)
