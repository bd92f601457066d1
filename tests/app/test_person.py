"""What each role may do, held where the app's services are called; and the wait of those who guess passwords."""

import ast
import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import pytest

from app import label, people_text, project, review, text, train
from app.choosing import Choosing
from app.person import RIGHTS, Person, who
from app.screen import header_of
from app.services import Services
from app.sign_in import GUESSES, WAIT_S, SignIn
from leaml.choices import Choices
from leaml.errors import UserError
from leaml.labelling.experts import as_pair
from leaml.records import METHODS, ROLES, QuestionType, Review, RunId
from leaml.store import Store
from leaml.store.database import now
from leaml.store.leases import LEASE
from leaml.teacher.config import TeacherConfig
from tests.app.conftest import PASSWORD

Make = Callable[..., Services]
Result = TypeVar("Result")
BEHIND = ("services", "store", "jobs", "batches", "rollback", "choosing")
APP = Path(__file__).parents[2] / "app"


@pytest.fixture
def shared(make_services: Make) -> Services:
    """Services on a workspace with pairs to review and one user of each role, named like it."""
    return make_services(candidates=4, users=ROLES)


def acts(services: Services) -> dict[str, tuple[str, Callable[[Person], Any]]]:
    """Return everything that can be done, by name, with the right that it needs."""
    candidate = services.store.results.candidates()[0]
    pair = as_pair(candidate)
    return {
        "add_label": ("label", lambda person: person.add_label(pair, seconds=1.0)),
        "undo_label": ("label", lambda person: person.undo_label()),
        "save_questions": ("label", lambda person: person.save_questions((QuestionType("x", "X?"),))),
        "label_for_me": ("label", lambda person: person.label_for_me()),
        "unlabel_for_me": ("label", lambda person: person.unlabel_for_me(datetime.now(UTC))),
        "add_review": (
            "review",
            lambda person: person.add_review(Review(candidate.id, "accept", pair, None, "x", 1.0)),
        ),
        "undo_review": ("review", lambda person: person.undo_review()),
        "accept_batch": ("oversee", lambda person: person.accept_batch("side", at_least=0.9)),
        "take_round_back": ("oversee", lambda person: person.take_round_back(1)),
        "set_quotas": ("oversee", lambda person: person.set_quotas({"side": 2})),
        "roll_back": ("oversee", lambda person: person.roll_back("session", 1)),
        "start_generator": ("train", lambda person: person.start_generator()),
        "start_methods": ("train", lambda person: person.start_methods(METHODS)),
        "test_again": ("train", lambda person: person.test_again()),
        "cancel": ("train", lambda person: person.cancel(RunId("r0001"))),
        "resume": ("train", lambda person: person.resume(RunId("r0001"))),
        "save_choices": ("train", lambda person: person.save_choices(Choices())),
        "test_teacher": ("train", lambda person: person.test_teacher(TeacherConfig())),
        "load_sample": ("import", lambda person: person.load_sample()),
        "import_labels": ("import", lambda person: person.import_labels("image,question,answer\n")),
        "import_images": ("import", lambda person: person.import_images(Path("/x"), name="x", types=())),
        "export": ("import", lambda person: person.export(".jsonl")),
        "open_project": ("import", lambda person: person.open_project(Path("/x"))),
    }


@pytest.mark.parametrize("role", ROLES)
def test_every_act_needs_its_right(shared: Services, role: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("leaml.jobs.Jobs.submit", lambda *_: RunId("r0001"))
    monkeypatch.setattr("leaml.store.batch_accept.Batches.accept", lambda *_, **__: None)
    monkeypatch.setattr("leaml.store.rollback.Rollback.session", lambda *_, **__: None)
    for name in ("save", "test"):
        monkeypatch.setattr(Choosing, name, lambda *_: None)
    for name in ("cancel", "resume"):
        monkeypatch.setattr(f"leaml.jobs.Jobs.{name}", lambda *_: None)
    for name in ("load_sample", "import_images", "import_labels", "export", "open_next"):
        monkeypatch.setattr(Services, name, lambda *_, **__: None)
    allowed = {"expert": {"label", "review"}, "reviewer": {"review"}, "admin": set(RIGHTS["admin"])}
    person = who(shared, role)
    for name, (right, act) in acts(shared).items():
        if right in allowed[role]:
            act(person)
        else:
            before = list(shared.store.events())
            with pytest.raises(UserError, match=f"{role} may not .*Nothing was changed"):
                act(person)
            assert list(shared.store.events()) == before, name
    assert {event.content["author"] for event in shared.store.events() if event.content} <= {role, "reference expert"}


def test_every_public_act_of_a_person_is_tried_above(shared: Services) -> None:
    reading = {"may", "require", "labels_on_offer", "obstacles", "reader"}
    assert {name for name in vars(Person) if not name.startswith("_")} - reading - {"signed_in"} == set(acts(shared))
    assert set(RIGHTS) == set(ROLES)


def test_the_screens_change_nothing_but_through_a_person() -> None:
    changing = {
        "add_label",
        "undo_label",
        "label_for_me",
        "unlabel_for_me",
        "save_questions",
        "add_review",
        "undo_review",
    }
    changing |= {"start_generator", "start_methods", "cancel", "resume", "load_sample", "import_images", "open_next"}
    changing |= {"add_labels", "import_labels", "set_quotas", "take_back", "test_again"}
    changing |= {"save_project", "import_project", "save"}
    changing |= {"accept", "batch", "session", "accept_batch", "roll_back"}
    for path in APP.glob("*.py"):
        if path.stem in ("person", "services"):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and node.attr in changing:
                owner = ast.unparse(node.value).split(".")[-1]
                assert owner not in BEHIND, (path.name, node.lineno)


def test_buttons_of_a_crafted_page_do_nothing_either(shared: Services) -> None:
    reviewer, expert = who(shared, "reviewer"), who(shared, "expert")
    place = label.arrive(who(shared, "expert"), label.Place())
    assert place.asked is not None
    data = {"image": place.asked[0], "type": place.asked[1], "answer": "left", "seconds": 1.0}
    for act in ("save", "undo", "fill"):
        with pytest.raises(UserError):
            label.decide(reviewer, place, {**data, "act": act})
    for act in ("generator", "all", "cancel", "resume", "method"):
        with pytest.raises(UserError):
            train.decide(expert, {"act": act, "run": "r0001", "method": "lora"})
    form = {"import_name": "x", "import_folder": "/etc", "import_questions": "Q?"}
    for act in ("import", "fill"):
        with pytest.raises(UserError):
            project.decide(reviewer, {**form, "act": act})
    assert shared.label_count() == 0


def test_what_is_not_allowed_is_not_offered(shared: Services) -> None:
    admin, expert, reviewer = (who(shared, name) for name in ("admin", "expert", "reviewer"))
    place = label.arrive(who(shared, "expert"), label.Place())
    assert people_text.NOT_LABELLING in label.draw(reviewer, place) and text.YOUR_LABEL in label.draw(expert, place)
    for person, imports, fills in ((admin, True, True), (expert, False, True), (reviewer, False, False)):
        html = project.draw(person)
        assert (text.IMPORT_TITLE in html, "for me" in html) == (imports, fills), person.name
    assert (
        people_text.NEEDS_ADMIN in train.draw(expert, {})[1] and people_text.NEEDS_ADMIN not in train.draw(admin, {})[1]
    )
    assert "expert · " in header_of(expert) and people_text.SIGN_OUT in header_of(expert)


def test_decisions_carry_the_name_of_who_signed_in_and_undo_is_ones_own(shared: Services) -> None:
    reviewer, admin = who(shared, "reviewer"), who(shared, "admin")
    place, _ = review.look(reviewer, review.Place())
    review.decide(reviewer, place, {"act": "accept", "candidate": place.shown})
    assert review.decide(admin, place, {"act": "undo"}).message == text.NOTHING_TO_UNDO
    (event,) = shared.store.events()
    assert event.content is not None and event.content["author"] == "reviewer"


def test_two_people_never_get_one_card_and_it_comes_back(shared: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    admin, expert, reviewer = (who(shared, name) for name in ("admin", "expert", "reviewer"))
    places = [review.look(person, review.Place())[0] for person in (admin, expert, reviewer)]
    assert len({place.shown for place in places}) == 3
    assert review.look(admin, places[0])[0] == places[0], "looking again keeps the card"
    last = review.decide(admin, places[0], {"act": "skip", "candidate": places[0].shown})
    last, _ = review.look(admin, last)
    last = review.decide(admin, last, {"act": "accept", "candidate": last.shown})
    place, _ = review.look(admin, last)
    assert place.shown == places[0].shown, "the skipped one is free again, for its author too"
    review.decide(admin, place, {"act": "accept", "candidate": place.shown})
    assert text.REVIEW_WITH_OTHERS_TITLE in review.look(admin, place)[1]

    monkeypatch.setattr("leaml.store.leases.now", lambda: now() + LEASE)
    taken, _ = review.look(admin, place)
    assert taken.shown in (places[1].shown, places[2].shown), "after ten minutes it comes back"
    late, person = (places[1], expert) if taken.shown == places[1].shown else (places[2], reviewer)
    said = review.decide(person, late, {"act": "reject", "reason": "duplicate", "candidate": late.shown})
    assert said.message == text.CARD_GONE and shared.store.queue.counts().rejected == 0


def test_two_experts_never_get_one_question(shared: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    admin, expert = who(shared, "admin"), who(shared, "expert")
    first, second = (label.arrive(person, label.Place()) for person in (admin, expert))
    assert first.asked != second.asked and label.arrive(admin, first) == first
    assert first.asked is not None and second.asked is not None
    monkeypatch.setattr("leaml.store.leases.now", lambda: now() + LEASE)
    third = label.arrive(expert, label.Place())
    assert third.asked == first.asked
    data = {"act": "save", "image": first.asked[0], "type": first.asked[1], "seconds": 1.0}
    gone = label.decide(admin, first, {**data, "answer": "left"})
    assert (gone.message, shared.label_count()) == (text.CARD_GONE, 0)
    assert label.arrive(admin, gone).asked not in (None, first.asked)


def test_nobody_and_a_removed_user_may_nothing(shared: Services) -> None:
    for name in (None, "eve"):
        with pytest.raises(UserError):
            who(shared, name)
    for role in ROLES:
        shared.store.users.remove(role)
    for name in (None, "admin"):
        with pytest.raises(UserError):
            who(shared, name), "with the last user gone, the app is not open to all"


def test_without_users_the_one_at_the_computer_may_everything(make_services: Make) -> None:
    person = who(make_services(), None)
    assert (person.name, person.signed_in, person.rights) == ("expert", False, RIGHTS["admin"])
    assert people_text.SIGN_OUT not in header_of(person)


def waited_for(coroutine: Coroutine[Any, Any, Result]) -> Result:
    """Run it in a thread of its own: Playwright's loop may be running in this one."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, coroutine).result()


def test_after_five_wrong_passwords_a_name_waits(tmp_path: Path) -> None:
    seconds = 0.0
    with Store.open(tmp_path) as store:
        for name in ("ann", "bob"):
            store.users.add(name, "expert", PASSWORD)
        sign_in = SignIn(store.users, clock=lambda: seconds)

        def tried(name: str, password: str) -> bool:
            return waited_for(sign_in.check(name, password))

        for _ in range(GUESSES - 1):
            assert not tried("ann", "wrong wrong")
        assert tried("ann", PASSWORD), "a success begins anew"
        for name in ("ann", "nobody"):
            for _ in range(GUESSES):
                assert not tried(name, "wrong wrong")
        assert not tried("ann", PASSWORD) and tried("bob", PASSWORD)
        seconds += WAIT_S - 0.1
        assert not tried("ann", PASSWORD)
        seconds += 0.2
        assert tried("ann", PASSWORD)
        assert sign_in._wrong == {}


def test_guesses_at_once_are_counted_too(tmp_path: Path) -> None:
    with Store.open(tmp_path) as store:
        store.users.add("ann", "expert", PASSWORD)
        sign_in = SignIn(store.users)
        asked = []
        real = store.users.verify
        store.users.verify = lambda *words: asked.append(words) or real(*words)  # type: ignore[func-returns-value,method-assign]

        async def flood() -> list[bool]:
            return await asyncio.gather(*(sign_in.check("ann", f"guess number {n}") for n in range(20)))

        assert not any(waited_for(flood()))
        assert len(asked) == GUESSES
