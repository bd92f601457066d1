"""The sample project as it lies in the repository: complete, without leaks, and within its size."""

import json
import re
from collections import Counter, defaultdict
from pathlib import Path

import pytest
from PIL import Image

SAMPLE = Path(__file__).parents[1] / "data" / "samples" / "blood_smears"
NAMED_PAIRS = (
    "204/277 205/276 206/278 223/263 227/260 230/257 231/256 232/255 236/253 237/252 243/250 244/247 382/395 "
    "384/393 386/391"
)
"""The near-duplicates that SOURCE.md names."""


def rows(name: str) -> list[dict[str, str]]:
    return [json.loads(line) for line in (SAMPLE / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def images() -> dict[str, dict[str, str]]:
    return {row["file"]: row for row in rows("images")}


@pytest.fixture(scope="module")
def question_types() -> dict[str, dict[str, object]]:
    project = json.loads((SAMPLE / "project.json").read_text(encoding="utf-8"))
    return {kind["id"]: kind for kind in project["question_types"]}


def test_every_listed_image_exists_opens_and_is_small(images):
    assert len(images) == len(rows("images")) == 364
    assert {path.name for path in (SAMPLE / "images").iterdir()} == set(images)
    for file in images:
        with Image.open(SAMPLE / "images" / file) as image:
            image.load()
            assert max(image.size) <= 512, file


def test_no_group_lies_on_both_sides(images):
    sides = defaultdict(set)
    for row in images.values():
        assert row["split"] in ("pool", "test")
        sides[row["group"]].add(row["split"])
    assert [group for group, found in sides.items() if len(found) > 1] == []
    assert 70 <= Counter(row["split"] for row in images.values())["test"] <= 80


@pytest.mark.parametrize("pair", NAMED_PAIRS.split())
def test_a_named_near_duplicate_pair_shares_a_group(images, pair):
    first, second = (images[f"BloodImage_{int(number):05d}.jpg"] for number in pair.split("/"))
    assert first["group"] == second["group"]


def test_question_types_are_well_formed(question_types):
    assert 6 <= len(question_types) <= 8
    for kind in question_types.values():
        assert re.fullmatch(r"[a-z]+(_[a-z]+)*", kind["id"])
        assert kind["question"].endswith("?")
        assert 2 <= len(set(kind["options"])) == len(kind["options"]) <= 4


def test_every_reference_answer_is_an_option_given_once(images, question_types):
    references = rows("reference")
    asked = [(row["file"], row["question_type"]) for row in references]
    assert len(set(asked)) == len(asked)
    for row in references:
        assert row["file"] in images
        assert row["answer"] in question_types[row["question_type"]]["options"], row


def test_every_option_occurs_on_both_sides(images, question_types):
    found = {(images[row["file"]]["split"], row["question_type"], row["answer"]) for row in rows("reference")}
    options = {(kind["id"], option) for kind in question_types.values() for option in kind["options"]}
    assert found == {(side, *option) for side in ("pool", "test") for option in options}


def test_captions_belong_to_pool_images_and_come_once(images):
    files = [row["file"] for row in rows("captions")]
    assert len(set(files)) == len(files) > 250
    assert [file for file in files if images[file]["split"] != "pool"] == []
    assert all(row["caption"].strip() for row in rows("captions"))


def test_the_data_card_gives_the_counts_of_the_reference_answers(images):
    references = rows("reference")
    count = Counter((images[row["file"]]["split"], row["question_type"], row["answer"]) for row in references)
    card = (SAMPLE / "README.md").read_text(encoding="utf-8")
    stated = {}
    line = r"^\| `(\w+)` \| ([\w ]+) \| (\d+) \| (\d+) \|$"
    for kind, option, pool, test in re.findall(line, card, re.MULTILINE):
        stated["pool", kind, option], stated["test", kind, option] = int(pool), int(test)
    assert stated == dict(count)


def test_total_size_is_under_eight_megabytes():
    assert sum(path.stat().st_size for path in SAMPLE.rglob("*") if path.is_file()) < 8_000_000


def test_licence_and_source_are_kept_and_no_file_names_a_machine_path():
    files = [path for path in SAMPLE.parent.rglob("*") if path.is_file()]
    texts = [path for path in files if path.suffix not in (".jpg", ".pyc")]
    assert {"LICENSE", "SOURCE.md", "README.md"} <= {path.name for path in texts}
    for path in texts:
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"(^|[\s\"'`(=])/(work|home|tmp|root|mnt|Users)\b", text, re.MULTILINE), path
