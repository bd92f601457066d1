"""Sentences of the Review screen's filters, and of what stands below the card. No logic beyond putting in numbers."""

from collections.abc import Sequence
from math import exp

from leaml.records import Reading

# Filters

FILTER_TYPE, FILTER_AGREEMENT, FILTER_CAPTION = "Question type", "Agreement", "Caption"
ALL_TYPES = "all"
AGREEMENTS = {
    "": ("any", 0.0, 1.0),
    "high": ("at least .90", 0.9, 1.0),
    "middle": (".50 to .90", 0.5, 0.9),
    "low": ("below .50", 0.0, 0.5),
}
CAPTIONS = {"": ("with or without", None), "yes": ("with a caption", True), "no": ("without a caption", False)}
NOTHING_HERE = ("Nothing is left of these", "Choose others below, or show all.")
WITH_OTHERS_HERE = ("Others have what is left of these", "Choose others below, or show all.")
SHOW_ALL = "Show all"


def left_here(pairs: int) -> str:
    """Say how many open pairs are like what was chosen."""
    return f"{pairs} left of these"


SAVE = "Save change"
"""On Accept's button once another answer is chosen: a longer text would make it higher."""

# Pairs whose question was labelled

ALL_LABELLED_TITLE = "Nothing is left to review"
ALL_LABELLED = (
    "Every question that the model wrote has been answered on the Label screen by now. Next: fine-tune on the answers, "
    "or begin another round."
)
LABELLED_MEANWHILE = "That question has been labelled by now. Nothing was saved; here is the next."


def but_labelled(taken_back: str) -> str:
    """Say that a card does not come back, after what was taken back."""
    return f"{taken_back}. The question has a label, so it is not asked again."


# Second reads

DISPUTED = "Two readers differ here: what you decide stands"


def differing(question: str, readings: Sequence[Reading]) -> str:
    """Say what each reader decided about a question. No names: whose decision it was should decide nothing."""
    return "One reader " + "; another ".join(_reading(question, found) for found in readings) + "."


def _reading(question: str, found: Reading) -> str:
    if found.action == "reject":
        return f"rejected it ({found.reason})"
    asked = "" if found.question == question else f" to “{found.question}” instead"
    return f"answered “{found.answer}”{asked}"


def confidence(log_probability: float) -> str:
    """Say how sure the writer of a pair was of its answer: the probability of a token, from nats."""
    return f"confidence {exp(log_probability):.2f}".replace(" 0.", " .", 1)


# Below the card

DESK = "Checks, batches and roll-backs"
DESK_CLOSE = "Close"
COUNT_ANEW = "Count anew"
BATCH_TITLE = "Accept many at once"
BATCH_LEAD = (
    "Half of the cards are drawn at random. Once these show that nearly all pairs of a kind are right, the rest of "
    "that kind can be accepted together: 35 checks without a fault are enough, or more, until the whole interval is "
    "above 90."
)
BATCH_LEVEL = "Agreement of at least"
BATCH_COLUMNS = ("Question type", "Open", "Checked at random", "Accepted unchanged, percent", "")
QUOTAS_TITLE = "How often each question type comes"
QUOTAS_LEAD = "Choose more of those where answers matter most to you. Half of each stay drawn at random."
QUOTAS_SAVED = "Saved: the next cards come in the new order."
TAKE_BACK_TITLE = "Take decisions back"
TAKE_BACK_LEAD = "Nothing is deleted: what stood before stands again, and the record shows who took what back."
TAKE_BACK = "Take back"
YES, NO = "Yes", "No"
NO_MODEL = "After about 100 decisions a model learns which pairs would be accepted, and the queue follows it."
NOT_READ_TWICE = "No pair has been read by two people yet."


def quota(cards: int) -> str:
    """Say how often a question type comes next to one with a quota of 1."""
    return {0: "after all others", 1: "as the others", 2: "twice as often"}.get(cards, f"{cards} times as often")


def accept_all(count: int) -> str:
    """Name the button that accepts a batch."""
    return f"Accept {count}"


def batch_accepted(count: int, kind: str) -> str:
    """Say what a batch did."""
    return f"{count} pairs of “{kind}” accepted as one batch. It can be taken back below."


def both(labels: int, reviews: int) -> str:
    """Count answers of the Label screen and reviews."""
    return f"{labels} answer{'' if labels == 1 else 's'} on Label and {reviews} review{'' if reviews == 1 else 's'}"


def taken_back_many(labels: int, reviews: int) -> str:
    """Say what a roll-back did."""
    return f"Taken back: {both(labels, reviews)}."


def really(what: str) -> str:
    """Ask before decisions are taken back."""
    return f"Take back {what}? They can only be given anew."


def pairs_of(standing: int) -> str:
    """Count the pairs of a batch."""
    return f"{standing} accepted pair{'' if standing == 1 else 's'}"


def batch_line(number: int, kind: str, at_least: float, standing: int, author: str, at: str) -> str:
    """Describe a batch."""
    return f"Batch {number}: {standing} pairs of “{kind}”, agreement at least {at_least:.2f}, by {author}, {at}"


def session_line(author: str, labels: int, reviews: int, began: str, ended: str) -> str:
    """Describe a person's decisions without a long pause."""
    return f"{author}: {both(labels, reviews)}, {began} to {ended}"


def model_line(coverage: float, precision: float | None, low: float, high: float, audited: int) -> str:
    """Say how good the acceptance model is, on the random audit."""
    if precision is None:
        return f"The acceptance model is sure of none of the {audited} pairs checked at random."
    return (
        f"The acceptance model is sure of {100 * coverage:.0f}% of the {audited} pairs checked at random; people "
        f"accepted {100 * precision:.0f}% of those unchanged (95% interval {100 * low:.0f} to {100 * high:.0f}%)."
    )


def agreement_line(kind: str, alpha: float, pairs: int) -> str:
    """Say how far two readers agree about a question type."""
    return f"{kind} {alpha:.2f} ({pairs})"


def agreement_lines(parts: str) -> str:
    """Introduce the agreement of two readers."""
    return f"Agreement of two readers (Krippendorff's alpha, pairs read twice): {parts}"
