"""Nobody waits for what somebody else's page has to read."""

import threading
from collections.abc import Callable

import gradio as gr
import pytest

from app import compare, label
from app.person import who
from app.services import Services
from leaml.labelling.order import Asked
from leaml.records import AnsweredQuestion
from leaml.store.answered import Answered


def test_a_label_is_saved_while_reviews_are_read_for_another_card(
    make_services: Callable[..., Services], monkeypatch: pytest.MonkeyPatch
) -> None:
    services = make_services(candidates=4, users=("expert", "admin"))
    store, read = services.store, Answered.reviewed_questions
    (image, *_) = store.images("pool")
    answer = AnsweredQuestion(image.id, "Is it round?", (), "yes")

    def slow(self: Answered) -> set[Asked]:
        saving = threading.Thread(target=lambda: store.add_label(answer, author="admin", seconds=1.0), daemon=True)
        saving.start()
        saving.join(20)
        assert not saving.is_alive(), "who saves does not wait for who looks"
        return read(self)

    monkeypatch.setattr(Answered, "reviewed_questions", slow)
    assert label.arrive(who(services, "expert"), label.Place()).asked is not None
    assert [row.pair for row in store.labels()] == [answer]


def test_the_header_leaves_a_run_to_who_takes_it_over_now(make_services: Callable[..., Services]) -> None:
    services = make_services()
    looks: list[str] = []
    ended = threading.Event()

    def look() -> None:
        services.take_over_finished(wait=False)
        looks.append("header")
        ended.set()

    with services._ingesting:
        threading.Thread(target=look, daemon=True).start()
        assert ended.wait(20)
    services.take_over_finished()
    assert looks == ["header"]


def test_a_screen_that_shows_a_runs_end_waits_for_who_takes_it_over(make_services: Callable[..., Services]) -> None:
    """Its tick is the last one that it makes: what is not there by then would not be shown."""
    services = make_services()
    seen = threading.Event()

    def look() -> None:
        services.note_finished()
        seen.set()

    with services._ingesting:
        looking = threading.Thread(target=look, daemon=True)
        looking.start()
        assert not seen.wait(0.2)
    looking.join(20)
    assert seen.is_set()


def test_a_question_to_two_models_keeps_nobody_from_compare(make_services: Callable[..., Services]) -> None:
    with gr.Blocks() as page:
        compare.build(make_services(), gr.HTML())
    turns = {step.name: step.concurrency_id for step in page.fns.values()}
    assert turns["act"] == turns["tick"] == "compare" != turns["answer"], "a model may take minutes to load"
