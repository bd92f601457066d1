"""The richer drawn scenes: planned facts against drawn pixels, captions and several-answer questions; near twins."""

from dataclasses import fields, replace

import numpy as np
import pytest

from assets.pretraining.scenes.drawing import core_lobes, draw_scene
from assets.pretraining.scenes.facts import Box, Core, Scene, Thing, Tint, Tissue, Writing
from assets.pretraining.scenes.plan import is_twin, plan_scene
from assets.pretraining.texts.ask_overlay import ask_box, ask_text
from assets.pretraining.texts.ask_several import JOIN, ask_colors, ask_findings, ask_regions, findings, regions
from assets.pretraining.texts.ask_tissue import ask_core, ask_folds, ask_lumen
from assets.pretraining.texts.captions import write_caption
from assets.pretraining.texts.captions_extra import overlay_sentence, relief_sentence
from assets.pretraining.texts.skills import SEVERAL, SKILLS, WEIGHTS, draw_question

PINK = Tint("pink", "plain", (230, 152, 152))
BLUE = Tint("blue", "plain", (45, 85, 208))
WHITE = Tint("white", "plain", (250, 250, 250))
SCENES = tuple(plan_scene(seed) for seed in range(400))


def disc(x: float, y: float, radius: float = 0.1, tint: Tint = BLUE) -> Thing:
    """A plain disc."""
    return Thing(x, y, radius, "circle", "solid", tint)


def tissue_scene(tissue: Tissue, *main: Thing) -> Scene:
    """A plain pink ground with the given relief."""
    return Scene(seed=3, family="tissue", background=PINK, gradient=0.0, main=main, tissue=tissue)


def pixels(scene: Scene) -> np.ndarray:
    """Return the drawn scene `[256, 256, 3]` as floats."""
    return np.asarray(draw_scene(scene), dtype=float)


def test_all_families_and_overlays_occur_about_as_often_as_planned():
    share = {family: np.mean([s.family == family for s in SCENES]) for family in ("tissue", "crowd", "few", "single")}
    assert 0.24 < share["tissue"] < 0.36
    assert min(share.values()) > 0.08
    assert 0.15 < np.mean([bool(s.box or s.writing) for s in SCENES]) < 0.35
    assert max(len(s.main) for s in SCENES) >= 9
    assert max(len(s.dots) for s in SCENES) == 10
    assert {t.core.lobes for s in SCENES for t in s.main if t.core} == {1, 2, 3, 4}


def test_a_box_has_its_color_in_its_corner_and_text_changes_its_area_only():
    boxes = [s for s in SCENES if s.box]
    texts = [s for s in SCENES if s.writing and not s.box]
    assert len(boxes) > 10
    assert len(texts) > 10
    for scene in boxes[:25]:
        left, top, right, bottom = (int(v * 256) for v in scene.box.area)
        inside = pixels(scene)[top + 2 : bottom - 2, left + 2 : right - 2].reshape(-1, 3)
        assert np.abs(np.median(inside, axis=0) - scene.box.tint.rgb).max() < 6
        assert (scene.box.area[0] > 0.5, scene.box.area[1] > 0.5) == (scene.box.corner % 2 == 1, scene.box.corner > 1)
    for scene in texts[:25]:
        changed = np.abs(pixels(scene) - pixels(replace(scene, writing=None))).max(2) > 40
        rows, columns = np.nonzero(changed)
        area = scene.writing.area
        assert changed.sum() > 40
        assert area[0] - 0.02 < columns.min() / 256
        assert rows.max() / 256 < area[3] + 0.03
        ink = pixels(scene)[changed]
        assert np.abs(ink - scene.writing.tint.rgb).max(1).min() < 8


def test_folds_vessels_lumen_and_glints_can_be_seen():
    bare = Tissue(light=0.0)
    line = tuple((x, 0.5) for x in np.linspace(0.1, 0.9, 12).tolist())
    plain = pixels(tissue_scene(bare))
    fold = pixels(tissue_scene(replace(bare, folds=(line,))))
    vessel = pixels(tissue_scene(replace(bare, vessels=((line,),))))
    lumen = pixels(tissue_scene(replace(bare, lumen=(0.3, 0.7, 0.12))))
    glint = pixels(tissue_scene(replace(bare, glints=((0.4, 0.4, 0.015),))))
    assert (fold[128, 128] < plain[128, 128] - 40).all()
    assert vessel[128, 128, 0] - vessel[128, 128, 1] > plain[128, 128, 0] - plain[128, 128, 1]
    assert lumen[int(0.7 * 256), int(0.3 * 256)].max() < 50
    assert glint[int(0.4 * 256), int(0.4 * 256)].min() > 235
    assert np.abs(fold[20] - plain[20]).max() == 0


def test_a_mound_of_the_grounds_own_color_is_still_seen_by_its_shading():
    mound = replace(disc(0.5, 0.5, 0.15, PINK), soft=True)
    shown = np.abs(pixels(tissue_scene(Tissue(light=0.7), mound)) - pixels(tissue_scene(Tissue(light=0.7)))).mean(2)
    assert shown[90:166, 90:166].max() > 35
    assert shown[:40].max() == 0


def test_a_frame_is_black_outside_and_hides_no_object():
    framed = [s for s in SCENES if s.tissue and s.tissue.frame and not s.box and not s.writing]
    for scene in framed[:10]:
        image = pixels(scene)
        assert image[0, 0].max() < 10
        assert all(np.hypot(t.x - 0.5, t.y - 0.5) + t.radius < 0.5 for t in scene.main)


@pytest.mark.parametrize("lobes", [1, 2, 3, 4])
def test_a_core_is_drawn_in_its_color_inside_the_body_and_asked_about(lobes):
    core = Core(Tint("purple", "dark", (60, 20, 80)), 0.7, lobes)
    body = replace(disc(0.5, 0.5, 0.2, Tint("pink", "pale", (248, 200, 220))), core=core)
    scene = Scene(seed=1, family="single", background=WHITE, gradient=0.0, main=(body,))
    dark = pixels(scene)[..., 1] < 80
    rows, columns = np.nonzero(dark)
    assert dark.any()
    assert np.hypot(rows / 256 - 0.5, columns / 256 - 0.5).max() < 0.2
    assert len(core_lobes(body)) == (1 if lobes == 1 else lobes + 1)
    answers = {q.answer for n in range(60) if (q := ask_core(np.random.default_rng(n), scene, False))}
    assert answers & {str(lobes), ("one", "two", "three", "four")[lobes - 1]}
    assert answers & {"yes", "Yes", "true", "present"}


def differing(a: Scene, b: Scene) -> list[str]:
    """Return the names of the fields in which two scenes differ, apart from their numbers."""
    return [f.name for f in fields(Scene) if f.name != "seed" and getattr(a, f.name) != getattr(b, f.name)]


def test_twins_differ_in_one_fact_and_share_the_rest():
    pairs = [(plan_scene(n - 1), plan_scene(n)) for n in range(1, 600, 2) if is_twin(n)]
    assert 0.25 < len(pairs) / 300 < 0.42
    kinds = set()
    for a, b in pairs:
        names = differing(a, b)
        assert len(names) == 1, names
        kinds |= set(names)
        if names == ["main"] and len(a.main) == len(b.main):
            assert sum(x != y for x, y in zip(a.main, b.main, strict=True)) == 1
        elif names == ["main"]:
            assert abs(len(a.main) - len(b.main)) == 1
        assert not np.array_equal(pixels(a), pixels(b))
    assert kinds >= {"main", "dots", "crowd", "background", "tissue", "writing", "box"}
    assert not any(is_twin(n) for n in range(0, 100, 2))


def test_scenes_without_a_twin_are_independent():
    alone = next(n for n in range(1, 200, 2) if not is_twin(n))
    assert len(differing(plan_scene(alone - 1), plan_scene(alone))) > 3


def test_captions_tell_overlays_and_relief_as_they_are():
    rng = np.random.default_rng(0)
    box = Box(3, BLUE, False, (0.8, 0.8, 1.0, 1.0))
    text = Writing(("AB12",), "left", WHITE, (0.02, 0.4, 0.2, 0.46))
    scene = tissue_scene(Tissue(light=0.0))
    for _ in range(20):
        sentence = overlay_sentence(rng, replace(scene, box=box)).lower()
        assert "blue" in sentence
        assert "lower right" in sentence
        sentence = overlay_sentence(rng, replace(scene, writing=text)).lower()
        assert "left" in sentence
        assert "no text" not in sentence
        line = ((0.1, 0.5), (0.9, 0.5))
        assert "two" in relief_sentence(rng, replace(scene, tissue=Tissue(light=0.0, folds=(line, line)))).lower()
        sentence = relief_sentence(rng, scene).lower()
        assert any(word in sentence for word in ("no ", "neither", "without", "absent"))


def test_captions_have_a_typical_length_and_vary():
    rng = np.random.default_rng(1)
    captions = [write_caption(rng, scene) for scene in SCENES]
    lengths = [len(caption.split()) for caption in captions]
    assert 20 < np.mean(lengths) < 45
    assert max(lengths) <= 52
    assert len(set(captions)) > 0.95 * len(captions)
    assert not any("  " in caption or "{" in caption for caption in captions)


def test_several_answers_come_in_the_order_of_the_options():
    rng, asked = np.random.default_rng(2), []
    for scene in SCENES:
        asked += [q for ask in SEVERAL if (q := ask(rng, scene, False))]
    assert {q.skill for q in asked} == {"colors", "regions", "findings"}
    closed = [q for q in asked if q.options]
    assert 0.35 < len(closed) / len(asked) < 0.65
    for question in closed:
        parts = question.answer.split(JOIN)
        assert [o for o in question.options if o in parts] == parts
        assert len(set(question.options)) == len(question.options)


def test_colors_regions_and_findings_are_those_of_the_scene():
    rng = np.random.default_rng(3)
    red = Tint("red", "plain", (205, 38, 40))
    main = (disc(0.17, 0.5, 0.12), disc(0.8, 0.2, 0.06, red))
    scene = Scene(seed=1, family="few", background=WHITE, gradient=0.0, main=main)
    assert all(set(ask_colors(rng, scene, False).answer.split(JOIN)) == {"red", "blue"} for _ in range(10))
    assert regions(disc(1 / 6, 0.5, 0.12)) == [3]
    assert regions(disc(1 / 3, 0.5, 0.12)) == [3, 4]
    assert regions(disc(0.26, 0.5, 0.12)) is None
    assert all("left" in ask_regions(rng, scene, False).answer for _ in range(10))
    known = findings(tissue_scene(Tissue(light=0.0, lumen=(0.5, 0.5, 0.1))))
    assert known["dark opening"]
    assert not known["folds"]
    assert not known["text"]
    assert ask_findings(rng, tissue_scene(Tissue(light=0.0)), False) is not None


def test_relief_and_overlay_questions_are_answered_as_the_scene_is():
    rng = np.random.default_rng(4)
    line = ((0.1, 0.5), (0.9, 0.5))
    scene = tissue_scene(Tissue(light=0.0, folds=(line, line), lumen=(0.2, 0.2, 0.1)))
    assert all(ask_folds(rng, scene, False).answer in ("2", "two") for _ in range(20))
    lumen = {q.answer for _ in range(60) if (q := ask_lumen(rng, scene, False))}
    assert not {a.lower() for a in lumen} & {"no", "absent", "false", "right", "bottom"}
    boxed = replace(scene, box=Box(1, BLUE, True, (0.8, 0.0, 1.0, 0.2)))
    corners = {q.answer for _ in range(60) if (q := ask_box(rng, boxed, False))} - {"yes", "Yes", "true", "present"}
    assert all("right" in c or c in ("blue", "northeast") for c in corners)
    texts = {q.answer.lower() for _ in range(60) if (q := ask_text(rng, scene, False))}
    assert texts <= {"no", "false", "absent"}


def test_every_skill_is_asked_with_its_weight():
    rng = np.random.default_rng(6)
    assert len(SKILLS) == len(WEIGHTS)
    names = {draw_question(rng, scene).skill for scene in SCENES for _ in range(6)}
    assert names >= {"relief", "folds", "lumen", "core", "pale center", "text", "box", "colors", "regions", "findings"}
