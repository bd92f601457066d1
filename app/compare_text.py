"""Sentences of the Compare screen. No logic beyond putting numbers into sentences."""

from collections.abc import Sequence

from app import text

MODELS = ("Left", "Right")
IMAGES = "Images"
SPLITS = {"test": "Test images", "pool": "Images to learn from"}
NO_IMAGES = {"test": "This project has no test images.", "pool": "This project has no images to learn from."}
PREVIOUS, NEXT_IMAGE, RANDOM = "Previous", "Next", "Random"
ASK = "Ask both"
ASKING = "The models are answering…"
QUESTION = "Question"
OWN = "My own question…"
NOT_ASKED = "Press “Ask both”."
REFERENCE = "Reference answer"
RIGHT, WRONG = "right", "wrong"
ADAPTER = "Adapter"
ADAPTER_ON, ADAPTER_OFF = "on: with what it learnt here", "off: without what it learnt here"
NO_MODELS_TITLE = "No models yet"
NO_MODELS = "Fine-tune some on the Train screen. The base model can be tested at once."
NO_TEST_TITLE = "No answers for the test yet"
NO_TEST = (
    "Models are compared by your answers about the images that are kept for the test. Give some on the Label screen, "
    "under “For the test”, or bring them as a CSV file on the Project screen."
)
NO_TEST_IMAGES_TITLE = "No images for the test yet"
NO_TEST_IMAGES = (
    "Models are compared on images that none of them has learnt from, and all that are here are to learn from. Import "
    "those of another patient or procedure, as a subfolder of their own."
)
ON_THE_WAY_TITLE = "The first models are on their way"
TESTS_DIFFER_TITLE = "Tested on other questions"
TESTS_DIFFER = "The test has changed since these models were asked. Test them again to compare them."
TABLE_TITLE = "Right answers in percent, by type of question"
TABLE_NOTE = "Small figures: 95% interval; near-duplicate images count together. “Average” weighs every type the same."
METHOD_COLUMN, AVERAGE = "Model", "Average"
FIGURE_TITLE = "Average with its 95% interval"
NOTHING_YET = "Bring images and questions on the Project screen; models that learnt from them are compared here."
ONE_MODEL = "Test a second model to see a difference."
CHANCE_X = "right answers on the test, percent"


def swapped(seconds: float) -> str:
    """Say how long the resident model took to take other values; nothing where it had them already."""
    return f"values swapped in {max(1, round(1000 * seconds))} ms" if seconds else ""


def on_questions(questions: int, images: int, waiting: int, behind: Sequence[str]) -> str:
    """Say what the table rests on, and which models were tested before more questions were answered."""
    if not behind:
        return f"{questions} test questions about {images} images"
    names = ", ".join(behind)
    more = f"{waiting} more when {names} {'is' if len(behind) == 1 else 'are'} tested again"
    other = f"{names} {'was' if len(behind) == 1 else 'were'} tested on other questions"
    return f"{questions} test questions about {images} images; {more if waiting else other}"


def test_again(names: Sequence[str]) -> str:
    """Name the button that asks these models today's test questions."""
    return f"Test {names[0] if len(names) == 1 else f'{len(names)} models'} again"


ASK_AN_ADMIN = "An admin can test them again."


def testing(names: Sequence[str]) -> str:
    """Say that these models are trained or tested now."""
    return f"{', '.join(names)}: on the way. The Train screen shows how far."


def tested_again(count: int) -> str:
    """Say how many tests were queued."""
    if not count:
        return "All models have been tested on the current questions already, or are on their way."
    which = "One model is" if count == 1 else f"{count} models are"
    return f"{which} being tested on the current questions. The Train screen shows how far they are."


def difference(one: str, other: str, value: float, low: float, high: float) -> str:
    """Write the paired difference of two models as a sentence; values in points."""
    if low <= 0 <= high:
        lead = f"{one} and {other} cannot be told apart on this test: {value:+.1f} points"
    elif value > 0:
        lead = f"{one} is {value:.1f} points better than {other}"
    else:
        lead = f"{one} is {-value:.1f} points worse than {other}"
    return f"{lead} (95% interval {low:+.1f} to {high:+.1f})."


ANEW = f"“{text.TRAIN_ALL}” on the Train screen has all of them learn from the same."
OTHER_FLIPS = "images mirrored otherwise"


def other_labels(labels: int, others: int) -> str:
    """Say that two models learnt from different labels."""
    if labels == others:
        return f"{labels} labels each, but not the same"
    return f"{labels} label{'' if labels == 1 else 's'} against {others}"


def other_model(model: str, other: str) -> str:
    """Say that two models began as different ones."""
    return f"base model {model} against {other}"


def differs(reasons: Sequence[str]) -> str:
    """Say in what a model differs from the newest one."""
    return f"Differs from the newest model: {'; '.join(reasons)}."


def more_than_method(reasons: Sequence[str]) -> str:
    """Say why the difference of two models is not that of their methods."""
    return f"They differ in more than their method: {'; '.join(reasons)}."
