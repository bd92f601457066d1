"""What a study found, in short: the app's own recipe beside its baselines, and both at equal effort of the expert."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from benchmarks.label_efficiency.collection import Collection
from benchmarks.label_efficiency.compare import Estimate, Exam, accuracy, difference
from benchmarks.label_efficiency.draws import label_count
from benchmarks.label_efficiency.log import Run
from benchmarks.label_efficiency.methods import BY_NAME, FULL, LEAML, LONGER, LORA, SUPERVISED, Budget, Method

LABEL_SECONDS, REVIEW_SECONDS = 12.0, 4.0
"""What an expert needs for a label and for a review. Assumed until the pace of real reviewers is known."""
SLOW_REVIEW_SECONDS = 24.0
"""What each of fifty reviews took by hand, image and caption looked at (docs/decisions/people.md)."""
RECIPES = (("LEAML, continued", ", mirrored"), ("LEAML, continued", ""), (LEAML.name, ""))
"""What stands for the method, as names begin and end: the app's own recipe where it ran, earlier ones elsewhere."""
HEAD = (
    f"| labels + reviews | method | min ({REVIEW_SECONDS:.0f} s a review) | min ({SLOW_REVIEW_SECONDS:.0f} s) "
    "| macro accuracy | minus full fine-tuning | minus LoRA | runs |\n|---|---|--:|--:|---|---|---|--:|\n"
)
EQUAL_PACES = (
    (REVIEW_SECONDS, f"a review takes {REVIEW_SECONDS:.0f} s"),
    (LABEL_SECONDS, f"it takes {LABEL_SECONDS:.0f} s, as a label"),
)
EQUAL_HEAD = "| | against | as much effort where | difference |\n|---|---|---|---|\n"


@dataclass(frozen=True)
class Headline:
    """The main rows of one collection.

    Attributes:
        collection: What was measured on.
        runs: Of one base model.
    """

    collection: Collection
    runs: Sequence[Run]

    def markdown(self) -> str:
        """Return the table of the main methods, and the comparisons at equal effort."""
        asked, images = len(self.collection.test), len({q.image_id for q in self.collection.test})
        about = f"\n{self.collection.name}, {asked} test questions about {images} images:\n\n"
        equal = "".join(self._at_equal_effort())
        return about + HEAD + "".join(self._rows()) + (f"\n{EQUAL_HEAD}{equal}" if equal else "")

    def _rows(self) -> Iterator[str]:
        leaml, end = recipe_of(self.runs)
        reviewed = f"{leaml}, 200 reviewed"
        said = {
            FULL.name + end: FULL.name,
            LORA.name + end: LORA.name,
            leaml + end: "LEAML, nobody reviews",
            reviewed + end: "**LEAML, reviewed**, the most doubtful pairs first",
            f"{reviewed} as queued{end}": "**LEAML, reviewed**, in the app's order",
            f"{reviewed} as queued, 10% errors{end}": "the same, one decision in ten wrong",
        }
        exam = Exam(self.collection)
        yield self._row(exam, self._most("zero-shot"), "zero-shot", (), ())
        for share in sorted({run.share for run in self.runs}):
            full, lora = self._of(FULL.name + end, share), self._of(LORA.name + end, share)
            if full:
                yield self._majority(share)
            for name, text in said.items():
                yield self._row(exam, self._of(name, share), text, full, lora)
        for name in dict.fromkeys(
            (LONGER.name + end, SUPERVISED.name + end, SUPERVISED.name, f"{SUPERVISED.name}, all weights")
        ):
            longer = name.startswith(LONGER.name)
            text = name.replace(LONGER.name if longer else SUPERVISED.name, _all_labels(BY_NAME[name], self.runs))
            yield self._row(exam, self._most(name), text, (), ())

    def _row(self, exam: Exam, runs: Sequence[Run], text: str, full: Sequence[Run], lora: Sequence[Run]) -> str:
        if not runs:
            return ""
        labels, reviews, reached = runs[0].labels, runs[0].reviewed, accuracy(runs, exam)
        cells = [
            f"{labels} + {reviews}" if reviews else f"{labels}",
            text,
            f"{minutes(labels, reviews):.0f}",
            f"{minutes(labels, reviews, SLOW_REVIEW_SECONDS):.0f}",
            said_estimate(reached),
            said_estimate(difference(runs, full, exam), sign=True) if full and runs != full else "",
            said_estimate(difference(runs, lora, exam), sign=True) if lora and runs != lora else "",
            f"{reached.runs}",
        ]
        return "| " + " | ".join(cells) + " |\n"

    def _majority(self, share: float) -> str:
        by_draw = {run.draw: run.majority for run in self.runs if run.share == share}
        value, labels = sum(by_draw.values()) / len(by_draw), label_count(self.collection.pool, share)
        return f"| {labels} | majority answer of the labels |  |  | {value:.3f} |  |  |  |\n"

    def _at_equal_effort(self) -> Iterator[str]:
        """Yield what reviews bring over as much labelling: at the assumed pace, and where a review is no quicker."""
        leaml, end = recipe_of(self.runs)
        exam, lora = Exam(self.collection), LORA.name + end
        shares = sorted({run.share for run in self.runs})
        for order, words in (("", "most doubtful first"), (" as queued", "in the app's order")):
            for share in shares:
                ours = self._of(f"{leaml}, 200 reviewed{order}{end}", share)
                for seconds, pace in EQUAL_PACES:
                    theirs = self._nearest(lora, ours, seconds) if ours else ()
                    against = difference(ours, theirs, exam) if theirs else None
                    if against is not None:
                        labels, reviews, more = ours[0].labels, ours[0].reviewed, theirs[0].labels
                        yield (
                            f"| {labels} labels, {reviews} reviews, {words} | LoRA with {more} labels | {pace} "
                            f"| {said_estimate(against, sign=True)} |\n"
                        )

    def _nearest(self, method: str, ours: Sequence[Run], review_seconds: float) -> Sequence[Run]:
        """Return a method's runs with about as many minutes of labelling; none where they differ by a fifth or more."""
        wanted = minutes(ours[0].labels, ours[0].reviewed, review_seconds)
        others = [self._of(method, share) for share in sorted({run.share for run in self.runs})]
        near = [rows for rows in others if rows and abs(minutes(rows[0].labels, 0) - wanted) < wanted / 5]
        return min(near, key=lambda rows: abs(minutes(rows[0].labels, 0) - wanted), default=())

    def _most(self, method: str) -> list[Run]:
        """Return the runs of a method that reads no drawn label: they are the same for every share that has them."""
        return max((self._of(method, share) for share in {run.share for run in self.runs}), key=len)

    def _of(self, method: str, share: float) -> list[Run]:
        return [run for run in self.runs if run.method == method and run.share == share]


def _all_labels(method: Method, runs: Sequence[Run]) -> str:
    """Return how often full supervision reads the labels, of which it has more than it has samples for."""
    train, labels = method.config(Budget(), seed=0).train, max(run.labels for run in runs)
    samples = train.steps * train.batch_size
    return f"all labels, {train.steps} updates, which read " + (
        f"{samples} of them" if samples < labels else f"each {samples / labels:.0f} times"
    )


def recipe_of(runs: Sequence[Run]) -> tuple[str, str]:
    """Return what stands for the method among these runs, as its names begin and end."""
    known = {run.method for run in runs}
    return next((recipe for recipe in RECIPES if "".join(recipe) in known), RECIPES[-1])


def minutes(labels: float, reviews: float, review_seconds: float = REVIEW_SECONDS) -> float:
    """Return the expert's minutes for labels and reviews."""
    return (labels * LABEL_SECONDS + reviews * review_seconds) / 60


def said_estimate(estimate: Estimate | None, *, sign: bool = False, percent: bool = False) -> str:
    """Return an estimate with its interval; nothing where there is none."""
    if estimate is None:
        return ""
    form = "{:+.3f}" if sign else "{:.0%}" if percent else "{:.3f}"
    value, low, high = (form.format(number) for number in (estimate.value, estimate.low, estimate.high))
    return f"{value} ({low} to {high})"
