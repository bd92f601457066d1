"""Sentences of the table of rounds. No logic beyond putting in numbers."""

TITLE = "Rounds"
LEAD = "What each question generator wrote, what people decided about it, and how good the models became."
COLUMNS = ("Round", "Written", "Pairs", "Decided", "Accepted unchanged, percent", "Test accuracy, percent", "")
TAKE_BACK, YES = "Take back", "Take it back"
TAKEN_BACK = "taken back"
STOP_FIRST = (
    "A question generator is at work, and learns from what was decided before it began. Stop it first, or let it end "
    "and take its round back too. Nothing was changed."
)


def taken_back(number: int, decisions: int) -> str:
    """Say what was taken back."""
    return f"Round {number} is taken back, and {decisions} decision{'' if decisions == 1 else 's'} about its pairs."


def out_of_use(pairs: int) -> str:
    """Say why a generator's pairs are not shown to anybody."""
    are = "pair is" if pairs == 1 else "pairs are"
    return f"{pairs} {are} left out: the generator learnt from a round that was taken back since. Train it again."


def really(number: int, decided: int) -> str:
    """Say what taking a round back does."""
    decisions = f"{decided} decision{'' if decided == 1 else 's'} about them"
    return (
        f"The pairs of round {number} go out of use and the {decisions} no longer count; models that learnt from them "
        "are left out of the comparison. Nothing is deleted."
    )


def begin_round(number: int) -> str:
    """Name the button that trains the next round's generator."""
    return f"Begin round {number}"


def next_round(number: int, labels: int, reviewed: int) -> str:
    """Say what the next round's generator would learn from."""
    answers = f"{labels} answer{'' if labels == 1 else 's'}"
    pairs = f"{reviewed} reviewed pair{'' if reviewed == 1 else 's'}"
    return f"Round {number} would learn from {answers} and {pairs}."
