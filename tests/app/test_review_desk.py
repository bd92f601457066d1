"""Below the Review card: the audit by question type, batches, and taking back, each with its confirmation."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from app import review_text
from app.person import who
from app.review_desk import Desk, act_on_desk, draw_desk
from app.services import Services
from leaml.errors import UserError
from leaml.labelling.experts import as_pair
from leaml.records import ROLES, Review, RunId
from tests.drawn import SIDE

Make = Callable[..., Services]


@pytest.fixture
def audited(make_services: Make) -> Services:
    """Services with 200 pairs about the side in 25 pictures, of which the first 120 shown were accepted."""
    services = make_services(pool=25, candidates=1, users=ROLES)
    (first,), images = services.store.results.candidates(), services.store.images("pool")
    rows = [
        replace(first, id=f"c{n:03d}", image_id=images[n % 25].id, agreement=0.95, run_id=RunId("r0002"), round=2)
        for n in range(200)
    ]
    services.store.results.add_generator_run(RunId("r0002"), rows)
    for row in services.store.queue.next(120):
        services.store.add_review(Review(row.id, "accept", as_pair(row), None, "expert", 1.0))
    return services


def test_it_counts_nothing_until_it_is_opened(audited: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("leaml.store.audit.Checks.audit", None)
    html = draw_desk(who(audited, "admin"), Desk())
    assert review_text.DESK in html and "<table" not in html


def test_a_batch_is_accepted_and_taken_back(audited: Services) -> None:
    admin = who(audited, "admin")
    desk = act_on_desk(admin, Desk(), {"act": "open"})
    html = draw_desk(admin, desk)
    assert "<td>80</td><td>60</td><td>100 <small>94 to 100</small></td>" in html and review_text.accept_all(80) in html
    desk = act_on_desk(admin, desk, {"act": "batch", "type": SIDE.id})
    assert desk.message == review_text.batch_accepted(80, "side") and audited.store.queue.counts().accepted == 200
    (batch,) = audited.store.batches.all()
    desk = act_on_desk(admin, desk, {"act": "take_back", "what": f"batch {batch.number}"})
    assert audited.store.queue.counts().accepted == 200, "only after a yes"
    assert act_on_desk(admin, desk, {"act": "open"}).pending == ""
    html = draw_desk(admin, desk)
    assert review_text.really(review_text.pairs_of(80)) in html and html.count(review_text.YES) == 1
    desk = act_on_desk(admin, desk, {"act": "confirm"})
    assert desk.message == review_text.taken_back_many(0, 80) and audited.store.queue.counts().accepted == 120
    desk = act_on_desk(admin, replace(desk, pending="session 1"), {"act": "confirm"})
    assert desk.message == review_text.taken_back_many(0, 120)
    assert audited.store.verify_events()[0] == 400
    assert act_on_desk(admin, desk, {"act": "close"}) == Desk()


def test_a_level_that_the_pairs_do_not_reach_has_no_button(audited: Services) -> None:
    admin = who(audited, "admin")
    desk = act_on_desk(admin, Desk(), {"act": "level", "level": "0.99"})
    assert desk.level == "0.99" and 'data-act="batch"' not in draw_desk(admin, desk)
    assert act_on_desk(admin, desk, {"act": "level", "level": "0.01"}).level == "0.99"


def test_quotas_are_shown_and_saved(audited: Services) -> None:
    admin = who(audited, "admin")
    desk = act_on_desk(admin, Desk(opened=True), {"act": "quota", "quota_0": "3", "quota_1": "7"})
    assert desk.message == review_text.QUOTAS_SAVED
    kinds = [kind.id for kind in audited.store.project().question_types]  # type: ignore[union-attr]
    assert audited.store.queue.quotas() == {kinds[0]: 3} | dict.fromkeys(kinds[1:], 1)
    html = draw_desk(admin, desk)
    assert html.count(review_text.quota(3)) == len(kinds) and html.count("selected>" + review_text.quota(3)) == 1


@pytest.mark.parametrize("role", ["expert", "reviewer"])
def test_others_look_and_change_nothing(audited: Services, role: str) -> None:
    person = who(audited, role)
    html = draw_desk(person, Desk(opened=True))
    assert review_text.BATCH_TITLE in html and review_text.TAKE_BACK not in html and 'data-act="batch"' not in html
    for data in ({"act": "batch", "type": SIDE.id}, {"act": "confirm"}, {"act": "quota", "quota_0": "3"}):
        with pytest.raises(UserError):
            act_on_desk(person, Desk(opened=True, pending="session 1"), data)
    assert audited.store.verify_events()[0] == 120


def test_model_and_agreement_are_said_once_there_is_enough(audited: Services) -> None:
    person = who(audited, "expert")
    html = draw_desk(person, Desk(opened=True))
    assert review_text.NO_MODEL in html and review_text.NOT_READ_TWICE in html
    row, *rows = audited.store.queue.next(30)
    for other in rows:
        audited.store.add_review(Review(other.id, "reject", as_pair(other), "duplicate", "expert", 1.0))
    for author, drawn in (("expert", None), ("reviewer", "second")):
        audited.store.add_review(Review(row.id, "accept", as_pair(row), None, author, 1.0, drawn))  # type: ignore[arg-type]
    html = draw_desk(person, Desk(opened=True))
    assert "pairs checked at random" in html and review_text.agreement_line("side", 1.0, 1) in html
