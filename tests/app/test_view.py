"""HTML and figures from plain values: escaping, intervals, losses."""

import re
from dataclasses import replace
from typing import Any

import pytest

from app import compare_text, figures, mask_text, rounds_text, text
from app.cards import _definition, option_list
from app.compare_html import AskView, ask_screen, table_card
from app.errors import InputError
from app.mask import mask_picture
from app.project import typed_questions
from app.project_html import _typed
from app.train_html import MethodView, RunView, generator_card, methods_card, runs_card
from app.view import Picture, attributes, bar, button, header, image_box
from leaml.answering import Answer
from leaml.ingest import OUT_OF_USE
from leaml.records import Interval, QuestionType

NASTY = '<img src=x onerror="alert(1)">'


@pytest.mark.parametrize(
    "html",
    [
        button(NASTY, data_value=NASTY),
        image_box(Picture(NASTY, NASTY, NASTY, (NASTY,), NASTY), position=NASTY),
        option_list((NASTY, "b"), about="Which?", chosen=NASTY),
        header(NASTY, {"label": NASTY}),
    ],
)
def test_nothing_from_outside_becomes_markup(html: str) -> None:
    assert "<img src=x" not in html
    assert 'onerror="alert' not in html


def test_attributes() -> None:
    assert attributes({"data_act": "go", "disabled": True, "hidden": False, "id": None}) == ' data-act="go" disabled'


def test_a_bar_stays_within_its_box() -> None:
    assert "width:100.0%" in bar(1.7)
    assert "width:0.0%" in bar(-1)


def test_options_carry_their_keys_and_figures() -> None:
    html = option_list(("left", "right"), about="Which?", chosen="right", figures=(0.25, 0.75))
    assert html.count('aria-checked="true"') == 1
    assert 'data-key="2"' in html
    assert "<i>.75</i>" in html
    ten = option_list([str(n) for n in range(11)], about="Which?", chosen=None)
    assert ten.count("data-key") == 9


def test_the_running_mean_starts_without_bias() -> None:
    assert figures.running_mean([2.0, 2.0, 2.0]) == pytest.approx([2.0, 2.0, 2.0])
    assert figures.running_mean([4.0, 0.0])[1] < 2.0


def test_losses_of_a_resumed_run_count_once() -> None:
    def line(step: int, loss: float) -> dict[str, object]:
        figures = {"question_loss": loss, "caption_loss": 3.0, "wrong_image_loss": 3.2, "norm": 1.0}
        return {"at": 0.0, "stage": "generator", "step": step, "total": 4, "figures": figures}

    lines = [line(1, 2.0), line(2, 1.5), line(2, 1.4), line(3, 1.0)]
    series, total = figures.loss_series([{"at": 0, "stage": "captions", "step": 1, "total": 1, "figures": {}}, *lines])
    assert total == 4
    assert [(row.name, list(row.steps)) for row in series] == [
        ("question_loss", [1, 2, 3]),
        ("caption_loss", [1, 2, 3]),
        ("wrong_image_loss", [1, 2, 3]),
    ]
    assert list(series[0].values) == [2.0, 1.4, 1.0]
    figure = figures.loss_figure(series, total=total)
    assert len(figure.data) == 6
    assert [line.line.dash for line in figure.data[1::2]] == ["solid", "solid", "dot"]
    assert tuple(figure.layout.xaxis.range) == (0, 4)


def test_empty_figures_say_what_will_be_there() -> None:
    assert figures.loss_figure([], total=0).layout.annotations[0].text == text.NO_LOSS
    assert mask_text.NO_MASK in mask_picture({})


def weight(layer: int, module: str, held: float, *rows: tuple[int, float]) -> dict[str, Any]:
    """One weight of `mask_summary.json`, with its largest rows."""
    best = [{"row": row, "score_share": share} for row, share in rows]
    name = f"layers.{layer}.{module}.weight"
    shape = {"name": name, "layer": layer, "module": module, "rows": 100, "columns": 256}
    return shape | {"share": 0.1015, "score_share": held, "largest_rows": best}


MASK = {
    "density": 0.1015,
    "modules": [
        weight(0, "q_proj", 0.04, (7, 0.003), (9, 0.002)),
        weight(0, "gate_proj", 0.02, (210, 0.0025)),
        weight(1, "q_proj", 0.15),
    ],
    "skipped": {"embed": "an embedding", "head": "an embedding", "experts": "three dimensions"},
}


def test_the_mask_shows_both_shares_in_each_cell() -> None:
    html = mask_picture(MASK)
    assert re.findall(r'scope="col">(\w+)<', html) == ["q", "gate"]
    assert re.findall(r'scope="row">([\w ]+)<', html) == ["layer 1", "layer 2"]
    assert re.findall(r"<td[^>]*><span>(.*?)</span> <b>(.*?)</b>", html) == [
        ("10%", "4.0%"),
        ("10%", "2.0%"),
        ("10%", "15%"),
    ]
    assert 'style="--held:1.000"' in html, "the darkest cell"
    assert "<td></td></tr>" in html, "a kind of weight that a layer lacks"
    assert "10% of the weights, which hold 21% of the importance" in html


def test_the_largest_rows_of_the_whole_model_are_named_in_order() -> None:
    html = mask_picture(MASK)
    rows = re.findall(r"<li[^>]*><span>(.*?)</span>.*?width:(.*?)%.*?<b>(.*?)</b></li>", html)
    assert rows == [
        ("layer 1 · q · row 8", "100.0", "0.30%"),
        ("layer 1 · gate · row 211", "83.3", "0.25%"),
        ("layer 1 · q · row 10", "66.7", "0.20%"),
    ]
    assert "an average one holds 0.070%" in html
    many = [weight(layer, "q_proj", 0.1, *((row, 0.001 * row) for row in range(8))) for layer in range(3)]
    assert mask_picture({**MASK, "modules": many}).count("<li") == 8


def test_what_stays_frozen_names_each_reason_once() -> None:
    html = mask_picture(MASK)
    assert "2 weights: an embedding; 1 weight: three dimensions." in html
    nasty = {**MASK, "skipped": {"x": NASTY}}
    assert "<img" not in mask_picture(nasty)


@pytest.mark.parametrize(
    ("part", "said"), [(1.0, "100%"), (0.0996, "10%"), (0.042, "4.2%"), (0.0042, "0.42%"), (0.00003, "0.0030%")]
)
def test_shares_keep_two_digits(part: float, said: str) -> None:
    assert mask_text.share(part) == said


def asked(adapters: tuple[bool | None, bool | None], *answers: Answer) -> AskView:
    picture = Picture("i1", "dot.png", "/dot.png")
    models = [("base", "Base model"), ("r0003", "LoRA (r0003)")]
    return AskView(
        serial="0",
        picture=picture,
        images="test",
        position="1 of 4",
        models=models,
        sides=("base", "r0003"),
        adapters=adapters,
        types=(),
        question="own",
        asked="Which side?",
        own=("Which side?", "left | right"),
        options=("left", "right"),
        answers=answers,
        reference="left",
        ratio=1.3,
    )


@pytest.mark.parametrize(
    ("on", "pressed", "state"), [(True, "true", compare_text.ADAPTER_ON), (False, "false", "off: without")]
)
def test_a_trained_side_has_a_switch_with_a_key_and_the_base_model_keeps_its_room(
    on: bool, pressed: str, state: str
) -> None:
    html = ask_screen(asked((None, on)))
    left, right = re.findall(r'<div class="adapter">(.*?)</div>', html)
    assert left == ""
    for part in (f'aria-pressed="{pressed}"', 'data-key="d"', 'data-act="adapter"', 'data-side="right"', state):
        assert part in right
    keys = re.findall(r'data-key="(\w+)"', html)
    assert len(keys) == len(set(keys)), "no key presses two buttons"


def test_an_answer_says_what_the_swap_took_where_there_was_one() -> None:
    before = ask_screen(asked((None, True)))
    after = ask_screen(
        asked((None, True), Answer("left", (0.9, 0.1), 0.1, 0.0), Answer("right", (0.2, 0.8), 0.1, 0.0061))
    )
    swaps = re.findall(r'<p class="swap soft">(.*?)</p>', after)
    assert swaps == ["", "values swapped in 6 ms"]
    mark = r'<span class="(\w+)" role="img" aria-label="(\w+)">(.)</span>'
    said = re.findall(rf'<div class="ans">(\w+) {mark}</div>', after)
    assert said == [("left", "right", "right", "✓"), ("right", "wrong", "wrong", "✗")]
    assert re.findall(r"<em>(.*?)</em>", after) == ["0.90", "0.10", "0.20", "0.80"]
    # Options stand there before they have figures, so that the cards keep their height.
    assert before.count("<em></em>") == 4
    assert compare_text.swapped(0.0002) == "values swapped in 1 ms"


def test_the_table_marks_the_best_and_shows_intervals() -> None:
    low, high = Interval(0.4, 0.3, 0.5), Interval(0.6, 0.5, 0.7)
    html = table_card(
        {"majority": ({"side": low}, low), "leaml": ({"side": high}, high)}, ["side"], rests_on="", finding="", apart={}
    )
    assert "<b>60</b><small>50&ndash;70</small>" in html
    assert "<b>40</b>" not in html
    assert 'class="ours"' in html


@pytest.mark.parametrize(
    ("gap", "said"),
    [
        ((5.7, 1.2, 10.1), "is 5.7 points better than"),
        ((-5.7, -9.0, -1.0), "is 5.7 points worse than"),
        ((2.0, -1.0, 5.0), "cannot be told apart"),
    ],
)
def test_the_difference_is_only_claimed_where_it_is_sure(gap: tuple[float, float, float], said: str) -> None:
    sentence = compare_text.difference("LEAML", "LoRA", *gap)
    assert said in sentence
    assert f"(95% interval {gap[1]:+.1f} to {gap[2]:+.1f})" in sentence


def run(name: str, **more: object) -> RunView:
    stages = ("captions", "importance", "generator", "judge", "sample")
    values = {"seconds": {"captions": 0.1, "importance": 6.0}, "stage": "generator", "step": 96, "total": 150}
    return RunView("r0001", "generator", name, stages=stages, **{"detail": "", **values, **more})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("view", "said", "button_id"),
    [
        (None, text.NEEDS_LABELS, "train-generator"),
        (run("running", seconds_left=14.0), "About 14 s left", "cancel-run"),
        (run("queued"), "Waiting for its turn", "cancel-run"),
        (run("crashed", detail="The power went."), "The power went.", "resume-run"),
        (run("cancelled"), "Cancelled", "resume-run"),
    ],
)
def test_the_generator_card_offers_what_fits_its_state(view: RunView | None, said: str, button_id: str) -> None:
    html = generator_card(view, round_number=1, why_not=text.NEEDS_LABELS, waiting=0, report={}, message="")
    assert said in html
    assert f'id="{button_id}"' in html


def test_a_generator_that_stops_is_not_said_to_go_on() -> None:
    cards = [
        generator_card(run("running", detail=detail), round_number=1, why_not=None, waiting=0, report={}, message="")
        for detail in ("", "Stops after this step.")
    ]
    assert [text.CLOSE_PAGE in html for html in cards] == [True, False]


def test_the_generator_card_leads_to_what_it_waits_for() -> None:
    for why_not, tab in ((text.NEEDS_LABELS, "label"), (text.NEEDS_IMAGES, "project"), (text.IS_RUNNING, None)):
        html = generator_card(None, round_number=1, why_not=why_not, waiting=0, report={}, message="")
        assert re.findall(r'data-tab="(\w+)"', html) == ([tab] if tab else [])


@pytest.mark.parametrize("state", ["queued", "running", "failed", "done"])
def test_a_models_last_accuracy_is_told_until_it_has_another(state: str) -> None:
    row = MethodView("lora", run(state), None, Interval(0.68, 0.64, 0.72), 532, "40 labels")
    assert "68% right on the test of 532" in methods_card([row], ready=0)


def test_more_than_was_asked_for_is_not_told_as_a_part() -> None:
    assert (text.of(40, 40), text.of(41, 40)) == ("40 of 40", "41 (goal 40)")


def test_a_finished_generator_offers_the_next_round_and_says_what_was_left_out() -> None:
    refused = {"answered already": 30, "rejected before": 2, "no complete pair": 9}
    report = {"kept": 700, "generated": 980, "images": 245, "turned_down": refused}
    html = generator_card(
        run("done"), round_number=2, why_not=None, waiting=0, report=report, message="", answered=(40, 1)
    )
    assert "700 usable pairs out of 980 written" in html and "32 others repeated what was decided before" in html
    assert "Round 2 would learn from 40 answers and 1 reviewed pair." in html and "Begin round 2" in html
    stale = {**report, "kept": 0, "turned_down": {OUT_OF_USE: 700}}
    html = generator_card(run("done"), round_number=3, why_not=None, waiting=0, report=stale, message="")
    assert rounds_text.out_of_use(700) in html and "repeated" not in html


def test_progress_counts_finished_stages() -> None:
    assert run("running").share == pytest.approx((2 + 96 / 150) / 5)
    assert run("done").share == 1.0
    assert "All runs" in runs_card([run("failed", detail="No memory.")])


def test_typed_questions() -> None:
    first, second = typed_questions("Is a polyp visible? | yes | no\n\nWhat is it?\n")
    assert (first.id, first.question, first.options) == ("a_polyp_visible", "Is a polyp visible?", ("yes", "no"))
    assert second.options == ()
    same = typed_questions("Where is it now? | a | b\nWhat is it now? | c | d")
    assert len({kind.id for kind in same}) == 2


def test_a_question_says_how_to_decide_and_is_shown_as_it_was_typed() -> None:
    lines = "How large? | small | large\n= Large: wider than 2 cm.\n = Else small.\nWhere? | left | right"
    kinds = typed_questions(lines)
    assert [kind.definition for kind in kinds] == ["Large: wider than 2 cm. Else small.", ""]
    assert typed_questions("\n".join(map(_typed, kinds)), kinds) == kinds
    shown = _definition(kinds[0], kinds)
    assert "Large: wider than 2 cm." in shown and "<b>" not in _definition(QuestionType("a", "b", (), "<b>"), kinds)
    assert _definition(kinds[1], kinds).endswith("></p>"), "its room is kept"
    assert _definition(kinds[1], kinds[1:]) == ""
    with pytest.raises(InputError, match="Line 2 tells how to decide, but there is no question above it"):
        typed_questions("\n= Large: wide.")


def test_an_answer_is_not_judged_where_the_list_of_answers_has_changed() -> None:
    answers = Answer("other", (), 0.1, 0.0), Answer("left", (), 0.1, 0.0)
    view = replace(asked((None, None), *answers), options=("right", "x"))
    assert 'class="right"' not in ask_screen(view) and 'class="wrong"' not in ask_screen(view)
