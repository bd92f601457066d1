"""The benchmark of label efficiency: draws, the log, differences over draws and images, and one small study."""

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.label_efficiency import log, report, sources
from benchmarks.label_efficiency.choices import _offered, choose_labels
from benchmarks.label_efficiency.collection import Collection, blood_smears, kvasir
from benchmarks.label_efficiency.compare import Exam, _estimate, _Replicated, accuracy, difference, recovered
from benchmarks.label_efficiency.draws import doubtful_order, draw_labels, label_count, queue_order
from benchmarks.label_efficiency.headline import Headline
from benchmarks.label_efficiency.methods import BY_NAME, LEAML, METHODS, Budget, Method, Pairs, Recipe
from benchmarks.label_efficiency.run import main
from benchmarks.label_efficiency.study import Study, as_decision
from leaml.config import FinetuneConfig, GeneratorConfig, SamplingConfig
from leaml.labelling.order import Guess
from leaml.recipes import generator_recipe
from leaml.records import Candidate, ImageId, RunId
from leaml.stats.clusters import draw_clusters

TRIALS = 600


@pytest.fixture(scope="module")
def sample() -> Collection:
    """The bundled sample."""
    return blood_smears()


def small(sample: Collection) -> Collection:
    """A few images of it, one question type a side of the wall."""
    pool = [image for image in sample.images if image.split == "pool"][:14]
    test = [image for image in sample.images if image.split == "test"][:6]
    images = (*pool, *test)
    ids = {image.id for image in images}
    return replace(
        sample,
        images=images,
        references=tuple(pair for pair in sample.references if pair.image_id in ids),
        captions=tuple(caption for caption in sample.captions if caption.image_id in ids),
    )


def run_of(sample: Collection, right: np.ndarray, **values: object) -> log.Run:
    """A line of the log with these answers."""
    given = {"draw": 0, "seed": 0, "method": "m", **values}
    return log.Run(
        collection=sample.name, share=0.05, labels=9, budget="", model="", macro=0.0, majority=0.0, pairs=0,
        precision=None, reviewed=0, seconds=1.0, right=log.pack(right), machine="", at="", **given,
    )  # fmt: skip


def test_the_two_sides_share_no_group(sample):
    sides = {split: {image.group for image in sample.images if image.split == split} for split in ("pool", "test")}
    assert sides["pool"] and sides["test"] and not sides["pool"] & sides["test"]
    assert {caption.image_id for caption in sample.captions} <= {i.id for i in sample.images if i.split == "pool"}


def test_settings_are_chosen_inside_the_pool(sample):
    inner, pool = sample.inner(), {image.id for image in sample.images if image.split == "pool"}
    assert {image.id for image in inner.images} == pool
    assert {pair.image_id for pair in inner.pool} | {pair.image_id for pair in inner.test} <= pool
    assert inner.pool and inner.test and len(inner.pool) + len(inner.test) == len(sample.pool)
    sides = {split: {image.group for image in inner.images if image.split == split} for split in ("pool", "test")}
    assert not sides["pool"] & sides["test"]
    assert not {caption.image_id for caption in inner.captions} & {pair.image_id for pair in inner.test}


def test_draws_take_types_in_turn_and_new_images_and_grow(sample):
    labels = draw_labels(sample.pool, 35, seed=3)
    assert set(Counter(pair.type_id for pair in labels).values()) == {5}
    assert len({pair.image_id for pair in labels}) == 35
    assert draw_labels(sample.pool, 70, seed=3)[:35] == labels != draw_labels(sample.pool, 35, seed=4)
    assert len(draw_labels(sample.pool[:5], 9, seed=0)) == 5
    assert label_count(sample.pool[:100], 0.01) == 12 and label_count(sample.pool, 0.1) >= len(sample.pool) / 10


def test_the_least_sure_pair_of_each_type_is_reviewed_first():
    def pair(name: str, kind: str, sure: float) -> Candidate:
        return Candidate(name, ImageId(name), "?", ("a", "b"), "a", kind, -1.0, sure, (sure, 1 - sure), RunId("r"), 1)

    queue = doubtful_order([pair("1", "x", 0.9), pair("2", "x", 0.6), pair("3", "y", 0.99), pair("4", "x", 0.7)])
    assert [row.id for row in queue] == ["2", "3", "4", "1"]


def test_in_the_apps_order_half_of_the_pairs_come_at_random():
    def pair(number: int) -> Candidate:
        sure = number / 400
        name, image = f"{number:03d}", ImageId(str(number))
        return Candidate(name, image, "?", ("a", "b"), "a", "x", -1.0, sure, (sure, 1 - sure), RunId("r"), 1)

    pairs = [pair(number) for number in range(200, 400)]
    queue, doubtful = queue_order(pairs), {row.id for row in doubtful_order(pairs)[:50]}
    assert len(queue) == 200
    # The doubtful quarter is in either half as often: one half brings it first, the other as chance has it.
    assert 30 <= sum(row.id in doubtful for row in queue[:100]) <= 45


def test_the_log_keeps_every_answer_and_every_line(tmp_path, sample):
    right = np.random.default_rng(0).random(len(sample.test)) < 0.6
    assert log.unpack(log.pack(right), len(right)).tolist() == right.tolist()
    runs = [run_of(sample, right, draw=n) for n in range(20)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda run: log.append(run, tmp_path / "runs.csv"), runs))
    assert sorted(log.read(tmp_path / "runs.csv"), key=lambda run: run.draw) == runs
    assert log.read(tmp_path / "none.csv") == []


def test_estimates_are_means_and_differences_are_paired(sample):
    exam, chance = Exam(sample), np.random.default_rng(1)
    count = len(sample.test)
    low = [run_of(sample, chance.random(count) < 0.5, draw=d, seed=s) for d in range(3) for s in range(2)]
    high = [run_of(sample, chance.random(count) < 0.9, draw=d, seed=s) for d in range(3) for s in range(2)]
    found = accuracy(low, exam)
    assert found.low < found.value < found.high and abs(found.value - 0.5) < 0.05 and found.runs == 6
    gained = difference(high, low, exam)
    assert gained is not None and 0.3 < gained.low < gained.value < gained.high < 0.5
    assert gained.value == pytest.approx(accuracy(high, exam).value - found.value)
    none = difference(low, low, exam)
    assert none is not None and (none.value, none.low, none.high) == (0, 0, 0)
    fewer = difference(high[:2], low, exam)
    assert fewer is not None and fewer.runs == 2
    assert difference(high, [replace(run, draw=9) for run in low], exam) is None
    way = [recovered(runs, low, high, exam) for runs in (low, high)]
    assert [round(row.value, 6) for row in way if row] == [0, 1]
    assert recovered(high, high, low, exam) is None


def test_draws_count_the_same_however_many_seeds_each_has(sample):
    exam, count = Exam(sample), len(sample.test)
    all_right, none_right = np.ones(count, bool), np.zeros(count, bool)
    runs = [run_of(sample, all_right, draw=0, seed=seed) for seed in range(3)]
    runs.append(run_of(sample, none_right, draw=1, seed=0))
    assert accuracy(runs, exam).value == pytest.approx(0.5), "the point is of what its interval is"


def test_more_draws_tell_more(sample):
    """With one true accuracy for every draw the interval shrinks; draws that differ keep it wide."""
    exam, chance, count = Exam(sample), np.random.default_rng(2), len(sample.test)
    alike = [run_of(sample, chance.random(count) < 0.6, draw=d) for d in range(5)]
    apart = [run_of(sample, chance.random(count) < p, draw=d) for d, p in enumerate((0.3, 0.45, 0.6, 0.75, 0.9))]
    narrow, wide = accuracy(alike, exam), accuracy(apart, exam)
    assert wide.high - wide.low > 2 * (narrow.high - narrow.low)


@pytest.mark.parametrize("draws", [1, 2, 3, 5])
def test_intervals_over_few_draws_cover_what_they_say(draws):
    """Draws of standard deviation .03 to .05 and a test of 69 groups, as measured; one draw says nothing of others."""
    chance, clusters, covered = np.random.default_rng(3), draw_clusters(69), 0
    for _ in range(TRIALS):
        of_draw = chance.normal(0, 0 if draws == 1 else 0.04, draws)
        of_image = chance.normal(0, 0.15, 69)
        answers = of_draw[:, None] + of_image + chance.normal(0, 0.1, (draws, 69))
        found = _estimate(_Replicated(answers.mean(1), clusters @ answers.mean(0) / 69, 69), draws)
        covered += found.low <= 0 <= found.high
    assert 0.92 * TRIALS <= covered <= 0.99 * TRIALS


def test_a_model_that_no_draw_touches_is_one_model(sample):
    right = np.random.default_rng(2).random(len(sample.test)) < 0.6
    copied = accuracy([run_of(sample, right, draw=d) for d in range(5)], Exam(sample))
    assert copied.runs == 1 and copied == accuracy([run_of(sample, right)], Exam(sample))


def test_the_figure_goes_on_from_the_labels_through_the_reviews(sample):
    right = np.random.default_rng(2).random(len(sample.test)) < 0.6
    asked = {"LoRA": 0, "LEAML, 200 reviewed": 200, "LEAML, 50 reviewed": 50}
    runs = [replace(run_of(sample, right, method=name), labels=100, reviewed=n) for name, n in asked.items()]
    labels = label_count(sample.pool, 0.05)
    drawn = {line.name: list(line.x) for line in report.figure(runs, sample).data}
    assert drawn == {"LoRA": [20], f"LEAML, reviewed, {labels} labels": [20, 20 + 50 / 15, 20 + 200 / 15]}
    alone = report.figure(runs[:1], sample)
    assert [line.name for line in alone.data] == ["LoRA"]


def test_the_figure_shows_the_recipe_of_the_app_where_it_ran(sample):
    right = np.random.default_rng(2).random(len(sample.test)) < 0.6
    asked = {"LoRA": 0, "LEAML": 0, "LoRA, mirrored": 0, "LEAML, continued, mirrored": 0}
    asked["LEAML, continued, 200 reviewed, mirrored"] = 200
    runs = [replace(run_of(sample, right, method=name), labels=100, reviewed=n) for name, n in asked.items()]
    drawn = {line.name: list(line.x) for line in report.figure(runs, sample).data}
    reviewed = f"LEAML, reviewed, {label_count(sample.pool, 0.05)} labels"
    assert drawn == {"LoRA": [20], "LEAML, nobody reviews": [20], reviewed: [20, 20 + 200 / 15]}
    assert {line.name for line in report.figure(runs[:2], sample).data} == {"LoRA", "LEAML, nobody reviews"}


def test_the_headline_compares_the_apps_recipe_with_its_like_and_at_equal_effort(sample):
    chance, count, reviewed = np.random.default_rng(4), len(sample.test), "LEAML, continued, 200 reviewed, mirrored"
    cells = (
        ("zero-shot", 0.02, 0, 0, 0.3),
        ("full fine-tuning, mirrored", 0.02, 40, 0, 0.4),
        ("LoRA, mirrored", 0.02, 40, 0, 0.5),
        ("LoRA", 0.02, 40, 0, 0.95),
        ("LEAML, continued, mirrored", 0.02, 40, 0, 0.45),
        (reviewed, 0.02, 40, 200, 0.8),
        ("LoRA, mirrored", 0.05, 100, 0, 0.6),
        ("LoRA, mirrored", 0.10, 200, 0, 0.7),
        ("fully supervised, mirrored", 0.02, 1988, 0, 0.9),
    )
    runs = [
        replace(run_of(sample, chance.random(count) < p, method=name), share=share, labels=labels, reviewed=reviews)
        for name, share, labels, reviews, p in cells
    ]
    found = {(run.method, run.share): accuracy([run], Exam(sample)).value for run in runs}
    lines = [line.strip("| ").split(" | ") for line in Headline(sample, runs).markdown().splitlines() if "| " in line]
    rows = {(cells[0], cells[1]): cells for cells in lines}
    ours = rows["40 + 200", "**LEAML, reviewed**, the most doubtful pairs first"]
    assert ours[2:4] == ["21", "88"]
    for column, beside in ((5, "full fine-tuning, mirrored"), (6, "LoRA, mirrored")):
        less = found[reviewed, 0.02] - found[beside, 0.02]
        assert float(ours[column].split()[0]) == pytest.approx(less, abs=6e-4)
    lora = float(rows["40", "LoRA"][4].split()[0])
    assert lora == pytest.approx(found["LoRA, mirrored", 0.02], abs=6e-4), "not the one without mirrored pictures"
    assert rows["40", "LoRA"][6] == "", "no difference from itself"
    assert ("0", "zero-shot") in rows and ("1988", "all labels, 60 updates, which read 960 of them, mirrored") in rows
    equal = {cells[1]: float(cells[3].split()[0]) for cells in lines if cells[0].startswith("40 labels, 200 reviews")}
    for labels, share in ((100, 0.05), (200, 0.10)):
        less = found[reviewed, 0.02] - found["LoRA, mirrored", share]
        assert equal[f"LoRA with {labels} labels"] == pytest.approx(less, abs=6e-4)


def test_mirrored_methods_are_compared_with_mirrored_ones(sample):
    chance, count = np.random.default_rng(3), len(sample.test)
    shares = {"full fine-tuning": 0.4, "full fine-tuning, mirrored": 0.5, "LoRA": 0.6, "LoRA, mirrored": 0.8}
    runs = [run_of(sample, chance.random(count) < share, method=name) for name, share in shares.items()]
    (table,) = report.tables(runs, [sample])
    rows = {line.split(" | ")[0][2:]: line.split(" | ")[3] for line in table.markdown().splitlines()[3:]}
    less = {name: text and float(text.split()[0]) for name, text in rows.items()}
    found = {run.method: accuracy([run], Exam(sample)).value for run in runs}
    assert less["full fine-tuning"] == less["full fine-tuning, mirrored"] == ""
    for end in ("", ", mirrored"):
        assert less[f"LoRA{end}"] == pytest.approx(found[f"LoRA{end}"] - found[f"full fine-tuning{end}"], abs=6e-4)


def test_methods_of_earlier_code_stay_in_the_tables_below_todays(sample):
    right = np.ones(len(sample.test), dtype=bool)
    names = ("LoRA, flips", "LEAML", "LoRA")
    (table,) = report.tables([run_of(sample, right, method=name) for name in names], [sample])
    assert list(table.by_method) == ["LoRA", "LEAML", "LoRA, flips"]


def test_neighbouring_methods_differ_in_one_thing():
    assert len(BY_NAME) == len(METHODS)
    budget = Budget()
    assert budget.generator == GeneratorConfig().train.steps and budget.judge == GeneratorConfig().judge.steps
    assert budget.finetune == FinetuneConfig("leaml").train.steps
    assert budget.samples == SamplingConfig().pairs_per_image
    plain, distilled = (BY_NAME[f"pseudo pairs, {name}"] for name in ("no captions", "distilled, all weights"))
    first, second, third = (method.recipe.config(budget, seed=1) for method in (plain, distilled, LEAML))
    assert replace(first, caption_weight=second.caption_weight) == second
    assert replace(second, selection=third.selection, train=third.train) == third  # each has the rate that suits it
    contrasted, mirrored = (
        BY_NAME[name].recipe.config(budget, seed=1) for name in ("LEAML, contrast", "LEAML, contrast, mirrored")
    )
    assert replace(third, contrast=generator_recipe().contrast) == contrasted
    assert replace(contrasted, train=replace(contrasted.train, flips="both")) == mirrored
    longer = {method.name for method in METHODS if method.config(budget, seed=0).train.steps != budget.finetune}
    assert longer == {"fully supervised, 4 times the updates", "fully supervised, 4 times the updates, mirrored"}


TINY = Budget(generator=5, judge=5, finetune=5, samples=1)


def test_a_study_makes_each_generator_once_and_keeps_the_wall(sample, tmp_path):
    study = Study(small(sample), 0.05, 0, 0, TINY, tmp_path)
    free = Recipe("free", row_budget=0.1, mask="random")
    for method in (Method("plain", moves="none"), Method("all", labels="all")):
        outcome = study.run(method)
        assert [(row.image_id, row.question) for row in outcome.predictions] == [
            (pair.image_id, pair.question) for pair in study.collection.test
        ]
        assert (outcome.pairs, outcome.reviewed, outcome.precision) == (0, 0, None)
    began = time.monotonic()
    outcome = study.run(Method("first", recipe=free))
    assert outcome.seconds <= time.monotonic() - began, "whoever makes the generator counts its time once"
    assert outcome.pairs == 0  # five steps teach no format: the model is trained on the labels alone
    made = study.folder / "generators" / "free" / "output" / "selection.safetensors"
    stamp = made.stat().st_mtime_ns
    study.run(Method("second", recipe=free))
    assert made.stat().st_mtime_ns == stamp and (study.folder / "judge.safetensors").exists()


def test_chosen_labels_are_as_many_and_follow_the_model(sample, tmp_path):
    study = Study(small(sample), 0.3, 0, 0, TINY, tmp_path)
    for way in ("diverse", "unsure"):
        labels = study._labels(Method(way, labels=way))
        assert len({(pair.image_id, pair.type_id) for pair in labels}) == len(labels) == len(study.labels)
        assert set(labels) <= set(study.collection.pool)
    doubt = {pair.image_id: 0.5 + n / 100 for n, pair in enumerate(study.collection.pool[::7])}

    def guesses(type_id: str) -> list[Guess]:
        return [Guess(image_id, ("a", "b"), (sure, 1 - sure)) for image_id, sure in doubt.items()]

    first = study.labels[:3]
    chosen = choose_labels(study.collection, first, 5, seed=0, cache=tmp_path / "features", guesses=guesses)
    assert chosen[:3] == first
    taken = {pair.image_id for pair in first}
    offered = _offered([image for image in study.collection.images if image.split == "pool"], taken, 0)
    least_sure = sorted((doubt[image.id], image.id) for image in offered if image.id not in taken)
    assert [pair.image_id for pair in chosen[3:]] == [image_id for _, image_id in least_sure[:2]]


def test_an_erring_expert_errs_as_often_as_said(sample, tmp_path):
    study = Study(sample, 0.05, 0, 0, TINY, tmp_path)
    pairs = [pair for pair in sample.pool if len(pair.options) > 1][:400]
    rows = [
        Candidate(f"{n}", p.image_id, p.question, p.options, p.answer, p.type_id, -1.0, 0.5, (), RunId("r"), 1)
        for n, p in enumerate(pairs)
    ]
    kept = study._review(rows, 0.0)
    assert [pair.answer for _, pair in kept] == [pair.answer for pair in pairs]
    assert {as_decision(*both).accepted for both in kept} == {True}
    erring = study._review(rows, 0.2)
    wrong = sum(kept.answer != pair.answer for (_, kept), pair in zip(erring, pairs, strict=True))
    assert sum(as_decision(*both).accepted for both in erring) == len(pairs) - wrong
    assert 0.13 < wrong / len(pairs) < 0.27
    assert study._precision(rows) == 1.0


def test_the_command_goes_on_where_it_was_and_writes_tables(sample, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("benchmarks.label_efficiency.run.blood_smears", lambda: small(sample))
    monkeypatch.setattr("benchmarks.label_efficiency.run.Budget", lambda: TINY)
    monkeypatch.setattr(report, "DOCS", tmp_path)
    monkeypatch.setattr(report.go.Figure, "write_image", lambda figure, path, **size: path.write_text("<svg/>"))
    told = ["--log", str(tmp_path / "runs.csv"), "--work", str(tmp_path / "work"), "--draws", "1", "--seeds", "1"]
    told += ["--shares", "0.05", "--methods", "zero-shot", "full fine-tuning", "--docs"]
    assert main(told) == 0 and main(told) == 0
    runs = log.read(tmp_path / "runs.csv")
    assert [run.method for run in runs] == ["zero-shot", "full fine-tuning"]
    all_wrong = "00" * (len(runs[1].right) // 2)
    log.append(replace(runs[1], model="earlier", macro=0.0, right=all_wrong), tmp_path / "runs.csv")
    assert main(told) == 0
    assert "full fine-tuning" in capsys.readouterr().out
    written = (tmp_path / "results.md").read_text()
    assert "| zero-shot | 1 |" in written and all(run.machine in written for run in runs)
    earlier = (tmp_path / "results" / "earlier.md").read_text()
    assert "| full fine-tuning | 1 | 0.000" in earlier and "zero-shot" not in earlier
    assert "| full fine-tuning | 1 | 0.000" not in written and "(results/earlier.md)" in written
    assert main([*told, "--draws", "2"]) == 0
    zero, tuned, _, again, other = log.read(tmp_path / "runs.csv")
    assert (again.draw, again.at, again.labels) == (1, zero.at, 0) and (other.draw, other.labels) == (1, tuned.labels)
    assert other.at != tuned.at or other.right != tuned.right  # trained on its own labels, not written again


def test_kvasir_answers_are_among_their_options(tmp_path):
    """A copy in the form of the real one: the options are the pool's frequent answers."""
    import json

    from PIL import Image

    (tmp_path / "images").mkdir()
    lines = []
    for n in range(60):
        name = f"{n}.jpg"
        Image.new("RGB", (8 + n, 8)).save(tmp_path / "images" / name)
        answer = "rare" if n == 59 else "yes" if n % 3 else "no"
        lines.append({"image": name, "split": "test" if n % 4 == 3 else "train", "qa": [{"question": "Is there text?", "answers": [answer]}]})  # fmt: skip  # noqa: E501
    (tmp_path / "annotations.jsonl").write_text("\n".join(map(json.dumps, lines)))
    (tmp_path / "captions.jsonl").write_text(json.dumps({"image": "3.jpg", "caption": "of a test image"}))
    found = kvasir(tmp_path)
    assert {kind.options for kind in found.types} == {("yes", "no")}
    assert len(found.pool) == 45 and len(found.test) == 14 and found.captions == ()


def test_pairs_are_filtered_and_reviewed_as_the_method_says():
    method = BY_NAME["LEAML, 200 reviewed"]
    given = [(False, False), (False, True), (True, True)]
    names = [method.config(Budget(), seed=0, pseudo=p, reviewed=r).method for p, r in given]
    assert names == ["lora", "leaml_reviewed", "leaml"]
    assert {method.config(Budget(), seed=0, reviewed=r).moves for r in (False, True)} == {"lora"}
    assert BY_NAME["LEAML, 200 reviewed, all weights"].config(Budget(), seed=0).method == "full_finetune"
    assert BY_NAME["LEAML, agreement above .7"].pairs == Pairs(0.7, 0)


def test_a_probe_of_words_reads_what_the_captions_say_and_nothing_else(sample):
    told = {caption.image_id for caption in sample.captions}
    learnt, asked = sources.divisions(sample, 1.0, 0)
    assert not {pair.image_id for pair in learnt} & {pair.image_id for pair in asked}
    assert {pair.image_id for pair in [*learnt, *asked]} <= told
    kind = asked[0].type_id
    learnt, asked = ([pair for pair in pairs if pair.type_id == kind] for pairs in (learnt, asked))
    answers = {pair.image_id: pair.answer for pair in [*learnt, *asked]}
    rows = {image: row for row, image in enumerate(answers)}
    telling = sources.word_kernel({image: f"One cell, {answer}, seen." for image, answer in answers.items()})
    assert sources.accuracy(telling, rows, learnt, asked) == 1.0
    silent = sources.word_kernel({image: f"One cell, field {n % 7}." for n, image in enumerate(answers)})
    by_chance = sources.accuracy(silent, rows, learnt, asked)
    assert by_chance < 0.7 and abs(by_chance - sources.majority(learnt, asked)) < 0.2


@pytest.mark.parametrize(
    ("name", "sentence"), [("kvasir", "invalid choice: 'kvasir'"), ("kvasir_polyps", "give --kvasir FOLDER")]
)
def test_a_collection_that_cannot_be_run_is_refused(name, sentence, monkeypatch, capsys):
    monkeypatch.delenv("LEAML_KVASIR", raising=False)
    with pytest.raises(SystemExit):
        main(["--collections", name])
    assert sentence in capsys.readouterr().err
