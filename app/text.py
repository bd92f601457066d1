"""Sentences that several screens share, and most of those of Project, Label, Train and Review.

`label_text` and the other `*_text` have the rest. No logic beyond putting numbers into sentences.
"""

from collections.abc import Sequence

from leaml.records import Method, RejectReason

NAME = "LEAML Studio"
TABS = {"project": "Project", "label": "Label", "train": "Train", "review": "Review", "compare": "Compare"}

# Project

NO_PROJECT_TITLE = "This workspace is empty"
NO_PROJECT = "Bring a folder of images below, or start with the sample project to see how everything works."
LOAD_SAMPLE = "Start with the sample project"
LOOP_TITLE = "From a few answers of yours to a model of your own"
LOOP_LEAD = (
    "You answer about 40 questions. A model learns to ask and answer more like them; you check those with single "
    "keys. The result is trained and measured against the alternatives, all on this machine."
)
STEPS = {
    "label": ("Label a few images", "Answer short questions about images: 40 answers are a good start."),
    "train": (
        "Train the question generator",
        "It learns from your answers and writes questions about the other images.",
    ),
    "review": ("Review what it wrote", "Accept, correct or reject each pair with one key, beside its image."),
    "finetune": ("Fine-tune and compare all", "Train the candidates for your model, one after another, and test each."),
    "compare": ("Compare", "See two models side by side on any image, and the table with its uncertainty."),
}
STEP_GO = {
    "label": "Label images",
    "train": "Go to Train",
    "review": "Review pairs",
    "finetune": "Go to Train",
    "compare": "Compare models",
}
AT_WORK = "Training now: the Train screen shows how far it is."


def count_of(what: str, count: int) -> str:
    """Say how much of something there is; nothing for none."""
    return f"{count} {what}{'' if count == 1 else 's'}" if count else ""


TILES = {
    "pool": "images to learn from",
    "test": "images kept for the test",
    "labels": "answers",
    "captions": "teacher's captions",
    "candidates": "pairs written by the model",
    "reviewed": "pairs accepted or corrected",
}
HERE = "What is here"
TEST_WALL = "Test images are never trained on. Their answers only measure the models."
IMPORT_TITLE = "Bring your own images or clips"
IMPORT_LEAD = (
    "A folder on the machine where this app runs. The images are copied; the folder is not changed. One workspace "
    "holds one project, so a new project gets a workspace of its own."
)
IMPORT_NAME = "Name of the project"
IMPORT_FOLDER = "Folder with images or clips"
IMPORT_FOLDER_EXAMPLE = "/data/colonoscopy"
IMPORT_QUESTIONS = "Questions, one a line: the question, then its answers, each after a |; below, = tells how to decide"
IMPORT_EXAMPLE = (
    "Is a polyp visible? | yes | no\nHow clean is the bowel? | clean | some stool | not assessable\n"
    "= Clean: the whole wall can be seen."
)
IMPORT_BUTTON = "Import"


def imported(images: int, name: str) -> str:
    """Say what an import brought."""
    return f"{images} images imported into “{name}”. Next: label a few."


def imported_elsewhere(images: int, name: str, workspace: str) -> str:
    """Say where a project is that was put into a workspace of its own."""
    return f"{images} images of “{name}” are ready in a workspace of their own, {workspace}."


def open_by(workspace: str) -> str:
    """Say how to open a project where the app cannot be taken away from others."""
    return f"Stop the app and start it there: python app.py --workspace {workspace}"


EXPORT_TITLE = "Take your work elsewhere"
EXPORT_LEAD = (
    "Files with the names of images, not the images themselves, written into this project's folder. A trained model is "
    "written by: python -m leaml merge RUN FOLDER, with the number of its run from the Train screen."
)
EXPORTS = {
    ".csv": ("All answers of people", "CSV with their authors; can be brought in again. Those for the test too."),
    ".jsonl": ("Labels and accepted pairs", "JSON Lines, to train on."),
    ".json": ("Labels and accepted pairs", "LLaVA conversations, to train on."),
    ".parquet": ("Labels and accepted pairs", "Parquet, to train on or to count."),
}
WRITE = "Write"


def exported(rows: int, file: str) -> str:
    """Say what was written, and where."""
    return f"{rows} row{'' if rows == 1 else 's'} written to {file}"


NO_QUESTIONS = "Type at least one question, such as: Is a polyp visible? | yes | no"
NO_FOLDER = "Say which folder the images are in."
NO_PROJECT_NAME = "Give the project a name."
NAME_WITHOUT_LETTERS = "Give the project a name with a letter or a digit in it: its workspace is called by those."

# Label

YOUR_LABEL = "Your answer"
SAVE_NEXT = "Save, next image"
SKIP = "Skip"
UNDO = "Undo"
SAVED, SKIPPED = "Saved", "Skipped: it comes again after the others"
OTHER_QUESTION = "About this image also:"
WRITE_OWN = "my own question"
OWN_QUESTION = "Your question"
OWN_ANSWER = "Its answer"
OWN_OPTIONS = "Answers to choose from, with | between them (may stay empty)"
OWN_SAVE = "Save my question"
BACK = "Back"
NOTHING_TO_UNDO = "There is nothing of yours to take back."
CHOOSE_FIRST = "Choose an answer first: keys 1 to 9, or a click."
LABEL_EMPTY_TITLE = "No images yet"
LABEL_EMPTY = "Bring images and questions on the Project screen; then they can be labelled here."
LABEL_ALL_TITLE = "Every image has its answers"
GO_PROJECT = "Go to Project"
GO_TRAIN = "Go to Train"
GO_REVIEW = "Go to Review"
GO_LABEL = "Go to Label"
GO_COMPARE = "Go to Compare"
NEW_HERE = "Only looking around?"


def label_for_me(count: int) -> str:
    """Name the button that lets the reference answers label."""
    return f"Label {count} for me from the reference answers"


def of(done: int, total: int) -> str:
    """Say how far something is; beyond the total, that this was enough."""
    return f"{done} of {total}" if done <= total else f"{done} (goal {total})"


def labelled_for_you(count: int) -> str:
    """Say what the simulated expert did."""
    return f"{count} questions were answered from the reference answers. Next: train the question generator."


def own_questions(count: int) -> str:
    """Say how many questions a person wrote."""
    return f"{count_of('question', count)} of your own" if count else ""


def taken_back(answer: str) -> str:
    """Say what was undone."""
    return f"Taken back: {answer}"


def taken_back_for_you(count: int) -> str:
    """Say that what the simulated expert did was undone."""
    return f"Taken back: {count_of('answer', count)} from the reference answers"


def image_alt(name: str) -> str:
    """Describe an image to those who cannot see it."""
    return f"Image {name}"


NEED_QUESTION = "Type the question."
NEED_ANSWER = "Type the answer, or choose one."


def not_an_option(answer: str, options: Sequence[str]) -> str:
    """Say that an answer is outside its list."""
    return f"The answer “{answer}” is not one of the options: {' | '.join(options)}."


# Review

PSEUDO = "Question written by the model"
CAPTION = "Teacher's caption"
NO_CAPTION = "There is no caption for this image."
ACCEPT = "Accept"
SAVE_EDIT = "Save the change"
EDIT = "Edit"
REJECT = "Reject"
WHY_REJECT = "Why? Choose a reason:"
PROBABILITIES = "Figures: how sure a second model, which learnt from your answers, is of each."
NO_PROBABILITIES = "An open question: there are no answers to choose from."
EDIT_QUESTION = "Question"
EDIT_OPTIONS = "Answers to choose from, with | between them"
EDIT_ANSWER = "Answer"
REVIEW_EMPTY_TITLE = "Nothing to review yet"
REVIEW_EMPTY = "Train the question generator first: the questions that it writes appear here."
REVIEW_SOON_TITLE = "The question generator is at work"
REVIEW_SOON = "The questions that it writes appear here when it is done. The Train screen shows how far it is."
REVIEW_DONE_TITLE = "All reviewed"
REVIEW_DONE = "Next: fine-tune on what you accepted, and compare."
REVIEW_WITH_OTHERS_TITLE = "The rest is with others"
REVIEW_WITH_OTHERS = "The last pairs are on other people's screens. What they leave comes back here within ten minutes."
CARD_GONE = "Somebody else has that card by now. Nothing was saved; here is the next."
ZOOM, HELP = "Zoom", "Keys"
CLOSE = "Close"
KEYS = {
    "review": (
        ("A", "accept"),
        ("1 … 9", "choose another answer; A or Enter saves it"),
        ("E", "edit question and answers"),
        ("R", "reject, then 1 … 6 for the reason"),
        ("S", "skip, it comes back later"),
        ("U", "undo the last decision"),
        ("Esc", "close what is open"),
    ),
    "label": (
        ("1 … 9", "choose an answer"),
        ("Enter", "save, next image"),
        ("O", "write my own question"),
        ("G", "ask the last model what it would answer"),
        ("S", "skip"),
        ("U", "undo"),
    ),
    "compare": (
        ("Enter", "ask both models"),
        ("← →", "image before, next image"),
        ("R", "an image at random"),
        ("A / D", "left or right model with and without what it learnt here"),
    ),
}
REASONS: dict[RejectReason, str] = {
    "wrong answer": "Wrong answer",
    "not visible": "Not visible",
    "unclear question": "Unclear",
    "wrong options": "Wrong options",
    "duplicate": "Asked before",
    "not useful": "Not useful",
}


def disagrees(option: str) -> str:
    """Warn that the second model answers otherwise."""
    return f"The second model would answer “{option}”: look twice."


def pace(seconds: float | None) -> str:
    """Say how long a card takes."""
    return "" if seconds is None else f"{seconds:.1f} s a card"


# Train

STAGES = {
    "captions": "Captions of the teacher",
    "importance": "Importance of neurons",
    "generator": "Question generator",
    "judge": "Second opinion",
    "sample": "Write questions and answers",
    "finetune": "Fine-tuning",
    "evaluate": "Test questions",
}
STATES = {
    "queued": "waiting for its turn",
    "running": "running",
    "stalled": "no sign of life",
    "done": "done",
    "failed": "failed",
    "cancelled": "cancelled",
    "crashed": "interrupted",
    "new": "not started",
}
SERIES = {
    "question_loss": "questions",
    "caption_loss": "captions",
    "wrong_image_loss": "wrong image",
    "answer_loss": "answers",
}
GENERATOR_TITLE = "The question generator"
GENERATOR_LEAD = (
    "Learns from your answers, the pairs that you accepted or changed, and the teacher's captions, changing only the "
    "neurons that matter most. Then it writes questions about the images that you did not label. What is decided does "
    "not come again."
)
TRAIN_GENERATOR = "Train the generator"
TRAIN_AGAIN = "Train again"
CANCEL, RESUME, STARTING = "Cancel", "Resume", "starting"
CLOSE_PAGE = "You can close this page: training goes on."
LOSS = "Loss, lower is better"
NO_LOSS = "The loss appears here while a model learns."
MODELS_TITLE = "Models to compare"
MODELS_LEAD = "All come from one base model and are tested on the same questions. They run one after another."
TRAIN_ALL = "Fine-tune and compare all"
ALL_AGAIN = "Again when these have ended."
METHODS: dict[Method, tuple[str, str]] = {
    "zero_shot": ("Base model", "Not trained on this project: what you have without any work."),
    "full_finetune": ("Full fine-tuning", "Every weight, on your labels alone."),
    "lora": ("LoRA", "Small added weights, on your labels alone."),
    "leaml": ("LEAML", "Goes on from the generator: your labels and its pairs, right or wrong. For comparison."),
    "leaml_reviewed": (
        "LEAML, reviewed",
        "Your labels and the pairs that you accepted or corrected, learnt by LoRA. Recommended, from some 200 on.",
    ),
}
MAJORITY = ("Majority answer", "Always the most frequent answer among the labels; no image needed.")
TEST_IT, TRAIN_IT, TRAIN_IT_AGAIN = "Test", "Train", "Train again"
NEEDS_LABELS = "Needs labels: answer some questions on the Label screen first."
NEEDS_GENERATOR = "Needs pairs: train the generator first."
NEEDS_REVIEW = "Needs reviewed pairs: accept or correct some on the Review screen first."
NEEDS_TEST = (
    "Needs answers about the images that are kept for the test. Give some on the Label screen, under “For the test”, "
    "or bring them as a CSV file on the Project screen."
)
NEEDS_TEST_IMAGES = (
    "Needs images for the test, and all that are here are to learn from. Import those of another patient or procedure, "
    "as a subfolder of their own."
)
NEEDS_IMAGES = "Needs images: bring some on the Project screen first."
IS_RUNNING = "Is running already."
NOTHING_TO_TRAIN = "No model can be trained yet."
PAST_RUNS = "All runs"
RUN_COLUMNS = ("Run", "What", "State", "Started", "Took", "")
NO_RUNS = "No runs yet."


def round_number(number: int) -> str:
    """Name a round of the loop."""
    return f"Round {number}"


def step_of(step: int, total: int) -> str:
    """Say how far a stage is."""
    return f"step {step} of {total}" if total > 1 else "working"


def resuming_sends(host: str) -> str:
    """Warn that a stopped run would send images somewhere; nothing where it would not."""
    return f"To resume it sends images to {host}, to be described." if host else ""


def time_left(seconds: float | None) -> str:
    """Say how long a run still takes."""
    if seconds is None:
        return "Estimating the time left"
    if seconds < 90:
        return f"About {max(1, round(seconds))} s left in this step"
    return f"About {round(seconds / 60)} min left in this step"


def waiting(count: int) -> str:
    """Say how many runs wait."""
    return "" if count == 0 else f"{count} run{'' if count == 1 else 's'} waiting"


def generated(kept: int, generated: int, images: int, decided: int) -> str:
    """Sum up what the generator wrote, and how much of it people had decided before."""
    repeated = f" {decided} others repeated what was decided before, and were left out." if decided else ""
    return f"{kept} usable pairs out of {generated} written, about {images} images.{repeated}"


def duration(seconds: float | None) -> str:
    """Write a duration for people."""
    if seconds is None:
        return ""
    if seconds < 60:
        return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"
    return f"{int(seconds // 60)} min {int(seconds % 60):02d} s"


def started(clock: str) -> str:
    """Say when a run started."""
    return f"started {clock}"


def queued_all(count: int) -> str:
    """Say how many runs were queued."""
    return f"{count} model{'' if count == 1 else 's'} queued. They run one after another."


def trained_on(labels: int, pairs: int) -> str:
    """Say what a model learnt from."""
    return " + ".join(filter(None, (count_of("label", labels), count_of("pair", pairs))))


def accuracy(percent: float, questions: int) -> str:
    """Say how good a model is, in short."""
    return f"{percent:.0f}% right on the test of {questions}"


def accuracy_until_now(accuracy: str) -> str:
    """Say how good the model is that a run is about to replace."""
    return f"Until now: {accuracy}"
