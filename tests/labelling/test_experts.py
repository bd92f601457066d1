"""The simulated expert: spread of its labels, and its review policies."""

from collections import Counter

import pytest

from leaml.errors import ConfigError
from leaml.labelling.experts import label_from_references, review_with_policy, stratified
from leaml.records import RunId
from tests.store.test_store import PLACE, SIZE, candidate, pair, store  # noqa: F401 - a fixture


def test_labels_are_spread_over_types_answers_and_images():
    pairs = [pair(n, "left" if n % 5 else "right") for n in range(40)]
    pairs += [pair(n, SIZE.options[n % 3], SIZE) for n in range(40)]
    chosen = stratified(pairs, count=12, seed=1)
    assert Counter(row.type_id for row in chosen) == {"place": 6, "size": 6}
    assert Counter(row.answer for row in chosen if row.type_id == "place") == {"left": 3, "right": 3}
    assert len({row.image_id for row in chosen}) == 12
    assert chosen == stratified(pairs, count=12, seed=1) != stratified(pairs, count=12, seed=2)


def test_labels_never_touch_the_test_nor_repeat(store):  # noqa: F811
    assert label_from_references(store, count=1, seed=0) == 1
    assert label_from_references(store, count=9, seed=0) == 1
    assert {label.pair.image_id for label in store.labels()} == {"i0", "i1"}
    with pytest.raises(ConfigError, match="no reference answer left"):
        label_from_references(store, count=1, seed=0)
    with pytest.raises(ConfigError, match="labels is 0"):
        label_from_references(store, count=0, seed=0)


@pytest.mark.parametrize(
    ("policy", "accepted", "edited", "rejected"),
    [("reference", 1, 1, 1), ("accept-all", 3, 0, 0), ("threshold=0.5", 2, 0, 1)],
)
def test_policies(store, policy, accepted, edited, rejected):  # noqa: F811
    right, wrong, unknown = candidate(0, 0.9), candidate(1, 0.6), candidate(2, 0.2)
    wrong = wrong.__class__(**{**vars(wrong), "answer": PLACE.options[1]})
    store.results.add_generator_run(RunId("r1"), [right, wrong, unknown])
    assert review_with_policy(store, policy) == 3
    counts = store.queue.counts()
    assert (counts.accepted, counts.edited, counts.rejected) == (accepted, edited, rejected)
    if policy == "reference":
        assert {row.answer for row in store.answered.reviewed()} == {"left"}


def test_a_limit_and_unknown_policies(store):  # noqa: F811
    with pytest.raises(ConfigError, match="no pseudo pair to review"):
        review_with_policy(store, "reference")
    store.results.add_generator_run(RunId("r1"), [candidate(n) for n in range(4)])
    assert review_with_policy(store, "accept-all", limit=3) == 3
    for policy in ("magic", "threshold=2", "threshold=x"):
        with pytest.raises(ConfigError, match=r"is unknown\. Use reference"):
            review_with_policy(store, policy)
    assert store.queue.counts().open == 1
