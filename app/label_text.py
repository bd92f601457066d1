"""Sentences of the Label screen and of the image viewer. No logic beyond putting numbers into sentences."""

from collections.abc import Sequence

from leaml.data.labels import Imported
from leaml.labelling.order import Reason
from leaml.records import Split

# Image viewer

IMAGE_TOOLS = "Image tools"
ZOOM_IN, ZOOM_OUT = "Zoom in", "Zoom out"
LIGHT = "Contrast"
BRIGHTNESS, CONTRAST = "Brightness", "Contrast"
RESET = "Reset"
IMAGE_HELP = "Zoom with plus and minus, move with the arrow keys."
VIEWER_KEYS = (
    ("Z", "zoom in, and back (or double click)"),
    ("+ / \N{MINUS SIGN}", "zoom step by step (or the wheel)"),
    ("C", "brightness and contrast (or drag with the right button)"),
)

MOVE_KEYS = (("← ↑ ↓ →", "move a zoomed image (or drag it)"),)
CLIP_KEYS = (("P", "play the clip, and stop"), (", .", "the frame before, the frame after"))
PLAY = "Play"
FRAMES = "Frames of the clip: what models are shown"
FRAME_BEFORE = "Frame before"
FRAME_AFTER = "Frame after"
UNPLAYABLE = "This browser cannot play this clip. Its frames are below; MP4 (H.264) plays everywhere."


def frame(number: int) -> str:
    """Name a frame of a clip, from 1."""
    return f"Frame {number}"


# Label

SPLITS: dict[Split, str] = {"pool": "To learn from", "test": "For the test"}
WHAT_FOR = "What the answers are for"
WHY_TEST = "Kept for the test: no model ever learns from it. These come at random, and without suggestions."
ALL_ANSWERED: dict[Split | None, str] = {
    None: "There is nothing left to label. Train the question generator next.",
    "pool": "There is nothing left to learn from. Answer for the test, or train next.",
    "test": "There is nothing left to answer for the test. Label images to learn from, or train next.",
}
ALL_LABELLED = (
    "The question generator writes about images without a label, and none is left for it. Fine-tune on your answers, "
    "or bring more images on the Project screen."
)
SKIPPED_ONLY = "Nothing else is left here. Look at what you skipped again, or train next."
REST_WITH_OTHERS = "Others have the last questions on their screens. What they leave comes here within ten minutes."


def you_skipped(questions: int) -> str:
    """Say that nothing is left but what this person left out."""
    return f"You skipped {questions} question{'' if questions == 1 else 's'}"


def show_again(questions: int) -> str:
    """Name the button that brings them back."""
    return "Show it again" if questions == 1 else "Show them again"


TEST_ASKS_THE_PROJECTS = "The test asks the project's questions only. Nothing was saved."
ANSWERED_BY_THE_DATA = "The data came with the answer to that question about this image."
ENOUGH: dict[Split | None, str] = {
    None: "Enough to start: train now, or answer more.",
    "pool": "Enough to start: train now. Answers for the test show what it brings.",
    "test": "Enough for a first comparison. Four times as many show differences half as large.",
}
NO_IMAGE_LEFT = "Enough to fine-tune. Every image has a label: the generator has none to write about."
TYPE_ANSWER = "Your answer, in your own words (Enter saves, Esc leaves the field)"
HISTORY = "Your last answers"
HISTORY_LEAD = "Click one to see it again and change it."
MORE = "Show more"
BACK_AGAIN = "The question that you skipped."
LABEL_GONE = "That answer has been changed or taken back since. Here is the list as it stands."

ANSWERED_BY_ANOTHER = "Somebody else has answered that question about this image."
ANSWERED_MEANWHILE = "Somebody else has answered that question by now. Nothing was saved; here is the next."


def asked_already(question: str) -> str:
    """Say that a question of one's own is one of the project's."""
    return f"“{question}” is one of this project's questions. Nothing was saved; choose it below the image's question."


def answered_by(author: str, question: str) -> str:
    """Say that somebody else has asked the same about the image."""
    return f"{author} has answered “{question}” about this image. Nothing was saved; ask in other words."


SHOWN_AGAIN = "Your earlier answer; save another to change it."
WHY: dict[Reason, str] = {
    "random": "Chosen at random: the images are still being compared.",
    "first": "Chosen because it is typical of these images.",
    "unlike": "Chosen because it looks least like the images labelled so far.",
    "unsure": "Chosen because the last model is unsure about this one.",
    "differ": "Chosen because two models of the last round differ about this one.",
    "rare": "Chosen because its answer may be one that few labels have.",
}


def before(answers: Sequence[str]) -> str:
    """Say which other answers a question had."""
    return f"before: {', '.join(answers)}"


# A model's suggestion

SUGGEST = "Suggest"
SUGGESTING = "Asking the model: the card waits for it. A large model may take minutes to load."
KEPT_BACK = "Kept back here, to measure its sway."
NO_SUGGESTING_MODEL = "There is no model yet. Fine-tune one on the Train screen."
QUESTION_GONE = "This question is not asked any more. Nothing was saved; reload the page."
INSIGHTS = "Do suggestions sway the answers?"
INSIGHTS_LEAD = (
    "When somebody asks for a suggestion, a random half of the questions keeps it back. If answers agree much more "
    "often with what was shown than with what was kept back, the suggestion has swayed them."
)
NO_ANSWER = "no answer yet"
SHOWN, HIDDEN = "suggestion shown", "suggestion kept back"


def suggested(answer: str) -> str:
    """Say what a model would answer."""
    return f"The model would answer: {answer}"


def agreeing(agreeing: int, labels: int, low: float, high: float) -> str:
    """Say how often answers agree with suggestions."""
    return f"{agreeing} of {labels} answers agree ({100 * low:.0f} to {100 * high:.0f}%)"


# The project's questions

QUESTIONS = "The questions of this project"
NO_QUESTIONS_TITLE = "No questions yet"
NO_QUESTIONS = f"This project asks none. Type them on the Project screen, below “{QUESTIONS}”; then they come here."
QUESTIONS_LEAD = (
    "What is asked of the images from now on. Answers given before keep the list that they were given with. A question "
    "that ends with “Choose all that apply.” takes several of its answers; one without answers is answered in words."
)
QUESTIONS_FIELD = "One a line: the question, then its answers, each after a |. A line with = below tells how to decide."
DEFINES = "="
"""Begins a line that says how the answers of the question above are told apart."""


def defines_nothing(line: int) -> str:
    """Say that a definition stands before any question."""
    return f"Line {line} tells how to decide, but there is no question above it. Put it below its question."


SAVE_QUESTIONS = "Save the questions"
QUESTIONS_SAVED = "Saved. The Label screen asks these questions from now on."


# The answers of one question, typed with its card

OPTION_TWICE = "Two of the answers to choose from are the same. Nothing was saved; remove one of the two."
OPTION_WITH_SEMICOLON = "Several answers are kept with a semicolon between, so none of them may hold one."


def one_option(option: str) -> str:
    """Say that one answer is nothing to choose from."""
    return (
        f"“{option}” alone is nothing to choose from. Type at least two answers with | between them, or none for an "
        "answer in words."
    )


# Labels that exist already

LABELS_TITLE = "Bring labels that exist already"
LABELS_LEAD = (
    "A CSV file with a line for each answer. The question is its text, or the short name that the Label screen shows "
    "with underscores. Answers about images that are kept for the test are what models are tested against; nothing is "
    "trained on them. Either every line is imported, or none."
)
LABELS_EXAMPLE = "image,question,answer,author\npolyp_017.jpg,Is a polyp visible?,yes,Dr. Meyer"
LABEL_FILE = "CSV file, comma, semicolon or tab between the fields; author may be left out"
IMPORT_LABELS = "Import the labels"
NO_LABEL_FILE = "Choose a file first; the one that is chosen may be empty."
LABELS_NOT_UTF8 = "Cannot read the label file: it is not in UTF-8. Save it as CSV in UTF-8 and choose it again."


def labels_imported(found: Imported) -> str:
    """Say what an import of labels brought."""
    brought = f"{found.labels} label{'' if found.labels == 1 else 's'} imported"
    tests = f", and {found.tests} answer{'' if found.tests == 1 else 's'} for the test" if found.tests else ""
    return brought + tests + (f"; {found.known} were there already." if found.known else ".")
