"""Questions about how objects look and how many there are."""

from assets.pretraining.scenes.facts import COLORS, SHAPES, TEXTURES, Rng, Scene
from assets.pretraining.texts import wording as w
from assets.pretraining.texts.questions import Question, among, closed, counted
from assets.pretraining.texts.wording import fill, pick


def ask_count(rng: Rng, scene: Scene, held_out: bool) -> Question | None:
    """How many large objects."""
    flat = scene.family in ("few", "single")
    if not (scene.main or scene.crowd or scene.tissue) or (scene.box and flat):
        return None  # a box could be counted as an object
    kinds: tuple[str, ...] = (
        ("large odd objects", "large objects", "big bodies", "objects that differ from the small ones")
        if scene.crowd
        else ("objects", "shapes", "large objects", "figures", "distinct things")
    )
    if scene.tissue:
        kinds = ("mounds", "bumps", "raised areas", "swellings")
    text = fill(
        rng,
        ("How many {k} are there?", "How many {k} can be seen?", "Number of {k}?", "Count the {k}."),
        k=pick(rng, kinds),
    )
    return _counted_to_ten(rng, "count", text, len(scene.main))


def _counted_to_ten(rng: Rng, skill: str, text: str, number: int) -> Question:
    """Return a counting question; higher numbers, and some others, get exact options up to ten."""
    if number > 10 or rng.random() < (0.3 if number > 5 else 0.75):
        return counted(rng, skill, text, number)
    words = ["none", *w.NUMBERS[1:]] if rng.random() < 0.5 else [str(n) for n in range(11)]
    near = [n for n in range(11) if 0 < abs(n - number) <= 4]
    kept = [number, *(near[int(i)] for i in rng.permutation(len(near))[: int(rng.integers(1, 5))])]
    order = sorted(kept) if rng.random() < 0.5 else [kept[int(i)] for i in rng.permutation(len(kept))]
    return Question(skill, text, tuple(words[n] for n in order), words[number])


def ask_dots(rng: Rng, scene: Scene, held_out: bool) -> Question | None:
    """How many tiny dots."""
    if not scene.dots and (scene.highlights or (scene.tissue and scene.tissue.glints)):
        return None  # glints could be counted as dots
    text = fill(
        rng,
        ("How many {k} are there?", "How many {k} are visible?", "Count the {k}.", "Number of {k}?"),
        k=pick(rng, ("small dots", "tiny dots", "tiny specks", "minute spots", "very small particles")),
    )
    return _counted_to_ten(rng, "dots", text, len(scene.dots))


def ask_color(rng: Rng, scene: Scene, held_out: bool) -> Question | None:
    """The color of an object."""
    named = w.refer(rng, scene, hide="color")
    if named is None or (named[1].core and named[1].core.share > 0.55):
        return None  # a wide core leaves it open which color is meant
    text = fill(
        rng,
        ("What color is {o}?", "Which color does {o} have?", "What is the color of {o}?", "Color of {o}?"),
        o=named[0],
    )
    color = named[1].tint.name
    return among(rng, "color", text, color, w.rivals(color, list(COLORS)), w.COLOR_WORDS)


def ask_background(rng: Rng, scene: Scene, held_out: bool) -> Question | None:
    """The color of the background."""
    if scene.tissue and scene.tissue.frame:
        return None  # the black frame could be meant
    text = fill(
        rng,
        (
            "What color is the background?",
            "Which color is behind the objects?",
            "Background color?",
            "What is the color of the background?",
            "What tint does the field have?",
        ),
    )
    color = scene.background.name
    return among(rng, "background", text, color, w.rivals(color, list(COLORS)), w.COLOR_WORDS)


def ask_crowd_color(rng: Rng, scene: Scene, held_out: bool) -> Question | None:
    """The color of the many similar bodies."""
    if not scene.crowd:
        return None
    text = fill(
        rng,
        ("What color are the {k}?", "Which color do the {k} have?"),
        k=pick(rng, ("many small bodies", "numerous discs", "crowd of small objects", "small round bodies")),
    )
    color = scene.crowd[0].tint.name
    return among(rng, "crowd color", text, color, w.rivals(color, list(COLORS)), w.COLOR_WORDS)


def ask_shape(rng: Rng, scene: Scene, held_out: bool) -> Question | None:
    """The shape of an object."""
    named = w.refer(rng, scene, hide="shape")
    if named is None or named[1].visible().gap < -0.3 * named[1].radius:
        return None
    text = fill(
        rng,
        ("What shape is {o}?", "Which shape does {o} have?", "What is the outline of {o}?", "What form does {o} have?"),
        o=named[0],
    )
    near = {"lobed", "irregular", "circle", "ellipse"}
    shape = named[1].shape
    if named[1].soft and shape == "irregular":
        return None  # a soft edge leaves irregular and lobed alike
    others = [s for s in SHAPES if s != shape and not ({s, shape} <= near and "irregular" in {s, shape})]
    return among(rng, "shape", text, shape, others, w.SHAPE_ANSWERS)


def ask_texture(rng: Rng, scene: Scene, held_out: bool) -> Question | None:
    """The texture of an object."""
    named = w.refer(rng, scene, hide="texture")
    if named is None or named[1].radius < 0.06 or (scene.blur and named[1].radius < 0.1):
        return None
    text = fill(
        rng,
        (
            "What texture does {o} have?",
            "How is {o} filled?",
            "What is the surface of {o} like?",
            "Which pattern does {o} show?",
        ),
        o=named[0],
    )
    texture = named[1].texture
    return among(rng, "texture", text, texture, [t for t in TEXTURES if t != texture], w.TEXTURE_WORDS)


def ask_crowding(rng: Rng, scene: Scene, held_out: bool) -> Question | None:
    """Whether many or few similar bodies fill the field."""
    if not scene.crowd:
        return None
    text = fill(
        rng,
        (
            "Is the field crowded or sparse?",
            "How dense are the small bodies?",
            "How many small bodies are there?",
            "What is the density of the field?",
        ),
    )
    return closed(rng, "crowding", text, w.CROWD, int(len(scene.crowd) > 25))


def ask_elongated(rng: Rng, scene: Scene, held_out: bool) -> Question | None:
    """Whether an object is round or elongated."""
    named = w.refer(rng, scene, hide="shape")
    if named is None or named[1].visible().gap < 0 or named[1].shape not in ("circle", "ellipse", "hexagon"):
        return None
    text = fill(
        rng,
        ("Is {o} round or elongated?", "What is the proportion of {o}?", "Is {o} compact or drawn out?"),
        o=named[0],
    )
    return closed(rng, "elongated", text, w.LONG, int(named[1].aspect > 1.5))


def ask_exists(rng: Rng, scene: Scene, held_out: bool) -> Question | None:
    """Whether there is an object of some color or shape; both answers are as likely."""
    truth = bool(rng.random() < 0.5) and bool(scene.main)
    by_color = rng.random() < 0.6
    have = [t.tint.name if by_color else t.shape for t in scene.main]
    if truth:
        name = pick(rng, have)
    else:
        every = COLORS if by_color else SHAPES
        things = [scene.background.name, *have, *(t.tint.name for t in (*scene.crowd[:1], *scene.dots[:1]))]
        things += [o.tint.name for o in (scene.box, scene.writing) if o]
        things += [t.core.tint.name for t in scene.main if t.core]
        things += ["black"] if scene.tissue else []  # openings and frames are black
        free = [n for n in every if all(n in w.rivals(h, [n]) for h in (things if by_color else have))]
        if not free:
            return None
        name = pick(rng, free)
    kind = (
        f"{pick(rng, w.COLOR_WORDS.get(name, (name,)))} {pick(rng, w.NOUNS)}"
        if by_color
        else pick(rng, w.SHAPE_WORDS[name])
    )
    text = fill(
        rng,
        ("Is there any {k}?", "Does the image show a large {k}?", "Can a {k} be seen?", "Is a {k} present?"),
        k=kind,
    )
    return closed(rng, "exists", text, w.YES, int(truth))
