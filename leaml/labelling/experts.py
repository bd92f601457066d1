"""An expert simulated from the reference answers: for the sample, for tests and for measurements.

It only ever sees pool images. What it does goes through the same events as a person's decisions.
"""

import random
from collections import defaultdict
from collections.abc import Iterable

from leaml.errors import ConfigError
from leaml.prompts import normalise_answer
from leaml.records import AnsweredQuestion, Candidate, Review
from leaml.store import Store

REFERENCE_EXPERT = "reference expert"


def label_from_references(store: Store, *, count: int, seed: int, author: str = REFERENCE_EXPERT) -> int:
    """Answer `count` questions that nobody has answered, evenly over question types and answers; return how many.

    Raises:
        ConfigError: If `count` is below 1, or no reference answer is left.
    """
    if count < 1:
        raise ConfigError(f"The number of labels is {count}, but must be at least 1.")
    left = store.answered.references_left()
    if not left:
        raise ConfigError("There is no reference answer left to label from. Label by hand, or import some.")
    chosen = stratified(left, count=count, seed=seed)
    for pair in chosen:
        store.add_label(pair, author=author, seconds=0.0)
    return len(chosen)


def stratified(pairs: Iterable[AnsweredQuestion], *, count: int, seed: int) -> list[AnsweredQuestion]:
    """Return `count` pairs at random, question types in turn, and within a type its answers in turn.

    An image is used for one question as long as there are others, so that the labels show many images.
    """
    generator = random.Random(seed)
    waiting: dict[str, dict[str, list[AnsweredQuestion]]] = defaultdict(lambda: defaultdict(list))
    for pair in pairs:
        waiting[pair.type_id or pair.question][pair.answer].append(pair)
    used: set[str] = set()
    chosen: list[AnsweredQuestion] = []
    for answers in waiting.values():
        for group in answers.values():
            generator.shuffle(group)
    while len(chosen) < count and waiting:
        for kind in sorted(waiting):
            if len(chosen) == count:
                break
            answer, group = min(waiting[kind].items(), key=lambda item: (_taken(chosen, kind, item[0]), item[0]))
            fresh = next((pair for pair in group if pair.image_id not in used), group[0])
            group.remove(fresh)
            used.add(fresh.image_id)
            chosen.append(fresh)
            if not group:
                del waiting[kind][answer]
            if not waiting[kind]:
                del waiting[kind]
    return chosen


def review_with_policy(store: Store, policy: str, *, limit: int | None = None, author: str = REFERENCE_EXPERT) -> int:
    """Decide on the open pairs, in the order of the review queue; return how many.

    Args:
        store: The workspace's store.
        policy: `reference` accepts a right answer, corrects a wrong one, and rejects a question that has no reference
            answer; `accept-all` accepts; `threshold=X` accepts an agreement of at least X and rejects the rest.
        limit: At most so many.
        author: Whose decisions they are.

    Raises:
        ConfigError: If the policy is unknown, or there is nothing to review.
    """
    queue = store.queue.next(limit if limit is not None else 1_000_000)
    if not queue:
        raise ConfigError("There is no pseudo pair to review. Train the generator first.")
    answers = {(pair.image_id, normalise_answer(pair.question)): pair for pair in store.references("pool")}
    threshold = _threshold(policy)
    for candidate in queue:
        if policy == "reference":
            reference = answers.get((candidate.image_id, normalise_answer(candidate.question)))
            review = decide_by_reference(candidate, reference, author)
        elif threshold is None or (candidate.agreement or 0.0) >= threshold:
            review = Review(candidate.id, "accept", as_pair(candidate), None, author, 0.0)
        else:
            review = Review(candidate.id, "reject", as_pair(candidate), "wrong answer", author, 0.0)
        store.add_review(review)
    return len(queue)


def as_pair(candidate: Candidate) -> AnsweredQuestion:
    """Return a pseudo pair as a question with the answer that it claims."""
    return AnsweredQuestion(
        candidate.image_id, candidate.question, candidate.options, candidate.answer, candidate.type_id
    )


def decide_by_reference(candidate: Candidate, reference: AnsweredQuestion | None, author: str) -> Review:
    """Return the decision of an expert who knows the reference answer; a question without one is rejected."""
    pair = as_pair(candidate)
    if reference is None:
        return Review(candidate.id, "reject", pair, "not useful", author, 0.0)
    if normalise_answer(reference.answer) == normalise_answer(candidate.answer):
        return Review(candidate.id, "accept", pair, None, author, 0.0)
    return Review(candidate.id, "edit", reference, None, author, 0.0)


def _threshold(policy: str) -> float | None:
    if policy in ("reference", "accept-all"):
        return None
    name, _, value = policy.partition("=")
    try:
        threshold = float(value)
    except ValueError:
        threshold = -1.0
    if name != "threshold" or not 0 <= threshold <= 1:
        raise ConfigError(f"The policy {policy!r} is unknown. Use reference, accept-all, or threshold=X (0 to 1).")
    return threshold


def _taken(chosen: list[AnsweredQuestion], kind: str, answer: str) -> int:
    return sum(pair.answer == answer and (pair.type_id or pair.question) == kind for pair in chosen)
