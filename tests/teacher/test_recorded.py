"""Captions that came with the project or were kept earlier."""

from dataclasses import replace
from datetime import UTC, datetime

from leaml.records import Caption, ImageId
from leaml.teacher.recorded import recorded_captions


def test_the_newest_recorded_caption_of_each_unlabelled_image_is_used():
    old, new = (Caption(ImageId("i0"), text, text, "p") for text in ("old", "new"))
    labelled = Caption(ImageId("i1"), "x", "t", "p")
    assert recorded_captions([old, new, labelled], images={ImageId("i0")}) == [new]


def test_captions_of_an_older_workspace_stay(tmp_path, monkeypatch):
    from leaml.store import Store, migrations
    from leaml.store.database import Database
    from leaml.store.workspace import STORE_FILE

    step = next(n for n, sql in enumerate(migrations.MIGRATIONS) if isinstance(sql, str) and "first_captions" in sql)
    with monkeypatch.context() as older:
        older.setattr("leaml.store.database.MIGRATIONS", migrations.MIGRATIONS[:step])
        database = Database(tmp_path / STORE_FILE)
        with database.transaction("fill") as cursor:
            cursor.execute("INSERT INTO captions VALUES ('i0', 'A disc.', 'me', 'p')")
        database.close()
    with Store.open(tmp_path) as store:
        assert store.captions.all() == [Caption(ImageId("i0"), "A disc.", "me", "p")]
        again = Caption(ImageId("i0"), "Other words.", "me", "p", datetime.now(UTC))
        other = replace(again, teacher="you")
        store.captions.add([again, other])
        assert [caption.text for caption in store.captions.all()] == ["A disc.", "Other words."]
        assert store.captions.newest(ImageId("i0")) == other
