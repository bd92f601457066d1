"""What an export calls images of which two have one name."""

import json
from dataclasses import replace

from leaml.data.export import export
from tests.store.test_store import image, pair, store  # noqa: F401 - a fixture


def test_images_of_one_name_are_told_apart(store, tmp_path):  # noqa: F811
    store.import_project(store.project(), [replace(image(20), name="0.jpg")])  # from another folder
    for number in (0, 1, 20):
        store.add_label(pair(number), author="ann", seconds=1.0)
    export(store, tmp_path / "pairs.json")
    shown = [row["image"] for row in json.loads((tmp_path / "pairs.json").read_text())]
    assert shown == ["images/i0.jpg", "1.jpg", "images/i20.jpg"]
    export(store, tmp_path / "answers.csv")
    lines = (tmp_path / "answers.csv").read_text(encoding="utf-8-sig").splitlines()[1:]
    assert [line.split(",")[0] for line in lines] == ["i0", "1.jpg", "i20"]
