"""The stages as real background runs on the bundled model and drawn pictures: small, but nothing is faked."""

import json
import os
import signal
import time
from dataclasses import replace

import pytest
import torch

from leaml.choices import Choices, write_choices
from leaml.cli import main
from leaml.config import (
    BUNDLED_MODEL,
    FinetuneConfig,
    GeneratorConfig,
    RunConfig,
    SamplingConfig,
    SelectionConfig,
    TrainConfig,
    generator_run,
    model_run,
)
from leaml.errors import RunError
from leaml.evaluate import predict
from leaml.freeze import freeze
from leaml.ingest import ingest_finished
from leaml.jobs import Jobs
from leaml.labelling.experts import as_pair, label_from_references, review_with_policy
from leaml.loop import run_round
from leaml.models.backbone import load, load_adapted
from leaml.models.decoding import nucleus
from leaml.models.features import ImageFeatures
from leaml.pairs.generate import SPARE_TOKENS, with_room
from leaml.pairs.quality import SampledText
from leaml.pipeline import run_stage
from leaml.prompts import pair_target
from leaml.records import Candidate, Review
from leaml.selective import Delta, Selection
from leaml.stage_context import StageContext
from leaml.store import Store
from leaml.tables import read_rows, write_rows
from leaml.teacher.config import TeacherConfig
from leaml.training.objectives import data_hash
from leaml.training.passes import READ_FILE
from tests.backbones.test_chain import Silent
from tests.conftest import draw, place_question
from tests.here import JobsHere
from tests.runs import reports
from tests.teacher.servers import completion, small_server

TRAIN = TrainConfig(steps=8, batch_size=4, learning_rate=1e-3, warmup_steps=1, checkpoint_every=2)
GENERATOR = GeneratorConfig(
    train=TRAIN, judge=replace(TRAIN, steps=2), sampling=SamplingConfig(pairs_per_image=2, max_new_tokens=8)
)


@pytest.fixture
def store(tmp_path):
    """Nine drawn pictures, three of them for the test, with answers and captions."""
    folder = tmp_path / "project"
    (folder / "images").mkdir(parents=True)
    files = [f"{n}.png" for n in range(9)]
    question = place_question("", 0)
    kind = {"id": "place", "question": question.question, "options": question.options}
    (folder / "project.json").write_text(json.dumps({"name": "Discs", "teacher": "me", "question_types": [kind]}))
    rows: dict[str, list[dict[str, str]]] = {"images": [], "reference": [], "captions": []}
    for number, file in enumerate(files):
        draw(folder / "images" / file, number)
        answer = place_question("", number).answer
        rows["images"].append({"file": file, "group": file, "split": "test" if number > 5 else "pool"})
        rows["reference"].append({"file": file, "question_type": "place", "answer": answer})
        rows["captions"].append({"file": file, "caption": f"A disc on the {answer}."})
    for name, content in rows.items():
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in content))
    from leaml.data.project_folder import import_project

    with Store.open(tmp_path / "workspace") as opened:
        import_project(opened, folder)
        yield opened


@pytest.fixture
def jobs(store):
    return Jobs(store.workspace / "runs")


@pytest.fixture
def here(store):
    """Runs without processes of their own."""
    return JobsHere(store.workspace / "runs")


def submit(store, jobs, config):
    return jobs.submit(config.to_json(), lambda directory: freeze(store, directory))


def finish(store, jobs, config):
    run_id = submit(store, jobs, config)
    state = jobs.wait(run_id, timeout_s=300)
    assert state.name == "done", jobs.run(run_id).log_tail(30)
    ingest_finished(store, jobs)
    return jobs.run(run_id)


def losses(run):
    lines = (line for line in reports(run.path) if line["stage"] == "generator")
    return [(line["step"], line["figures"]["question_loss"]) for line in lines]


def test_a_killed_worker_resumes_to_the_same_losses_and_weights(store, jobs):
    label_from_references(store, count=3, seed=0)
    config = generator_run(GENERATOR, until="generator")
    whole = finish(store, jobs, config)
    killed = jobs.run(submit(store, jobs, config))
    deadline = time.monotonic() + 120
    while not any(killed.path.glob("checkpoints/generator/step_*")):
        assert time.monotonic() < deadline and killed.state().name in ("queued", "running")
        time.sleep(0.02)
    os.kill(int((killed.path / "lock").read_text()), signal.SIGKILL)
    while killed.alive():
        time.sleep(0.02)
    assert killed.state().name == "crashed" and "no memory or no disk space was left" in killed.state().detail
    before = len(losses(killed))
    jobs.resume(killed.id)
    assert jobs.wait(killed.id, timeout_s=300).name == "done"
    assert before < 8 and dict(losses(killed)) == dict(losses(whole))
    first, second = (Delta.load(run.path / "output/generator.safetensors") for run in (whole, killed))
    assert all(first.values[name].equal(second.values[name]) for name in first.entries)
    assert first.about["question_loss"] == second.about["question_loss"]


def test_the_generator_leaves_a_small_delta_of_the_selected_entries(store, here):
    label_from_references(store, count=3, seed=0)
    config = replace(GENERATOR, selection=SelectionConfig(row_budget=0.05))
    run = finish(store, here, generator_run(config, until="generator"))
    output = run.path / "output"
    selection, delta = Selection.load(output / "selection.safetensors"), Delta.load(output / "generator.safetensors")
    base = load(BUNDLED_MODEL)
    assert selection.base_hash == delta.base_hash == base.resident.base_hash
    assert selection.config["rule"] == "mean_gradient" and len(selection.data_hash) == 64
    assert all(delta.entries[name].columns.equal(own.columns) for name, own in selection.entries.items())
    assert (delta.count, delta.about["trained_entries"]) == (selection.count, selection.count)
    assert (output / "generator.safetensors").stat().st_size < 7 * selection.count
    trained = load_adapted(output / "generator.safetensors")
    moved = sum(
        int((trained.model.state_dict()[name] != value).sum()) for name, value in base.model.state_dict().items()
    )
    assert 0.9 * selection.count < moved <= selection.count
    summary = json.loads((output / "mask_summary.json").read_text())
    assert summary["density"] == pytest.approx(0.05, abs=0.01)
    assert len(summary["modules"]) == len(selection.entries)
    assert all("embedding" in reason for reason in summary["skipped"].values())


def test_weights_of_16_bits_are_trained_sampled_and_evaluated(store, here):
    label_from_references(store, count=3, seed=0)
    short = replace(TRAIN, steps=2)
    config = replace(GENERATOR, train=short, precision="bfloat16", judge_update="lora")
    output = finish(store, here, generator_run(config)).path / "output"
    judge, generator = (Delta.load(output / f"{name}.safetensors") for name in ("judge", "generator"))
    assert judge.base_dtype == generator.base_dtype == "bfloat16"
    assert judge.count > 9 * generator.count  # an adapter may change every entry of the linear weights
    assert json.loads((output / "sample_report.json").read_text())["generated"] == 6
    for method in ("zero_shot", "full_finetune"):
        run = finish(store, here, model_run(FinetuneConfig(method, precision="bfloat16", train=short)))
        assert json.loads((run.path / "output/evaluation.json").read_text())["questions"] == 3
    trained = load_adapted(run.path / "output/model.safetensors")
    assert {weight.dtype for weight in trained.decoder_weights().values()} == {torch.bfloat16}


def test_more_parts_than_a_half_batch_train_the_same(store, here):
    label_from_references(store, count=3, seed=0)
    train = replace(TRAIN, steps=2, warmup_steps=1)
    whole, parts = (
        finish(store, here, generator_run(replace(GENERATOR, train=config), until="generator"))
        for config in (train, replace(train, accumulation=4))
    )
    assert [step for step, _ in losses(parts)] == [1, 2]
    assert losses(parts)[0][1] == pytest.approx(losses(whole)[0][1], rel=0.1)


def test_captions_may_be_told_from_wrong_images_and_mirrored(store, here):
    label_from_references(store, count=3, seed=0)
    plain = replace(GENERATOR, train=replace(TRAIN, steps=2, warmup_steps=1), contrast=0.0)
    told = replace(plain, contrast=1.0)
    changes = {
        "plain": plain,
        "told": told,
        "parts": replace(told, train=replace(told.train, accumulation=4)),
        "mirrored": replace(plain, train=replace(plain.train, flips="both")),
    }
    first, captions = {}, {}
    for name, config in changes.items():
        run = finish(store, here, generator_run(config, until="generator"))
        figures = [line["figures"] for line in reports(run.path) if line["stage"] == "generator"]
        first[name], captions[name] = figures[0], [row["caption_loss"] for row in figures]
    assert "wrong_image_loss" not in first["plain"]
    assert first["told"]["caption_loss"] == first["plain"]["caption_loss"] != first["told"]["wrong_image_loss"]
    assert first["told"]["norm"] != first["plain"]["norm"]
    assert first["parts"]["wrong_image_loss"] == pytest.approx(first["told"]["wrong_image_loss"], rel=0.1)
    assert first["parts"]["norm"] == pytest.approx(first["told"]["norm"], rel=0.1)
    seen = {path.stem.partition("@")[2] for path in (store.workspace / "cache").rglob("*.npy")}
    assert captions["mirrored"] != captions["plain"] and seen > {""}


@pytest.mark.parametrize("update", ["selective", "lora", "shira"])
def test_a_model_is_made_by_other_updates_too(store, here, update):
    label_from_references(store, count=3, seed=0)
    config = FinetuneConfig("leaml_reviewed", train=replace(TRAIN, steps=1, passes=1.0), update=update)
    store.results.add_generator_run("r0000", [_candidate(store, "r0000", number) for number in range(3)])
    review_with_policy(store, "reference")
    made = finish(store, here, model_run(config))
    assert len(store.results.predictions(made.id)) == 3
    trained = made.path / "output/model.safetensors"
    learnt = Delta.load(trained)
    assert (learnt.about["moves"], learnt.about["method"]) == (update, "leaml_reviewed")
    assert learnt.about["trained_entries"] > 0
    (side,) = json.loads((made.path / "output" / READ_FILE).read_text())["finetune"]
    steps = [line["total"] for line in reports(made.path) if line["stage"] == "finetune"]
    assert side["read"] == side["there"] > TRAIN.batch_size and steps == [2, 2], "a pass takes more than one step"
    base = {name: weight.detach() for name, weight in load(BUNDLED_MODEL).model.named_parameters()}
    assert any(not value.equal(learnt.entries[name].gather(base[name])) for name, value in learnt.values.items())
    folder = store.workspace / "merged"
    assert main(["--workspace", str(store.workspace), "merge", made.id, str(folder)]) == 0
    merged, adapted = load(str(folder)), load_adapted(trained)
    assert all(value.equal(adapted.model.state_dict()[name]) for name, value in merged.model.state_dict().items())


def test_a_selective_fine_tuning_that_goes_on_keeps_its_neurons(store, here, monkeypatch):
    label_from_references(store, count=3, seed=0)
    config = FinetuneConfig("leaml_reviewed", train=replace(TRAIN, steps=2), update="selective")
    store.results.add_generator_run("r0000", [_candidate(store, "r0000", 0)])
    review_with_policy(store, "reference")
    made = finish(store, here, model_run(config, until="finetune"))
    before = (made.path / "output/selection.safetensors").read_bytes()
    for name in ("outcome.json", "output/finetune.done", "output/model.safetensors"):
        (made.path / name).unlink()
    chosen = []
    monkeypatch.setattr("leaml.pipeline.choose_entries", lambda *_, **__: chosen.append("anew"))
    here.resume(made.id)
    assert made.state().name == "done" and not chosen
    assert (made.path / "output/selection.safetensors").read_bytes() == before


def test_a_model_learns_from_mirrored_pictures(store, here):
    label_from_references(store, count=3, seed=0)
    train = replace(TRAIN, steps=4, warmup_steps=1)
    plain, mirrored = (
        finish(store, here, model_run(FinetuneConfig("lora", train=replace(train, flips=flips))))
        for flips in ("none", "both")
    )
    first, second = (
        [line["figures"]["answer_loss"] for line in reports(run.path) if line["stage"] == "finetune"]
        for run in (plain, mirrored)
    )
    assert len(first) == len(second) == 4 and first != second
    seen = {path.stem for path in (store.workspace / "cache").rglob("*.npy")}
    assert {name.partition("@")[2] for name in seen} == {"", "h", "v", "hv"}
    tested = {image.id for image in store.images("test")}
    assert all(any(f"{image_id}@hv" in name for name in seen) for image_id in tested)  # it is asked about them, too
    assert Delta.load(mirrored.path / "output/model.safetensors").about["flips"] == "both"
    base = finish(store, here, model_run(FinetuneConfig("zero_shot", train=replace(train, flips="both"))))
    for run, flips in ((plain, "none"), (mirrored, "both"), (base, "none")):
        trained = run.path / "output/model.safetensors"
        model = load_adapted(trained) if trained.exists() else load(BUNDLED_MODEL)
        features = ImageFeatures(model, store.workspace / "cache")
        features.add({image.id: store.workspace / image.path for image in store.images("test")})
        rows = predict(model, features, store.held_out.questions(), lambda *_: None, flips)
        assert [row.option_probabilities for row in store.results.predictions(run.id)] == [
            pytest.approx(row.option_probabilities, abs=1e-3) for row in rows
        ]


def test_a_whole_round_by_hand(store, jobs):
    label_from_references(store, count=3, seed=0)
    run = finish(store, jobs, generator_run(GENERATOR))
    report = json.loads((run.path / "output/sample_report.json").read_text())
    assert report["generated"] == 2 * report["images"] == 6
    assert report["kept"] + sum(report["turned_down"].values()) <= 6
    if not store.results.candidates():  # so little training writes nothing valid: what comes next still needs pairs
        rows = [_candidate(store, run.id, number) for number in range(3)]
        write_rows(run.path / "output/candidates.parquet", rows, Candidate)
        store.results.add_generator_run(run.id, rows)
    review_with_policy(store, "reference")
    for method in ("zero_shot", "lora", "leaml_reviewed"):
        config = FinetuneConfig(method, train=TRAIN)
        made = finish(store, jobs, model_run(config))
        assert len(store.results.predictions(made.id)) == 3
        assert (made.path / "output/model.safetensors").exists() == (method != "zero_shot")
    assert [model.method for model in store.results.models()] == ["zero_shot", "lora", "leaml_reviewed"]
    assert store.results.models()[2].pairs == len(store.answered.reviewed()) > 0
    assert ingest_finished(store, jobs) == 0


def test_the_next_generator_learns_from_decisions_and_repeats_none(store, tmp_path, monkeypatch):
    label_from_references(store, count=2, seed=0)
    rows = [_candidate(store, "r0000", number) for number in range(4)]
    store.results.add_generator_run("r0000", rows)
    first, second, third, fourth = (as_pair(row) for row in rows)
    wrong = next(option for option in third.options if option != third.answer)
    store.add_review(Review(rows[0].id, "accept", first, None, "ann", 1.0))
    store.add_review(Review(rows[1].id, "edit", replace(second, answer=wrong), None, "ann", 1.0))
    store.add_review(Review(rows[2].id, "reject", third, "wrong answer", "ann", 1.0))
    freeze(store, tmp_path / "data")
    config = replace(GENERATOR, train=replace(TRAIN, steps=1), judge=replace(TRAIN, steps=1), round=2)
    folders = {name: tmp_path / name for name in ("output", "checkpoints", "cache")}
    for folder in folders.values():
        folder.mkdir()
    context = StageContext(generator_run(config), tmp_path / "data", **folders, report=Silent())
    for stage in ("captions", "importance", "generator", "judge"):
        run_stage(stage, context)
    learnt = [label.pair for label in store.labels()] + [first, replace(second, answer=wrong)]
    assert Selection.load(folders["output"] / "selection.safetensors").data_hash == data_hash(learnt)

    def written(context, generator, features, images):
        assert set(images) == {row.image_id for row in rows}
        pairs = [first, second, third, replace(third, answer=wrong), fourth]
        return [SampledText(p.image_id, pair_target(p.question, p.options, p.answer), -1.0) for p in pairs]

    monkeypatch.setattr("leaml.pipeline._sampled", written)
    run_stage("sample", context)
    kept = read_rows(folders["output"] / "candidates.parquet", Candidate)
    assert [(row.image_id, row.answer, row.round) for row in kept] == [
        (third.image_id, wrong, 2),
        (fourth.image_id, fourth.answer, 2),
    ]
    report = json.loads((folders["output"] / "sample_report.json").read_text())
    assert report["turned_down"] == {"answered already": 2, "rejected before": 1}

    def judged(backbone, features, questions, tell, ways, **_):
        own = {third.image_id: third.answer, fourth.image_id: fourth.answer}
        return [tuple(float(option == own[q.image_id]) for option in q.options) for q in questions]

    monkeypatch.setattr("leaml.pipeline.option_probabilities", judged)
    run_stage("sample", replace(context, config=generator_run(replace(config, answered_by="judge"))))
    (left,) = read_rows(folders["output"] / "candidates.parquet", Candidate)
    assert left.image_id == fourth.image_id
    report = json.loads((folders["output"] / "sample_report.json").read_text())
    assert report["turned_down"] == {"answered already": 2, "rejected before": 2} and report["kept"] == 1


def test_pairs_like_the_labels_can_be_written_however_few_tokens_are_set(store, tmp_path, monkeypatch):
    label_from_references(store, count=2, seed=0)
    freeze(store, tmp_path / "data")
    train = replace(TRAIN, steps=1)
    config = replace(GENERATOR, train=train, judge=train, selection=None)
    folders = {name: tmp_path / name for name in ("output", "checkpoints", "cache")}
    for folder in folders.values():
        folder.mkdir()
    context = StageContext(generator_run(config), tmp_path / "data", **folders, report=Silent())
    for stage in ("captions", "generator", "judge"):
        run_stage(stage, context)
    given = []

    def drawn(backbone, prefix, *, max_new_tokens, **settings):
        given.append(max_new_tokens)
        return nucleus(backbone, prefix, max_new_tokens=max_new_tokens, **settings)

    monkeypatch.setattr("leaml.pairs.generate.nucleus", drawn)
    run_stage("sample", context)
    with small_server(lambda *_: completion("x")) as (url, requests):
        sampling = replace(config.sampling, pairs_per_image=1, server=TeacherConfig("server", "g", url))
        run_stage("sample", replace(context, config=generator_run(replace(config, sampling=sampling))))
        given += [body["max_tokens"] for _, _, body in requests]
    asked, chat = place_question("", 0), load(BUNDLED_MODEL).chat
    longest = max(len(chat.target_ids(pair_target(asked.question, asked.options, o))) for o in asked.options)
    assert len(given) > 1 and set(given) == {longest + SPARE_TOKENS} and longest > config.sampling.max_new_tokens


def test_there_is_room_for_every_pair_of_the_labels_and_no_less_than_is_set(backbone):
    chosen, pair = SamplingConfig(max_new_tokens=72), place_question("a", 0)
    long = replace(pair, options=("no", " ".join(["a team in red jerseys with white sleeves"] * 12)), answer="no")
    several = replace(long, question="Which teams? Choose all that apply.")
    wrote = replace(pair, options=(), answer="because " * 150)
    assert with_room(backbone, chosen, [pair]) == chosen
    for hard, answer in ((long, long.options[1]), (several, "; ".join(long.options)), (wrote, wrote.answer)):
        needed = len(backbone.chat.target_ids(pair_target(hard.question, hard.options, answer)))
        assert needed > 72 and with_room(backbone, chosen, [pair, hard]).max_new_tokens == needed + SPARE_TOKENS


def _candidate(store, run_id, number):
    pair = [pair for pair in store.references("pool") if pair not in [label.pair for label in store.labels()]][number]
    return Candidate(
        f"{run_id}-{number}", pair.image_id, pair.question, pair.options, pair.answer, pair.type_id, -0.1, 0.5,
        (0.4, 0.3, 0.3), run_id, 1,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("config", "labels", "sentence"),
    [
        (generator_run(GENERATOR), 0, "There are no labels yet. Label some images first"),
        (generator_run(GENERATOR), 6, "Every pool image is labelled already"),
        (model_run(FinetuneConfig("leaml", train=TRAIN)), 2, "no pseudo pair that nobody has rejected. Train"),
        (model_run(FinetuneConfig("leaml_reviewed", train=TRAIN)), 2, "No pseudo pair has been accepted yet"),
        (model_run(FinetuneConfig("lora", model="nowhere/nothing", train=TRAIN)), 2, "Cannot load the model 'nowhere"),
    ],
)
def test_what_is_missing_is_said(store, here, config, labels, sentence):
    if labels:
        label_from_references(store, count=labels, seed=0)
    state = here.wait(submit(store, here, config), timeout_s=300)
    assert state.name == "failed" and sentence in state.detail


def test_a_generator_that_nothing_is_left_for_is_not_trained(store, here):
    label_from_references(store, count=6, seed=0)
    run_id = submit(store, here, generator_run(GENERATOR))
    assert here.wait(run_id, timeout_s=300).name == "failed" and reports(here.run(run_id).path) == []
    captions = submit(store, here, generator_run(GENERATOR, until="captions"))
    assert here.wait(captions, timeout_s=300).name == "done", "no question was to be written"


def test_pairs_that_are_all_reviewed_are_learnt_from(store, here):
    label_from_references(store, count=2, seed=0)
    pair = _candidate(store, "r0009", 0)
    store.results.add_generator_run("r0009", [pair])
    store.add_review(Review(pair.id, "accept", as_pair(pair), None, "ann", 1.0))
    finish(store, here, model_run(FinetuneConfig("leaml", train=replace(TRAIN, steps=1))))
    (model,) = store.results.models()
    assert (model.labels, model.pairs) == (2, 1)


def test_the_loop_in_small(store, jobs, monkeypatch):
    monkeypatch.setattr("leaml.loop.seeded_generator", lambda seed, number: replace(GENERATOR, round=number))
    monkeypatch.setattr("leaml.loop.seeded_finetune", lambda method, seed: FinetuneConfig(method, train=TRAIN))
    monkeypatch.setattr("leaml.loop.ingest_finished", _with_pairs)
    away = TeacherConfig("server", "m", "https://host/v1")
    write_choices(store.workspace, Choices(teacher=away, flips="horizontal"))
    seen = set()
    result = run_round(
        store, jobs, labels=3, policy="reference", review_limit=2, seed=0, watch=lambda name, state: seen.add(name)
    ).to_json()
    assert list(result["accuracy"]) == ["majority", "zero_shot", "full_finetune", "lora", "leaml", "leaml_reviewed"]
    assert all(0 <= row["low"] <= row["macro"] <= row["high"] <= 1 for row in result["accuracy"].values())
    assert (result["test_questions"], result["labels"], result["reviewed"]) == (3, 3, 2)
    assert {"generator", "sample", "finetune:leaml", "evaluate:zero_shot"} <= set(result["stages"])
    assert "generator" in seen and result["seconds"] > 0
    configs = [RunConfig.from_json(run.config()) for run in jobs.runs()]
    assert {config.finetune.train.flips for config in configs if config.finetune} == {"horizontal"}
    made = [config.generator for config in configs if config.generator]
    assert [(config.judge.flips, config.teacher) for config in made] == [("horizontal", TeacherConfig())]


def test_a_loop_that_breaks_leaves_no_run_behind(store, jobs, monkeypatch):
    monkeypatch.setattr("leaml.loop.seeded_generator", lambda seed, number: replace(GENERATOR, round=number))
    monkeypatch.setattr("leaml.loop.seeded_finetune", lambda method, seed: FinetuneConfig(method, train=TRAIN))
    monkeypatch.setattr("leaml.loop.ingest_finished", _with_pairs)

    def refuse(*_, **__):
        raise RunError("Nobody reviews.")

    monkeypatch.setattr("leaml.loop.review_with_policy", refuse)
    with pytest.raises(RunError, match="Nobody reviews"):
        run_round(store, jobs, labels=3, policy="reference", review_limit=2, seed=0, watch=lambda name, state: None)
    assert len(jobs.runs()) == 5 and not any(run.alive() for run in jobs.runs())


def _with_pairs(store, jobs):
    """Take over runs; where so short a training wrote hardly a valid pair, add some, so that the round can go on."""
    ingest_finished(store, jobs)
    if len(store.results.candidates()) < 3:
        store.results.add_generator_run("r0001", [_candidate(store, "r0001", number) for number in range(3)])
