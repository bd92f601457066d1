"""The benchmark of the bundled model: its splits, its question lists, its verdicts, and one part from end to end."""

import csv
import json
import math
import re
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from assets.pretraining.model.tower import folded, load_tower
from assets.pretraining.texts.english import read_glosses
from benchmarks import unfrozen
from benchmarks.mini import grounding, language, obedience, probe, scenes, speed, supervised, timed
from benchmarks.mini.__main__ import PARTS, main
from benchmarks.mini.photos import LEAST_IMAGES, Photos, blood_smears, frequent_answers, kvasir
from benchmarks.mini.place import Amounts, Place
from benchmarks.mini.report import TARGETS, check_targets, table, write_docs
from benchmarks.mini.rows import Row, ratio_interval, share_row
from benchmarks.mini.splits import derangement, hold_out
from benchmarks.mini.timed import train_for, train_within
from leaml.models.backbone import BUNDLED_PATH
from leaml.records import AnsweredQuestion, ImageId
from leaml.training.objectives import Sample, answer_sample
from tests.conftest import place_question

TINY = Amounts(scenes=3, obedience=2, prior=20, distil_s=0.2, finetune_s=0.2, photos=16, repeats=3)


@pytest.fixture
def place(tmp_path):
    return Place("leaml-mini", tmp_path, amounts=TINY)


@pytest.mark.parametrize("count", [2, 3, 10, 101])
def test_a_derangement_has_no_fixed_point_and_uses_each_image_once(count):
    items = [f"image{n}" for n in range(count)]
    other = derangement(items, seed=0)
    assert set(other) == set(other.values()) == set(items)
    assert all(image != wrong for image, wrong in other.items())
    assert other == derangement(items, seed=0)


def test_one_image_has_no_wrong_image():
    with pytest.raises(ValueError, match="two or more"):
        derangement(["alone"], seed=0)


def test_a_split_keeps_groups_whole():
    groups = {f"image{n}": f"group{n // 3}" for n in range(60)}
    out = hold_out(groups, 0.25, seed=1)
    assert len(out) == 15
    assert not {groups[i] for i in out} & {group for image, group in groups.items() if image not in out}


def test_the_sample_is_its_pool_and_its_parts_share_no_group():
    photos = blood_smears()
    lines = [json.loads(line) for line in (photos.images["BloodImage_00000.jpg"].parents[1] / "images.jsonl").open()]
    assert set(photos.images) == {row["file"] for row in lines if row["split"] == "pool"}
    assert {q.image_id for q in photos.questions} | {c.image_id for c in photos.captions} <= set(photos.images)
    train, held = supervised.parts(photos)
    one, other = ({photos.groups[q.image_id] for q in part} for part in (train, held))
    assert one and other and not one & other
    assert len(train) + len(held) == len(photos.questions)


def test_frequent_answers_leave_out_rare_several_and_constant_ones():
    assert frequent_answers(["a"] * 40 + ["b"] * 20 + ["a; b"] * 20 + ["c"] * (LEAST_IMAGES - 1)) == ("a", "b")
    assert frequent_answers(["1"] * 100 + ["2"] * 3) == ()
    assert frequent_answers(["a"] * 20 + ["b"] * 20 + ["a; b"] * 60) == ()


def test_kvasir_is_read_without_its_test_side(tmp_path):
    rows = [
        {
            "image": f"{n}.jpg",
            "split": "test" if n % 5 == 0 else "train",
            "qa": [
                {"question": "Is there text?", "answers": ["yes" if n % 2 else "no"]},
                {"question": "What type of procedure is the image taken from?", "answers": ["colonoscopy"]},
            ],
        }
        for n in range(100)
    ]
    (tmp_path / "annotations.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    captions = [{"image": f"{n}.jpg", "caption": "A polyp."} for n in range(10)]
    (tmp_path / "captions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in captions))
    photos = kvasir(tmp_path)
    assert len(photos.images) == 80 and "5.jpg" not in photos.images and len(photos.captions) == 8
    assert {(q.type_id, frozenset(q.options)) for q in photos.questions} == {("text", frozenset(("yes", "no")))}


def test_an_answer_that_names_several_things_is_never_trained_on():
    photos = blood_smears()
    first = photos.questions[0]
    several = [type(q)(q.image_id, q.question, q.options, "left; right", q.type_id) for q in photos.questions]
    mixed = Photos("mixed", photos.images, photos.groups, [], [first, *several])
    train, held = supervised.parts(mixed)
    assert len(train) <= 1 and len(held) >= 100


def test_obedience_lists_are_novel_shuffled_and_of_2_to_8_options():
    seen = {q.options for n in range(300) for q in scenes.exam(n) if scenes.is_seen(q.skill)}
    known = {option for options in seen for option in options}
    for kind in obedience.NOVEL:
        asked = [question for _, question in obedience.questions_of(kind, 120)]
        assert len(asked) > 80
        assert not seen & {question.options for question in asked}
        assert all(2 <= len(set(q.options)) == len(q.options) <= 8 and q.answer in q.options for q in asked)
        places = [q.options.index(q.answer) / (len(q.options) - 1) for q in asked]
        assert 0.35 < np.mean(places) < 0.65
        assert max(len(q.options) for q in asked) == 8
    invented = [q for _, q in obedience.questions_of("invented words", 120)]
    assert not any(option in known for q in invented for option in q.options)
    assert all(q.answer in q.text for q in invented)  # the rule names it


def test_yes_no_and_counts_are_what_they_are_called():
    assert {frozenset(q.options) for _, q in obedience.questions_of("yes/no", 60)} == {frozenset(("yes", "no"))}
    assert {q.skill for _, q in obedience.questions_of("counts", 60)} == {"count", "dots"}


def rows(**values):
    """Return a row for each target, which meets it unless a value is given for its part's metric."""
    margin = {target: target.bound * (0.9 if target.at_most else 1.1) for target in TARGETS}
    return [
        Row(t.part, t.subject, t.metric, "share", values.get(f"{t.subject} {t.metric}", margin[t]), 10) for t in TARGETS
    ]


def test_a_run_within_its_targets_meets_them_all():
    assert {verdict.state for verdict in check_targets(rows())} == {"met"}


@pytest.mark.parametrize(
    ("what", "value"),
    [("macro accuracy", 0.84), ("folder size", 61.0), ("blood_smears, after caption loss", 2.1)],
)
def test_a_missed_target_is_marked(what, value, tmp_path):
    verdicts = check_targets(rows(**{what: value}))
    missed = [verdict for verdict in verdicts if verdict.state == "missed"]
    assert len(missed) == 1 and f"{value:.3g}" in missed[0].sentence
    write_docs(rows(), verdicts, model="leaml-mini", path=tmp_path / "mini.md")
    assert f"- **missed**: {missed[0].sentence}" in (tmp_path / "mini.md").read_text()


def test_what_was_not_measured_is_neither_met_nor_missed():
    assert {verdict.state for verdict in check_targets([])} == {"not measured"}


def test_a_share_has_wilsons_interval():
    found = share_row("part", "subject", "metric", [True] * 9 + [False])
    assert (found.value, found.count) == (0.9, 10)
    assert found.low == pytest.approx(0.5958, abs=1e-3) and found.high == pytest.approx(0.9821, abs=1e-3)


def test_a_ratio_is_weighted_by_tokens_and_its_interval_holds_it():
    found = ratio_interval([2.0, 30.0, 4.0], [1, 10, 2])
    assert found.value == 36 / 13 and found.low <= found.value <= found.high
    assert ratio_interval([3.0, 6.0], [1, 2]).low == pytest.approx(3.0)


def test_the_probe_finds_what_is_linear_in_the_tokens():
    generator = np.random.default_rng(0)
    tokens = generator.normal(size=(60, 4, 6)).astype(np.float32)
    answers = ["left" if token[2, 3] > 0 else "right" for token in tokens]
    tokens[:, 2, 3] *= 8
    products, train, test = probe.kernel(tokens), list(range(45)), list(range(45, 60))
    found = probe.predict(products, answers, train, test)
    assert np.mean([guess == answers[i] for guess, i in zip(found, test, strict=True)]) > 0.7


def test_majority_of_a_skill_comes_from_how_often_an_option_was_right():
    question = obedience.Question
    rates = scenes.answer_rates([question("s", "?", ("a", "b"), "a")] * 8 + [question("s", "?", ("a", "b"), "b")] * 2)
    assert rates["s", "a"] == 8 / 12 and rates["s", "b"] == 2 / 12


def test_timed_training_moves_the_decoder_alone_and_counts_its_steps(backbone, features):
    samples = [answer_sample(place_question(f"picture{n}", n)) for n in range(6)]
    before = {name: weight.clone() for name, weight in backbone.model.state_dict().items()}
    trained = train_for(backbone, features, samples, seconds=0.5, lesson=timed.Lesson(batch_size=4))
    assert trained.steps >= 1 and math.isfinite(trained.loss)
    decoder = set(backbone.decoder_weights())
    moved = {name for name, weight in backbone.model.state_dict().items() if not weight.equal(before[name])}
    assert moved & decoder
    assert all(backbone.frozen_state()[name].equal(before[name]) for name in backbone.frozen_state())
    assert not any(weight.requires_grad for weight in backbone.model.parameters())


def test_mirrored_pictures_are_encoded_before_the_clock_starts(backbone, features, monkeypatch):
    samples = [answer_sample(place_question(f"picture{n}", n)) for n in range(3)]
    known: list[set[str]] = []

    def time_passes(*_):
        known.append(set(features.ids()))
        return 1.0

    monkeypatch.setattr(timed, "time_passes", time_passes)
    trained = train_for(backbone, features, samples, seconds=1.0, lesson=timed.Lesson("both"))
    assert known[0] >= {f"picture{n}{way}" for n in range(3) for way in ("", "@h", "@v", "@hv")}
    assert trained.steps == 1 and trained.encoding > 0


def test_timed_training_stops_where_what_was_not_learnt_gets_worse(backbone, features, monkeypatch):
    monkeypatch.setattr(timed, "time_passes", lambda *_: 0.05)
    monkeypatch.setattr(timed, "LATE", 1000)
    worse = iter(range(1, 100))
    monkeypatch.setattr(timed, "mean_loss", lambda *_: abs(3.2 - next(worse)))  # least at the third look
    samples = [answer_sample(place_question(f"picture{n}", n)) for n in range(5)]
    apart, lesson = {s.image_id: s.image_id for s in samples}, timed.Lesson(batch_size=2)
    trained = train_within(backbone, features, samples, apart, seconds=3.6, lesson=lesson)
    assert trained.searched == 36
    assert trained.steps == round(9 * 5 / 4)  # as many passes, over five pictures instead of four


def test_a_wrong_image_changes_the_loss_of_a_caption(backbone, features):
    samples = [Sample(f"picture{n}", "Describe the image.", "A disc on the left.") for n in range(4)]
    found = {row.metric: row for row in grounding.caption_rows(backbone, features, samples, "discs")}
    difference = found["caption loss, wrong image"].value - found["caption loss"].value
    assert found["wrong minus right"].value == pytest.approx(difference, abs=1e-6)
    assert found["caption perplexity"].value == pytest.approx(math.exp(found["caption loss"].value))


def test_drawn_scenes_and_photographs_are_measured_end_to_end(place):
    found = [*scenes.measure(place), *obedience.measure(place), *supervised.measure(place)]
    names = {(row.part, row.subject) for row in found}
    assert {("scenes", "macro"), ("obedience", "novel lists"), ("supervised", "blood_smears, fine-tuned")} <= names
    assert {"blood_smears, linear probe of the tower", "blood_smears, linear probe of the projector"} <= {
        row.subject for row in found
    }
    assert all(0 <= row.value <= 1 for row in found if row.unit == "share")
    assert table(found).count("\n") == 2 + len(found)


def test_speed_alone_works_end_to_end(tmp_path, monkeypatch):
    monkeypatch.setitem(PARTS, "speed", lambda place: speed.measure(Place(place.model, place.work, amounts=TINY)))
    arguments = ["--only", "speed", "--json", str(tmp_path / "out.json"), "--log", str(tmp_path / "log.csv")]
    code = main(arguments)
    written = json.loads((tmp_path / "out.json").read_text())
    assert {row["part"] for row in written["rows"]} == {"speed"}
    assert code == int(any(target["state"] == "missed" for target in written["targets"]))
    assert sum(target["state"] == "not measured" for target in written["targets"]) == len(TARGETS) - 2
    logged = list(csv.DictReader((tmp_path / "log.csv").open()))
    assert len(logged) == len(written["rows"]) and logged[0]["benchmark"] == "mini leaml-mini"


def test_a_model_with_more_image_tokens_is_measured_as_well(tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(BUNDLED_PATH, folder)
    settings = (folder / "processor_config.json").read_text()
    changed = re.sub(r'"(height|width)": \d+', r'"\1": 320', settings)
    (folder / "processor_config.json").write_text(changed)
    place = Place(str(folder), tmp_path / "work", amounts=TINY)
    features = place.scene_features(place.backbone(), 2)
    assert all(len(image.features) > 64 for (image,) in features.batch(features.ids()))
    assert next((tmp_path / "work").glob("scenes_320/*.png")).exists()
    assert {row.part for row in obedience.measure(place)} == {"obedience"}


def test_english_is_measured_on_words_that_training_leaves_out(tmp_path):
    lines = [
        f"00001740 03 n 01 {word} 0 000 | the meaning of {word} in plain words"
        for word in (f"word{n}" for n in range(400))
    ]
    (tmp_path / "data.noun").write_text("\n".join(lines) + "\n")
    trained, held = read_glosses(tmp_path), read_glosses(tmp_path, held_out=True)
    assert len(trained) + len(held) == 400 and 2 <= len(held) <= 20
    place = Place("leaml-mini", tmp_path, wordnet=tmp_path, amounts=TINY)
    nats, bits = language.measure(place)
    assert 0 < bits.value < nats.value < 20
    losses, tokens = language.gloss_losses(place.backbone(), held[:2])
    alone = [language.gloss_losses(place.backbone(), [pair])[0][0] for pair in held[:2]]
    assert losses == pytest.approx(alone, rel=1e-3)  # padding changes nothing
    assert all(count > 3 for count in tokens)


def test_only_the_named_blocks_of_the_tower_are_trained_and_the_head_learns(tmp_path, monkeypatch):
    """Pictures that are red or blue: any reader of them is right, and the frozen part of the tower stays as it was."""
    rows, answers = {}, ("blue", "red")
    for n in range(12):
        rows[ImageId(f"{n}")] = tmp_path / f"{n}.png"
        Image.new("RGB", (64, 64), answers[n % 2]).save(rows[ImageId(f"{n}")])
    asked = [AnsweredQuestion(image, "Color?", answers, answers[n % 2], "color") for n, image in enumerate(rows)]
    drawn = Photos("drawn", rows, {image: image for image in rows}, [], asked)
    monkeypatch.setattr(unfrozen, "EPOCHS", 4)
    before = {name: value.clone() for name, value in folded(load_tower()).encoder.state_dict().items()}
    reader, states, kinds = unfrozen.trained(drawn, "from stride 32", seed=0)
    after = reader.blocks.state_dict()
    assert all(name.split(".")[0].isdigit() for name in after) and states.shape[1:] == (112, 16, 16)
    assert any(not value.equal(before[f"blocks.{11 + int(name[0])}{name[1:]}"]) for name, value in after.items())
    with torch.inference_mode():
        scores = reader(states)[1]
    held = drawn.held_out(0.3, seed=0)
    assert unfrozen.head_accuracy(drawn, scores, kinds, held) == 1.0
    assert unfrozen.head_accuracy(drawn, -scores, kinds, held) == 0.0
    frozen, states, _ = unfrozen.trained(drawn, "nothing", seed=0)
    assert not list(frozen.blocks) and states.shape[1:] == (320, 8, 8)
    top = folded(load_tower()).encoder.top_conv.state_dict()
    assert all(value.equal(top[name]) for name, value in frozen.top[0].state_dict().items())
