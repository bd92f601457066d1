"""Krippendorff's alpha against his own worked examples ("Computing Krippendorff's Alpha-Reliability", 2011)."""

from dataclasses import replace

import pytest

from leaml.errors import ConfigError
from leaml.records import RunId
from leaml.stats import krippendorff_alpha
from tests.store.test_store import candidate, review, store  # noqa: F401 - a fixture

FOUR = ("123321412...", "1233224125.3", ".3332342251.", "12332441251.")


def test_the_worked_examples():
    assert krippendorff_alpha(list(zip("0100000010", "1110010000", strict=True))) == pytest.approx(0.095, abs=5e-4)
    assert krippendorff_alpha(list(zip("aabbdcccedda", "babbbccceddd", strict=True))) == pytest.approx(0.692, abs=5e-4)
    units = [[value for value in unit if value != "."] for unit in zip(*FOUR, strict=True)]
    assert krippendorff_alpha(units) == pytest.approx(0.743, abs=5e-4)


def test_the_ends_of_the_scale():
    assert krippendorff_alpha([("a", "a"), ("b", "b")]) == 1.0
    assert krippendorff_alpha([("a", "a")] * 3) == 1.0
    assert krippendorff_alpha([("a", "b"), ("b", "a")]) < 0
    with pytest.raises(ConfigError, match="two people"):
        krippendorff_alpha([("a",), ()])


def test_the_readings_are_the_two_readers_own_whatever_a_third_decides(store):  # noqa: F811
    store.results.add_generator_run(RunId("r1"), [candidate(n) for n in range(4)])
    for number, action in enumerate(("accept", "reject", "accept", "skip")):
        store.add_review(review(candidate(number), action, author="ann"))
    for number, (action, answer) in enumerate((("accept", None), ("edit", "right"), ("skip", None), ("accept", None))):
        store.add_review(replace(review(candidate(number), action, answer, author="bob"), drawn="second"))
    left, right = "Where?\x1fleft", "Where?\x1fright"
    expected = [("place", left, left), ("place", "reject", right)]
    assert store.checks.readings() == expected
    store.add_review(replace(review(candidate(1), "edit", "right", author="cy"), drawn="adjudication"))
    assert store.checks.readings() == expected


def test_a_disputed_pair_of_the_audit_stays_in_it(store):  # noqa: F811
    store.results.add_generator_run(RunId("r1"), [candidate(0)])
    for drawn, author, action, answer in (
        ("audit", "ann", "accept", None),
        ("second", "bob", "edit", "right"),
        ("adjudication", "cy", "edit", "right"),
    ):
        store.add_review(replace(review(candidate(0), action, answer, author=author), drawn=drawn))
    (decision,) = store.checks.decisions()
    assert decision.audited and not decision.accepted
