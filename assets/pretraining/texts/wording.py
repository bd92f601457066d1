"""The words: synonyms, families of option strings, and how an object of a scene is called.

Every family of options lists one string per class, in class order. Families marked as held out never occur in
training; they measure whether the model reads the options given.
"""

from collections.abc import Sequence

from assets.pretraining.scenes.facts import Rng, Scene, Thing, Tint

Family = tuple[str, ...]

COLOR_WORDS = {
    "purple": ("purple", "violet", "purple", "magenta-violet"),
    "gray": ("gray", "grey"),
    "teal": ("teal", "turquoise", "cyan", "blue-green"),
    "pink": ("pink", "pink", "rose"),
    "brown": ("brown", "brown", "chestnut"),
    "red": ("red", "red", "crimson"),
}
CONFUSABLE = {
    ("red", "pink"),
    ("red", "brown"),
    ("red", "orange"),
    ("orange", "brown"),
    ("orange", "yellow"),
    ("teal", "green"),
    ("teal", "blue"),
    ("blue", "purple"),
    ("purple", "pink"),
    ("gray", "white"),
    ("gray", "black"),
    ("brown", "black"),
    ("purple", "black"),
}
SHAPE_WORDS = {
    "circle": ("circle", "disc", "round disc", "circular spot"),
    "ellipse": ("ellipse", "oval", "elongated oval"),
    "square": ("square", "square", "four-sided block"),
    "triangle": ("triangle", "triangular piece"),
    "hexagon": ("hexagon", "six-sided body"),
    "star": ("star", "star shape"),
    "cross": ("cross", "plus shape", "cross shape"),
    "lobed": ("lobed body", "lobed blob", "lobed shape"),
    "irregular": ("irregular patch", "irregular blob", "irregular mass"),
}
SHAPE_ANSWERS = {
    "circle": ("circle", "round", "disc"),
    "ellipse": ("ellipse", "oval"),
    "square": ("square",),
    "triangle": ("triangle", "triangular"),
    "hexagon": ("hexagon", "six-sided"),
    "star": ("star", "star-shaped"),
    "cross": ("cross", "cross-shaped"),
    "lobed": ("lobed",),
    "irregular": ("irregular",),
}
TEXTURE_WORDS = {
    "solid": ("solid", "plain", "uniform", "smooth"),
    "striped": ("striped", "banded", "with stripes"),
    "dotted": ("dotted", "spotted", "with dots"),
    "granular": ("granular", "grainy", "speckled"),
    "hollow": ("hollow", "empty outline", "open outline"),
}
NOUNS = (
    "object",
    "object",
    "blob",
    "spot",
    "body",
    "item",
    "structure",
    "element",
    "mark",
    "thing",
    "region",
    "mass",
    "figure",
    "shape",
    "cell",
    "particle",
    "nodule",
    "growth",
    "lesion",
    "inclusion",
    "area",
)
LARGEST = ("largest", "biggest", "most extensive", "largest visible", "dominant")
SYLLABLES = ("bli", "dax", "wug", "mor", "ta", "ze", "fen", "lo", "pim", "ka", "sto", "ru", "vex", "ni", "glo", "tup")

ACROSS: tuple[Family, ...] = (
    ("left", "center", "right"),
    ("left", "middle", "right"),
    ("left third", "middle third", "right third"),
    ("left third", "center third", "right third"),
    ("on the left", "in the center", "on the right"),
    ("on the left", "in the middle", "on the right"),
    ("left side", "center", "right side"),
    ("west", "center", "east"),
    ("Left", "Center", "Right"),
    ("toward the left", "central", "toward the right"),
    ("left part", "central part", "right part"),
    ("to the left", "horizontally centered", "to the right"),
    ("left column", "middle column", "right column"),
    ("near the left edge", "near the middle", "near the right edge"),
)
ACROSS_HELD_OUT: tuple[Family, ...] = (
    ("leftmost band", "central band", "rightmost band"),
    ("left zone", "mid zone", "right zone"),
)
DOWN: tuple[Family, ...] = (
    ("top", "middle", "bottom"),
    ("upper", "middle", "lower"),
    ("top third", "middle third", "bottom third"),
    ("upper third", "central third", "lower third"),
    ("at the top", "in the middle", "at the bottom"),
    ("north", "center", "south"),
    ("high", "mid-height", "low"),
    ("Top", "Center", "Bottom"),
    ("above", "center", "below"),
    ("upper part", "central part", "lower part"),
    ("top row", "middle row", "bottom row"),
    ("top", "center", "bottom"),
    ("near the top edge", "near the middle", "near the bottom edge"),
    ("upper", "central", "lower"),
)
DOWN_HELD_OUT: tuple[Family, ...] = (
    ("uppermost band", "central band", "lowermost band"),
    ("top zone", "mid zone", "bottom zone"),
)
QUADRANT: tuple[Family, ...] = (
    ("top left", "top right", "bottom left", "bottom right"),
    ("upper left", "upper right", "lower left", "lower right"),
    ("upper-left quadrant", "upper-right quadrant", "lower-left quadrant", "lower-right quadrant"),
    ("top-left corner", "top-right corner", "bottom-left corner", "bottom-right corner"),
    ("northwest", "northeast", "southwest", "southeast"),
)
SIZE: tuple[Family, ...] = (
    ("small", "medium", "large"),
    ("little", "moderate", "big"),
    ("tiny", "middling", "huge"),
    ("Small", "Medium", "Large"),
    ("under 3%", "3% to 10%", "over 10%"),
    ("less than 3% of the image", "between 3% and 10%", "more than 10% of the image"),
    ("small", "intermediate", "large"),
    ("a small part", "a moderate part", "a large part"),
    ("minor", "medium", "major"),
)
SIZE_HELD_OUT: tuple[Family, ...] = (("small extent", "medium extent", "large extent"),)
YES: tuple[Family, ...] = (("no", "yes"), ("no", "yes"), ("No", "Yes"), ("false", "true"), ("absent", "present"))
BORDER: tuple[Family, ...] = (
    ("no", "yes"),
    ("no", "yes"),
    ("No", "Yes"),
    ("fully inside", "cut off"),
    ("whole", "cut by the border"),
    ("clear of the edge", "touching the edge"),
    ("complete", "truncated"),
)
BORDER_HELD_OUT: tuple[Family, ...] = (("entirely visible", "cut by the edge"),)
CROWD: tuple[Family, ...] = (
    ("sparse", "crowded"),
    ("few", "many"),
    ("loosely scattered", "densely packed"),
    ("low density", "high density"),
    ("thin", "dense"),
)
LONG: tuple[Family, ...] = (("round", "elongated"), ("compact", "stretched"), ("not elongated", "elongated"))
NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")

MOUNDS = ("mound", "bump", "swelling", "raised area", "soft bulge", "nodule")
MOUND_WORDS = {
    "circle": ("round", "rounded", "dome-shaped"),
    "ellipse": ("elongated", "oval"),
    "lobed": ("lobed", "knobbly"),
    "irregular": ("irregular", "uneven"),
}
FOLDS = ("folds", "folds", "ridges", "curved folds", "creases")
VESSELS = ("vessels", "vessels", "branching vessels", "thin branching lines")
GLINTS = ("highlights", "bright reflections", "specular highlights", "white glints")
LUMEN = ("dark opening", "dark opening", "dark hollow", "lumen", "dark soft hole")
CORES = ("nucleus", "nucleus", "core", "inner body")
WRITING = ("letters", "text lines", "characters", "written marks")
BOXES = ("corner box", "box in a corner", "corner rectangle")
FOLD_COUNTS: tuple[Family, ...] = (
    ("none", "1", "2", "3 or more"),
    ("none", "one", "two", "three or more"),
    ("0", "1", "2", "more than 2"),
    ("zero", "one", "two", "more than two"),
)
LOBES: tuple[Family, ...] = (("1", "2", "3", "4"), ("one", "two", "three", "four"))
SIDES: tuple[Family, ...] = (
    ("left", "top", "bottom"),
    ("at the left", "at the top", "at the bottom"),
    ("left side", "upper edge", "lower edge"),
)
REGIONS: tuple[Family, ...] = tuple(
    tuple(center if (a, b) == (rows[1], columns[1]) else f"{a}{dash}{b}" for a in rows for b in columns)
    for rows, columns, dash, center in (
        (("upper", "center", "lower"), ("left", "center", "right"), "-", "center"),
        (("top", "middle", "bottom"), ("left", "center", "right"), " ", "middle"),
        (("upper", "middle", "lower"), ("left", "center", "right"), " ", "center"),
    )
)
"""Names of the cells of a 3 x 3 grid, row by row."""


def pick(rng: Rng, options: Sequence[str]) -> str:
    """Return one of the strings."""
    return options[int(rng.integers(len(options)))]


def fill(rng: Rng, templates: Sequence[str], **words: str) -> str:
    """Return a random template with its words filled in."""
    return pick(rng, templates).format(**words)


def color_word(rng: Rng, tint: Tint, *, tone: bool = True) -> str:
    """Return a name of the tint: "pale violet" or, without `tone`, "violet"."""
    word = pick(rng, COLOR_WORDS.get(tint.name, (tint.name,)))
    if not tone or tint.tone == "plain":
        return word
    return f"{pick(rng, ('pale', 'light', 'pale') if tint.tone == 'pale' else ('dark', 'deep'))} {word}"


def invented_word(rng: Rng) -> str:
    """Return a word that means nothing, such as "zemor"."""
    return "".join(pick(rng, SYLLABLES) for _ in range(int(rng.integers(1, 4))))


def rivals(color: str, names: Sequence[str]) -> list[str]:
    """Return the colors of `names` that nobody would confuse with `color`."""
    return [n for n in names if n != color and (color, n) not in CONFUSABLE and (n, color) not in CONFUSABLE]


def shape_noun(rng: Rng, thing: Thing) -> str:
    """Return a noun that tells the shape: "oval", or "lobed mound" for a soft object."""
    if thing.soft:
        return f"{pick(rng, MOUND_WORDS[thing.shape])} {pick(rng, MOUNDS)}"
    return pick(rng, SHAPE_WORDS[thing.shape])


def describe(rng: Rng, thing: Thing, hide: str = "") -> str:
    """Return a noun phrase without article for an object, without the fact named by `hide`."""
    words = []
    if hide != "color" and rng.random() < 0.75:
        words.append(color_word(rng, thing.tint))
    if hide != "texture" and thing.texture != "solid" and rng.random() < 0.5:
        words.append(pick(rng, TEXTURE_WORDS[thing.texture][:1]))
    noun = pick(rng, NOUNS)
    if thing.soft:
        noun = pick(rng, MOUNDS)
    if hide != "shape" and rng.random() < 0.6:
        noun = shape_noun(rng, thing)
    return " ".join([*words, noun])


def refer(rng: Rng, scene: Scene, hide: str = "") -> tuple[str, Thing] | None:
    """Return a phrase that names exactly one main object, and that object; None where none stands out."""
    ranked = sorted(scene.main, key=lambda thing: -thing.visible().area)
    if not ranked:
        return None
    choices: list[tuple[str, Thing]] = []
    first = ranked[0]
    if len(ranked) == 1:
        choices.append((f"the {describe(rng, first, hide)}", first))
        kinds = (
            ("odd one out", "odd {n}", "large {n}", "unusual {n}", "different {n}")
            if scene.crowd
            else ("{n}", "main {n}")
        )
        choices.append((f"the {fill(rng, kinds, n=pick(rng, NOUNS))}", first))
        choices.append((f"the {invented_word(rng)}", first))
    if len(ranked) == 1 or first.visible().area > 1.35 * ranked[1].visible().area:
        noun = pick(rng, NOUNS) if rng.random() < 0.85 else invented_word(rng)
        choices += [(f"the {pick(rng, LARGEST)} {noun}", first)] * 3
    for thing in ranked if len(ranked) > 1 else ():
        if hide != "color" and not any(
            o is not thing and o.tint.name not in rivals(thing.tint.name, [o.tint.name]) for o in ranked
        ):
            choices.append((f"the {color_word(rng, thing.tint)} {pick(rng, NOUNS)}", thing))
        if hide != "shape" and sum(o.shape == thing.shape for o in ranked) == 1:
            choices.append((f"the {shape_noun(rng, thing)}", thing))
    return choices[int(rng.integers(len(choices)))] if choices else None
