"""HTML and figures from plain values: escaping, intervals, losses."""

import pytest

from app import figures, text
from app.cards import option_list
from app.comparison import table_card
from app.errors import InputError
from app.project import typed_questions
from app.reports import RunView, generator_card, runs_card
from app.view import attributes, bar, button, header, image_box
from leaml.records import Interval

NASTY = '<img src=x onerror="alert(1)">'


@pytest.mark.parametrize(
    "html",
    [
        button(NASTY, data_value=NASTY),
        image_box(NASTY, NASTY),
        option_list((NASTY, "b"), chosen=NASTY),
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
    html = option_list(("left", "right"), chosen="right", figures=(0.25, 0.75))
    assert html.count('aria-checked="true"') == 1
    assert 'data-key="2"' in html
    assert "<i>.75</i>" in html
    ten = option_list([str(n) for n in range(11)], chosen=None)
    assert ten.count("data-key") == 9


def test_the_running_mean_starts_without_bias() -> None:
    assert figures.running_mean([2.0, 2.0, 2.0]) == pytest.approx([2.0, 2.0, 2.0])
    assert figures.running_mean([4.0, 0.0])[1] < 2.0


def test_losses_of_a_resumed_run_count_once() -> None:
    def line(step: int, loss: float) -> dict[str, object]:
        figures = {"question_loss": loss, "caption_loss": 3.0, "norm": 1.0}
        return {"at": 0.0, "stage": "generator", "step": step, "total": 4, "figures": figures}

    lines = [line(1, 2.0), line(2, 1.5), line(2, 1.4), line(3, 1.0)]
    series, total = figures.loss_series([{"at": 0, "stage": "captions", "step": 1, "total": 1, "figures": {}}, *lines])
    assert total == 4
    assert [(row.name, list(row.steps)) for row in series] == [
        ("question_loss", [1, 2, 3]),
        ("caption_loss", [1, 2, 3]),
    ]
    assert list(series[0].values) == [2.0, 1.4, 1.0]
    figure = figures.loss_figure(series, total=total)
    assert len(figure.data) == 4
    assert tuple(figure.layout.xaxis.range) == (0, 4)


def test_empty_figures_say_what_will_be_there() -> None:
    assert figures.loss_figure([], total=0).layout.annotations[0].text == text.NO_LOSS
    assert figures.mask_figure([]).layout.annotations[0].text == text.NO_MASK


def test_the_mask_has_a_cell_for_each_weight() -> None:
    modules = [
        {"layer": layer, "module": module, "share": 0.1, "score_share": 0.01 * layer}
        for layer in (0, 1)
        for module in ("q_proj", "gate_proj")
    ]
    (cells,) = figures.mask_figure(modules).data
    assert (list(cells.y), list(cells.x)) == (["q", "gate"], ["layer 1", "layer 2"])
    assert [list(row) for row in cells.z] == [[0.0, 0.01], [0.0, 0.01]]


def test_the_table_marks_the_best_and_shows_intervals() -> None:
    low, high = Interval(0.4, 0.3, 0.5), Interval(0.6, 0.5, 0.7)
    html = table_card(
        {"majority": ({"side": low}, low), "leaml": ({"side": high}, high)}, ["side"], rests_on="", finding=""
    )
    assert "<b>60</b><small>50&ndash;70</small>" in html
    assert "<b>40</b>" not in html
    assert 'class="ours"' in html


@pytest.mark.parametrize(
    ("gap", "said"),
    [
        ((5.7, 1.2, 10.1), "is +5.7 points better than"),
        ((-5.7, -9.0, -1.0), "is 5.7 points worse than"),
        ((2.0, -1.0, 5.0), "cannot be told apart"),
    ],
)
def test_the_difference_is_only_claimed_where_it_is_sure(gap: tuple[float, float, float], said: str) -> None:
    sentence = text.difference("LEAML", "LoRA", *gap)
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


def test_progress_counts_finished_stages() -> None:
    assert run("running").share == pytest.approx((2 + 96 / 150) / 5)
    assert run("done").share == 1.0
    assert "All runs" in runs_card([run("failed", detail="No memory.")])


def test_typed_questions() -> None:
    first, second = typed_questions("Is a polyp visible? | yes | no\n\nWhat is it?\n")
    assert (first.id, first.question, first.options) == ("a_polyp_visible", "Is a polyp visible?", ("yes", "no"))
    assert second.options == ()
    same = typed_questions("Is it? | a | b\nIs it? | c | d")
    assert len({kind.id for kind in same}) == 2


@pytest.mark.parametrize(("lines", "said"), [("", "at least one question"), ("Is it? | yes", "one answer only")])
def test_questions_that_cannot_be_used(lines: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        typed_questions(lines)
