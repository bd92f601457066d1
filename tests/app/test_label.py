"""What the Label screen asks next, and what its buttons do."""

from collections import Counter
from collections.abc import Callable

import pytest

from app import label, text
from app.errors import InputError
from app.person import who
from app.services import Services

Make = Callable[..., Services]


def press(services: Services, place: label.Place, act: str, **data: object) -> label.Place:
    shown = {"image": place.asked[0], "type": place.asked[1]} if place.asked else {}
    return label.arrive(
        who(services, None), label.decide(who(services, None), place, {**shown, "act": act, "seconds": 2.5, **data})
    )


def test_question_types_take_turns_on_fresh_images(make_services: Make) -> None:
    services = make_services()
    project = services.store.project()
    assert project is not None
    asked = label.next_questions(project.question_types, services.store.images("pool"), [], limit=12)
    assert Counter(kind for _, kind in asked) == {"side": 6, "colour": 6}
    assert len({image for image, _ in asked}) == 12
    again = label.next_questions(project.question_types, services.store.images("pool"), [], limit=12)
    assert again == asked
    everything = label.next_questions(project.question_types, services.store.images("pool"), [], limit=99)
    assert len(set(everything)) == 24


def test_save_moves_on_and_undo_comes_back(make_services: Make) -> None:
    services = make_services()
    first = label.arrive(who(services, None), label.Place())
    second = press(services, first, "save", answer=answer_to(services, first))
    assert second.asked != first.asked
    assert services.label_count() == 1
    back = press(services, second, "undo")
    assert (back.asked, back.chosen) == (first.asked, answer_to(services, first))
    assert services.label_count() == 0
    assert 'aria-checked="true"' in label.draw(who(services, None), back)


def test_a_press_on_a_card_that_is_gone_changes_nothing(make_services: Make) -> None:
    services = make_services()
    first = label.arrive(who(services, None), label.Place())
    second = press(services, first, "save", answer=answer_to(services, first))
    assert first.asked is not None
    late = {"image": first.asked[0], "type": first.asked[1], "answer": answer_to(services, first)}
    assert press(services, second, "save", **late) == second
    assert services.label_count() == 1


def test_skip_leaves_out_and_switch_stays_on_the_image(make_services: Make) -> None:
    services = make_services()
    first = label.arrive(who(services, None), label.Place())
    second = press(services, first, "skip")
    assert second.asked != first.asked
    assert second.asked is not None
    other = "colour" if second.asked[1] == "side" else "side"
    assert press(services, second, "switch", to=other).asked == (second.asked[0], other)


@pytest.mark.parametrize("answer", ["", "purple"])
def test_no_answer_and_a_strange_answer_are_refused(make_services: Make, answer: str) -> None:
    services = make_services()
    place = label.arrive(who(services, None), label.Place())
    with pytest.raises(InputError, match="Choose an answer first" if not answer else "not one of the options"):
        press(services, place, "save", answer=answer)
    assert services.label_count() == 0


def test_the_reference_answers_label_up_to_the_budget(make_services: Make) -> None:
    services = make_services()
    place = label.arrive(who(services, None), label.Place())
    place = press(services, place, "save", answer=answer_to(services, place))
    assert text.label_for_me(5) in label.draw(who(services, None), place)
    place = press(services, place, "fill")
    assert services.label_count() == 6
    assert text.ENOUGH in label.draw(who(services, None), place)


def test_nothing_to_offer_without_reference_answers(make_services: Make) -> None:
    services = make_services(references=False)
    assert services.labels_on_offer() == 0
    assert "for me" not in label.draw(who(services, None), label.arrive(who(services, None), label.Place()))


def test_empty_states_say_what_to_do(make_services: Make) -> None:
    empty = make_services(filled=False)
    assert text.LABEL_EMPTY in label.draw(who(empty, None), label.arrive(who(empty, None), label.Place()))
    full = make_services(pool=1)
    place = label.arrive(who(full, None), label.Place())
    for _ in range(2):
        place = press(full, place, "save", answer=answer_to(full, place))
    assert text.LABEL_ALL in label.draw(who(full, None), place)


def answer_to(services: Services, place: label.Place) -> str:
    """Return the first answer of the question shown."""
    project = services.store.project()
    assert project is not None and place.asked is not None
    return next(kind.options[0] for kind in project.question_types if kind.id == place.asked[1])
