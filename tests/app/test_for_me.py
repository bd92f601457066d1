"""“Label N for me”: on offer only for questions that nobody has answered."""

from collections.abc import Callable

from app import label, text
from app.person import who
from app.services import Services
from leaml.records import Review
from tests.drawn import COLOUR

Make = Callable[..., Services]


def test_nothing_is_on_offer_once_all_is_labelled(make_services: Make) -> None:
    services = make_services(pool=2)  # four questions, two below what makes a good start
    me = who(services, None)
    assert services.labels_on_offer() == 4 == services.label_for_me()
    assert services.labels_on_offer() == 0 == services.label_for_me()
    assert "for me" not in label.draw(me, label.arrive(me, label.Place()))


def test_what_is_reviewed_is_not_on_offer(make_services: Make) -> None:
    services = make_services(pool=2, candidates=2)
    (row,) = (row for row in services.store.results.candidates() if row.type_id == COLOUR.id)
    pair = next(p for p in services.store.references("pool") if (p.image_id, p.type_id) == (row.image_id, COLOUR.id))
    services.store.add_review(Review(row.id, "edit", pair, None, "me", 1.0))
    me = who(services, None)
    assert text.label_for_me(3) in label.draw(me, label.arrive(me, label.Place()))
    assert services.label_for_me() == 3 and pair not in [found.pair for found in services.store.labels()]
    assert services.store.answered.reviewed() == [pair]
