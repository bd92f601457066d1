"""Questions about what is laid over an image: text and corner boxes."""

from assets.pretraining.scenes.facts import Rng, Scene
from assets.pretraining.texts import wording as w
from assets.pretraining.texts.ask_tissue import presence
from assets.pretraining.texts.questions import Question, among, closed
from assets.pretraining.texts.wording import fill, pick


def ask_text(rng: Rng, scene: Scene, held_out: bool) -> Question | None:
    """Whether there is text, of which color, on which side."""
    writing = scene.writing
    style = int(rng.integers(4))
    if writing is None or style < 2:
        if writing is None and rng.random() < 0.55:
            return None  # most scenes have no text: "yes" and "no" should be about as likely
        if rng.random() < 0.5:
            return presence(rng, "text", w.WRITING, writing is not None)
        text = fill(rng, ("Is there any text?", "Is text visible?", "Is there a text overlay?", "Does text appear?"))
        return closed(rng, "text", text, w.YES, int(writing is not None))
    if style == 2:
        text = fill(rng, ("What color is the text?", "In which color is the text written?", "Color of the letters?"))
        others = w.rivals(writing.tint.name, ["white", "yellow", "green", "black", "blue", "red"])
        return among(rng, "text", text, writing.tint.name, others, w.COLOR_WORDS)
    text = fill(rng, ("Where is the text?", "At which side is the text?", "On which side do the letters stand?"))
    return closed(rng, "text", text, w.SIDES, ("left", "top", "bottom").index(writing.side))


def ask_box(rng: Rng, scene: Scene, held_out: bool) -> Question | None:
    """Whether there is a box in a corner, of which color, in which corner."""
    box = scene.box
    style = int(rng.integers(4))
    name = pick(rng, w.BOXES)
    if box is None or style == 0:
        # a square object in a corner, or a dark corner, could pass for a box
        doubtful = scene.family in ("few", "single") or scene.vignette > 0
        if box is None and (doubtful or rng.random() < 0.5):
            return None
        text = fill(rng, ("Is there a {b}?", "Is a {b} visible?", "Does the image show a {b}?"), b=name)
        return closed(rng, "box", text, w.YES, int(box is not None))
    if style == 1:
        text = fill(rng, ("What color is the {b}?", "Which color does the {b} have?", "Color of the {b}?"), b=name)
        others = w.rivals(box.tint.name, ["black", "green", "blue", "gray", "red", "yellow", "white"])
        return among(rng, "box", text, box.tint.name, others, w.COLOR_WORDS)
    text = fill(
        rng,
        ("In which corner is the {b}?", "Where is the {b}?", "Which corner holds the {b}?"),
        b=name.replace("corner ", "").replace(" in a corner", ""),
    )
    return closed(rng, "box", text, w.QUADRANT, box.corner)
