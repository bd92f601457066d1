"""What models learnt from: whether there is anything new for them, and whether a comparison is one of methods."""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from html import unescape

import pytest

from app import compare, compare_text, train
from app.person import who
from app.services import Services
from leaml.choices import Choices, write_choices
from leaml.config import FinetuneConfig, Flips, model_run
from leaml.freeze import freeze
from leaml.labelling.experts import as_pair
from leaml.records import METHODS, AnsweredQuestion, Method, Prediction, Review, RunId
from leaml.store.answered import Answered
from leaml.store.results import ModelRow
from tests.runs import put_run

Make = Callable[..., Services]


def put_models(
    services: Services, methods: Sequence[Method], number: int, *, model: str = "leaml-mini", flips: Flips = "none"
) -> None:
    """Have these methods' models learn from what is there now, in runs of this number and the following."""
    store, data = services.store, services.settings.workspace / f"data{number}"
    freeze(store, data)
    for run_id, method in ((RunId(f"r{number + place:04d}"), method) for place, method in enumerate(methods)):
        config = FinetuneConfig(method, model=model)
        config = replace(config, train=replace(config.train, flips=flips))
        shutil.copytree(data, put_run(services.settings.workspace, run_id, model_run(config)) / "data")
        labels = 0 if method == "zero_shot" else services.label_count()
        pairs = {"leaml": 8, "leaml_reviewed": store.answered.count_reviewed()}.get(method, 0)
        answers = [
            Prediction(p.image_id, str(p.type_id), p.question, p.options, p.answer, "?", n < 3, ())
            for n, p in enumerate(store.held_out.questions())
        ]
        store.results.add_model(ModelRow(run_id, method, "x", 1, labels, pairs, datetime.now(UTC)), answers)


def all_trained(make_services: Make) -> Services:
    services = make_services(candidates=8)
    services.label_for_me()
    for row in services.store.results.candidates():
        services.store.add_review(Review(row.id, "accept", as_pair(row), None, "me", 1.0))
    put_models(services, METHODS, 2)
    return services


def compared(services: Services) -> str:
    """Return what Compare says of its results."""
    return unescape(compare.results(services)[0])


def comes_next(services: Services) -> str:
    """Return which of the two is the Train screen's next step."""
    html = train.draw(who(services, None), {})[5]
    (found,) = [
        tab for tab in ("all", "compare") if f'class="go" data-act="{tab}"' in html or f'data-tab="{tab}"' in html
    ]
    return found


def change_answer(services: Services) -> None:
    label = services.store.labels("pool")[0].pair
    other = next(option for option in label.options if option != label.answer)
    services.store.add_label(replace(label, answer=other), author="me", seconds=1.0)


def test_a_changed_answer_or_decision_alone_asks_for_training(make_services: Make) -> None:
    services = all_trained(make_services)
    assert comes_next(services) == "compare"
    change_answer(services)
    assert comes_next(services) == "all"
    services.store.undo_label("me")
    assert comes_next(services) == "compare", "it is as it was when they learnt"
    put_models(services, METHODS, 10)
    assert comes_next(services) == "compare"
    pair = services.store.answered.reviewed()[0]
    row = next(
        r for r in services.store.results.candidates() if (r.image_id, r.question) == (pair.image_id, pair.question)
    )
    other = next(option for option in pair.options if option != pair.answer)
    services.store.add_review(Review(row.id, "edit", replace(pair, answer=other), None, "me", 1.0))
    assert comes_next(services) == "all", "a pair decided otherwise"


def test_answers_are_read_again_only_after_a_decision(make_services: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    services, reads = all_trained(make_services), []
    read = Answered.reviewed
    monkeypatch.setattr(Answered, "reviewed", lambda self: reads.append(1) or read(self))
    for _ in range(3):
        assert comes_next(services) == "compare"
    assert len(reads) == 1


def test_a_model_whose_run_is_gone_goes_by_counts(make_services: Make) -> None:
    services = all_trained(make_services)
    shutil.rmtree(services.settings.workspace / "runs" / "r0003")
    (services.settings.workspace / "runs" / "r0004" / "config.json").write_text("{")
    (services.settings.workspace / "runs" / "r0005" / "data" / "labels.parquet").write_bytes(b"?")
    assert comes_next(services) == "compare"
    write_choices(services.settings.workspace, replace(Choices(), model="other"))
    assert comes_next(services) == "all"


def test_compare_says_which_models_learnt_from_fewer_labels(make_services: Make) -> None:
    services = all_trained(make_services)
    assert compare_text.ANEW not in compared(services)
    labelled = {label.pair.image_id for label in services.store.labels()}
    free = next(image for image in services.store.images("pool") if image.id not in labelled)
    for question in ("Is it round?", "Is it new?"):
        services.store.add_label(AnsweredQuestion(free.id, question, (), "yes"), author="me", seconds=1.0)
    put_models(services, ["leaml_reviewed"], 9)
    html = compared(services)
    said = compare_text.other_labels(8, 6)
    assert compare_text.more_than_method([said]) in html
    row = compare_text.differs([compare_text.other_labels(6, 8)])
    assert html.count(row) == 3, "full fine-tuning, LoRA and LEAML; the base model learns from no labels"
    put_models(services, ["full_finetune", "lora", "leaml"], 10)
    assert compare_text.ANEW not in compared(services)


def test_compare_says_which_models_learnt_from_other_answers_began_otherwise_or_were_mirrored(
    make_services: Make,
) -> None:
    services = all_trained(make_services)
    change_answer(services)
    put_models(services, ["leaml_reviewed"], 9)
    said = compare_text.other_labels(6, 6)
    assert "not the same" in said and compare_text.more_than_method([said]) in compared(services)
    services.store.undo_label("me")
    put_models(services, ["leaml_reviewed"], 10, model="large", flips="both")
    html = compared(services)
    model = compare_text.other_model("large", "leaml-mini")
    assert compare_text.more_than_method([model, compare_text.OTHER_FLIPS]) in html
    base = compare_text.other_model("leaml-mini", "large")
    assert compare_text.differs([base]) in html, "the base model of before"
