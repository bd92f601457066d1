"""The acceptance model: what it learns, that it is calibrated, and that its figures come from the audit alone."""

import math
import random
from dataclasses import replace
from statistics import mean

import pytest
from scipy.special import logit

from leaml.errors import ConfigError
from leaml.records import RunId
from leaml.store.acceptance import expected_acceptance, fit_acceptance, measure_acceptance, order_by_acceptance
from leaml.store.audit import Decision
from tests.store.test_queue import halves
from tests.store.test_store import PLACE, SIZE, candidate, review, store  # noqa: F401 - a fixture


def simulated(count, seed=0, slope=4.0):
    """Return decisions whose probability of acceptance is known: it grows with the agreement, and differs by type."""
    draw = random.Random(seed)
    for number in range(count):
        kind, agreement = draw.choice(("place", "size")), draw.random()
        true = 1 / (1 + math.exp(-(slope * agreement - (1.0 if kind == "place" else 3.0))))
        accepted, audited = draw.random() < true, number % 2 == 0
        found = Decision(f"i{number}", kind, -draw.random(), agreement, 0.0, accepted, audited)
        yield found, true


def test_it_is_calibrated_on_what_it_has_not_seen():
    model = fit_acceptance([found for found, _ in simulated(400)])
    fresh = list(simulated(3000, seed=1))
    probabilities = model.probability([found for found, _ in fresh], [0.0] * 3000)
    for low in (0.0, 0.2, 0.4, 0.6, 0.8):
        chosen = [place for place, value in enumerate(probabilities) if low <= value < low + 0.2]
        if len(chosen) > 100:
            share = sum(fresh[place][0].accepted for place in chosen) / len(chosen)
            assert share == pytest.approx(sum(probabilities[place] for place in chosen) / len(chosen), abs=0.09)
    errors = [abs(value - true) for value, (_, true) in zip(probabilities, fresh, strict=True)]
    assert sum(errors) / len(errors) < 0.06


def test_an_unknown_type_and_an_open_question_have_a_probability_too():
    model = fit_acceptance([found for found, _ in simulated(200)])
    odd = Decision("i", None, -0.3, None, 0.0, True, False)
    (probability,) = model.probability([odd], [0.0])
    assert 0 < probability < 1


def test_candidates_are_weighed_as_decisions_with_the_same_scores_are():
    decisions = [found for found, _ in simulated(200)]
    pairs = [replace(candidate(n, 0.1 * n), option_probabilities=(0.1 * n, 1 - 0.1 * n)) for n in range(10)]
    same = [
        Decision("", row.type_id, row.log_probability, row.agreement, abs(1 - 0.2 * n), True, False)
        for n, row in enumerate(pairs)
    ]
    wanted = fit_acceptance(decisions).probability(same, [0.0] * 10)
    assert [row.probability for row in expected_acceptance(decisions, pairs)] == pytest.approx(list(wanted))
    assert [row.candidate_id for row in expected_acceptance(decisions, pairs)] == [row.id for row in pairs]
    assert expected_acceptance(decisions[:50], pairs) == []


def test_too_little_or_one_sided_is_refused():
    decisions = [found for found, _ in simulated(150)]
    one_image = [replace(found, image_id="i") for found in decisions]
    for few in (decisions[:99], [replace(found, accepted=True) for found in decisions], one_image):
        with pytest.raises(ConfigError, match="at least 100"):
            fit_acceptance(few)
    with pytest.raises(ConfigError, match="No pair was audited"):
        measure_acceptance([replace(found, audited=False) for found in decisions])


def test_its_figures_rest_on_the_audit_alone():
    decisions = [found for found, _ in simulated(1000, slope=8.0)]
    figures = measure_acceptance(decisions)
    assert figures.audited == 500 and figures.precision.low < figures.precision.value <= 1
    assert 0.3 < figures.coverage < 0.7 and figures.precision.value > 0.9
    # Turned round, the audit finds out; decisions outside it are no part of the figures.
    turned = [replace(found, accepted=not found.accepted) if found.audited else found for found in decisions]
    assert measure_acceptance(turned).coverage < 0.1
    others = [found for found in decisions if not found.audited]
    assert measure_acceptance([*others, *decisions]).audited == 500


def test_noise_is_accepted_at_its_rate_whatever_the_scores():
    draw = random.Random(3)
    decisions = [replace(found, accepted=draw.random() < 0.7) for found, _ in simulated(600)]
    probabilities = fit_acceptance(decisions).probability(decisions, [0.0] * 600)
    assert probabilities.mean() == pytest.approx(0.7, abs=0.05) and probabilities.std() < 0.1


def test_the_queue_follows_it(store):  # noqa: F811
    draw = random.Random(0)
    kinds = [replace(kind, id=f"{kind.id} o'{{clock}}") for kind in (PLACE, SIZE)]
    rows = [candidate(n, draw.random(), kind) for n in range(150) for kind in kinds]
    store.results.add_generator_run(RunId("r1"), rows)
    assert not order_by_acceptance(store)
    for row in store.queue.next(140):
        right = row.agreement + draw.gauss(0, 0.1) > 0.8
        store.add_review(review(row, "accept" if right else "reject"))
    assert order_by_acceptance(store)
    model, half_of = fit_acceptance(store.checks.decisions()), halves(store)
    for kind in kinds:
        order = [row for row in store.queue.next(300) if half_of[row.id] == "informative" and row.type_id == kind.id]
        asked = [Decision("", row.type_id, row.log_probability, row.agreement, 0.0, True, False) for row in order]
        doubts = [abs(logit(value)) for value in model.probability(asked, [0.0] * len(asked))]
        assert doubts == pytest.approx(sorted(doubts), abs=1e-6) and len(doubts) > 30
        assert abs(order[0].agreement - 0.8) < 0.25


def test_images_whose_pairs_were_rejected_for_another_reason_than_the_answer_come_with_less_hope(store):  # noqa: F811
    draw = random.Random(1)
    rows = [replace(candidate(n % 60, 0.5, kind), id=f"c{n}-{kind.id}") for n in range(180) for kind in (PLACE, SIZE)]
    store.results.add_generator_run(RunId("r1"), rows)
    blind = {image for image in sorted({row.image_id for row in rows}) if draw.random() < 0.5}
    asked = rows[:240]
    for row in asked:
        given = review(row, "accept" if draw.random() < 0.9 else "reject")
        if row.image_id in blind:
            given = review(row, "reject") if draw.random() < 0.9 else review(row, "accept")
        store.add_review(replace(given, reason="not visible" if given.action == "reject" else None))
    decisions = store.checks.decisions()
    first = {row.image_id: row.faults for row in reversed(decisions)}
    assert set(first.values()) == {0.0}, "nothing was known before an image's first decision"
    of_one = [row for row in decisions if row.image_id == decisions[0].image_id]
    seen = [sum(row.faulted for row in of_one[:n]) / (n + 1) for n in range(len(of_one))]
    assert [row.faults for row in of_one] == pytest.approx(seen)

    likely = {row.candidate_id: row.probability for row in expected_acceptance(decisions, rows[240:])}
    on_blind = [likely[row.id] for row in rows[240:] if row.image_id in blind]
    on_others = [likely[row.id] for row in rows[240:] if row.image_id not in blind]
    assert mean(on_blind) < 0.3 < 0.6 < mean(on_others)
    alike = [replace(row, faulted=False, faults=0.0) for row in decisions]  # all of them for the answer alone
    without = [row.probability for row in expected_acceptance(alike, rows[240:])]
    assert max(without) - min(without) < 0.3

    assert order_by_acceptance(store)
    half_of = halves(store)
    order = [row for row in store.queue.next(400) if half_of[row.id] == "informative" and row.type_id == PLACE.id]
    doubts = [abs(logit(likely[row.id])) for row in order]
    assert doubts == pytest.approx(sorted(doubts), abs=1e-6) and len(doubts) > 20
