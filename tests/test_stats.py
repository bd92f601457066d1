"""Accuracies, intervals, paired differences, tests and corrections: published examples, coverage, degenerate cases."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from scipy.stats import binomtest, norm

from leaml.errors import ConfigError
from leaml.records import AnsweredQuestion, ImageId, Prediction
from leaml.stats import (
    accuracy_by_type,
    gap_recovered,
    holm,
    macro_accuracy,
    majority_predictions,
    mcnemar_by_type,
    paired_difference,
    wilson,
)

RATES = np.array([0.35, 0.5, 0.6, 0.65, 0.7, 0.8, 0.92])
"""True accuracies of seven question types."""
SETS = 1000


def prediction(image, kind, correct):
    return Prediction(ImageId(image), kind, f"{kind}?", ("a", "b"), "a", "a" if correct else "b", correct, ())


def answers(generator, *, rates=(RATES,), images=79, pairs=10, correlation=0.35):
    """Return one data set like the bundled sample's test: the answers of one model for each row of `rates`, groups.

    Whether an answer is right is a normal variable below its type's threshold; what the questions of a group share has
    the given correlation, half of it and half of the rest being the same for all models. The first pairs of images
    are near-duplicates; 4% of the questions are missing.
    """
    groups = np.array([n // 2 if n < 2 * pairs else n for n in range(images)])
    asked, (shape, rates) = generator.random((images, 7)) > 0.04, ((len(rates), images), np.array(rates))
    common = np.sqrt(0.5) * (generator.normal(size=images)[groups] + generator.normal(size=shape)[:, groups])
    rest = np.sqrt(0.5) * (generator.normal(size=(images, 7)) + generator.normal(size=(*shape, 7)))
    latent = np.sqrt(correlation) * common[..., None] + np.sqrt(1 - correlation) * rest
    right = latent < norm.ppf(rates)[:, None, :]
    models = [
        [prediction(f"i{n}", f"t{t}", bool(model[n, t])) for n in range(images) for t in range(7) if asked[n, t]]
        for model in right
    ]
    return models, {ImageId(f"i{n}"): f"g{group}" for n, group in enumerate(groups)}


def covers(interval, truth):
    return interval.low <= truth <= interval.high


def test_macro_accuracy_is_the_mean_over_types_not_over_questions():
    rows = [prediction(f"i{n}", "many", True) for n in range(8)] + [prediction("i0", "one", False)]
    assert macro_accuracy(rows).value == 0.5
    assert {kind: row.value for kind, row in accuracy_by_type(rows).items()} == {"many": 1.0, "one": 0.0}


def test_the_interval_of_the_macro_accuracy_covers_95_times_in_100():
    generator, hits = np.random.default_rng(7), 0
    for _ in range(SETS):
        (rows,), groups = answers(generator)
        hits += covers(macro_accuracy(rows, groups), RATES.mean())
    assert 0.93 <= hits / SETS <= 0.97


def test_paired_interval_covers_and_false_findings_are_5_in_100():
    generator, hits, found = np.random.default_rng(8), 0, 0
    for _ in range(SETS):
        (one, other), groups = answers(generator, rates=(RATES, RATES[::-1]))
        row = paired_difference(one, other, groups)
        hits += covers(row, 0.0)
        found += row.p_value < 0.05
    assert 0.93 <= hits / SETS <= 0.97 and 0.03 <= found / SETS <= 0.07


@pytest.mark.parametrize("images", [79, 20])
def test_the_interval_of_one_type_covers(images):
    generator, hits = np.random.default_rng(9), 0
    for _ in range(100):
        (rows,), groups = answers(generator, images=images, pairs=3)
        found = accuracy_by_type(rows, groups)
        hits += sum(covers(found[f"t{t}"], rate) for t, rate in enumerate(RATES))
        assert {row.interval for row in found.values()} == {"clustered" if images == 79 else "small"}
    assert 0.93 <= hits / (100 * 7) <= 0.98


def test_the_smallest_detectable_difference_is_found_four_times_in_five():
    generator = np.random.default_rng(10)
    (one, other), groups = answers(generator, rates=(RATES, RATES))
    step = paired_difference(one, other, groups).smallest_detectable
    found = []
    for _ in range(200):
        (one, other), groups = answers(generator, rates=(np.minimum(RATES + step, 0.999), RATES))
        found.append(paired_difference(one, other, groups))
    true = float(np.mean([row.value for row in found]))
    detectable = float(np.mean([row.smallest_detectable for row in found]))
    power = norm.cdf((norm.ppf(0.975) + norm.ppf(0.8)) * true / detectable - norm.ppf(0.975))
    assert float(np.mean([row.p_value < 0.05 for row in found])) == pytest.approx(power, abs=0.06)
    assert 0.6 < power < 0.95


def test_the_interval_of_the_recovered_gap_covers():
    generator, hits = np.random.default_rng(11), 0
    low, middle, high = RATES - 0.15, RATES, np.minimum(RATES + 0.2, 0.98)
    truth = (middle.mean() - low.mean()) / (high.mean() - low.mean())
    for _ in range(300):
        models, groups = answers(generator, rates=(middle, low, high))
        hits += covers(gap_recovered(models[0], low=models[1], high=models[2], groups=groups), truth)
    assert 0.92 <= hits / 300 <= 0.98


def test_groups_of_copies_are_worth_one_image():
    (rows,), _ = answers(np.random.default_rng(1), pairs=0)
    copies = [prediction(f"{row.image_id} again", row.type_id, row.correct) for row in rows]
    groups = {row.image_id: row.image_id.split()[0] for row in [*rows, *copies]}
    alone, grouped, apart = (
        macro_accuracy(rows),
        macro_accuracy([*rows, *copies], groups),
        macro_accuracy(rows + copies),
    )
    assert (grouped.low, grouped.high) == pytest.approx((alone.low, alone.high), abs=1e-9)
    assert apart.high - apart.low < 0.8 * (grouped.high - grouped.low)
    by_type = accuracy_by_type([*rows, *copies], groups)["t0"]
    assert by_type.questions == 2 * sum(row.type_id == "t0" for row in rows)


def test_an_image_without_a_group_is_said():
    rows = [prediction("a", "x", True), prediction("b", "x", False)]
    with pytest.raises(ConfigError, match="The image b has no group"):
        macro_accuracy(rows, {ImageId("a"): "g"})


def test_exchanging_right_and_wrong_or_the_models_mirrors_the_figures():
    (one, other), groups = answers(np.random.default_rng(2), rates=(RATES, RATES - 0.1))
    found, back = paired_difference(one, other, groups), paired_difference(other, one, groups)
    assert (-back.value, -back.high, -back.low) == pytest.approx((found.value, found.low, found.high))
    assert back.p_value == pytest.approx(found.p_value)
    wrong = macro_accuracy([prediction(row.image_id, row.type_id, not row.correct) for row in one], groups)
    right = macro_accuracy(one, groups)
    assert (1 - wrong.high, 1 - wrong.low) == pytest.approx((right.low, right.high))


def test_paired_difference_finds_a_real_gain_and_no_false_one():
    generator = np.random.default_rng(3)
    (base,), groups = answers(generator)
    better = [p if p.correct or generator.random() < 0.6 else prediction(p.image_id, p.type_id, True) for p in base]
    gain = paired_difference(better, base, groups)
    assert gain.low > 0 and gain.p_value < 0.01
    none = paired_difference(base, base, groups)
    assert (none.value, none.low, none.high, none.p_value) == (0.0, 0.0, 0.0, 1.0)


def test_paired_difference_matches_questions_whatever_their_order():
    rows = [prediction("a", "x", True), prediction("b", "x", False)]
    assert paired_difference(rows, rows[::-1]).value == 0.0
    for short in (rows[:1], [*rows, rows[0]]):
        with pytest.raises(ConfigError, match="different questions"):
            paired_difference(rows, short)
        with pytest.raises(ConfigError, match="different questions"):
            paired_difference(short, rows)


def test_all_right_is_not_known_to_be_always_right():
    rows = [prediction(f"i{n}", kind, True) for n in range(40) for kind in "xy"]
    found = macro_accuracy(rows)
    assert (found.value, found.high) == (1.0, 1.0) and found.low == pytest.approx(wilson(40, 40).low)
    assert accuracy_by_type(rows)["x"].low == pytest.approx(found.low)


def test_what_is_the_same_for_every_image_is_not_known_to_be_so_for_all():
    rows = [prediction(f"i{n}", kind, kind == "x") for n in range(72) for kind in "xyz"]
    found = macro_accuracy(rows)
    assert found.value == pytest.approx(1 / 3) and found.low < 0.24 and found.high > 0.44


@pytest.mark.parametrize("images", [3, 40])
def test_a_model_that_is_always_better_is_believed_with_the_number_of_images(images):
    right = [prediction(f"i{n}", "x", True) for n in range(images)]
    found = paired_difference(right, [prediction(row.image_id, "x", False) for row in right])
    assert (found.value, found.high) == (1.0, 1.0) and found.low < 1
    assert (found.p_value < 0.05) == (found.low > 0) == (images == 40)


def test_one_cluster_says_next_to_nothing():
    rows = [prediction("a", kind, kind == "x") for kind in "xy"]
    found = macro_accuracy(rows)
    assert found.low < 0.1 and found.high > 0.9
    gap = paired_difference(rows, [prediction("a", kind, False) for kind in "xy"])
    assert (gap.value, gap.low, gap.high, gap.p_value, gap.smallest_detectable) == (0.5, -1.0, 1.0, 1.0, float("inf"))


@pytest.mark.parametrize(
    ("right", "asked", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_as_published(right, asked, low, high):
    # Newcombe 1998, Two-sided confidence intervals for the single proportion, Statistics in Medicine 17, table I,
    # method 3.
    found = wilson(right, asked)
    assert (found.low, found.high) == pytest.approx((low, high), abs=5e-5)
    assert found.value == right / asked


def test_wilson_of_nothing_is_said():
    with pytest.raises(ConfigError, match="no answers"):
        wilson(0, 0)


def table(both, only_one, only_other, neither):
    """Return two models' answers to as many questions, one an image."""
    cells = (
        [(True, True)] * both + [(True, False)] * only_one + [(False, True)] * only_other + [(False, False)] * neither
    )
    one, other = zip(*cells, strict=True)
    return [[prediction(f"i{n}", "x", right) for n, right in enumerate(side)] for side in (one, other)]


def test_mcnemar_of_the_approval_ratings():
    # Agresti 1990, Categorical Data Analysis, p. 350: 794, 150, 86, 570. Exact p: R's exact2x2, mcnemar.exact.
    found = mcnemar_by_type(*table(794, 150, 86, 570))["x"]
    assert (found.only_one, found.only_other) == (150, 86)
    assert found.p_value == pytest.approx(3.716e-05, rel=1e-3) == found.adjusted
    assert found.p_value == pytest.approx(binomtest(86, 236).pvalue)


def test_mcnemar_of_models_that_agree_and_holm_over_types():
    one, other = table(3, 0, 0, 2)
    assert mcnemar_by_type(one, other)["x"].p_value == 1.0
    more = [prediction(f"i{n}", "y", True) for n in range(8)]
    less = [prediction(f"i{n}", "y", False) for n in range(8)]
    found = mcnemar_by_type([*one, *more], [*other, *less])
    assert found["y"].p_value == pytest.approx(2 / 2**8) and found["y"].adjusted == pytest.approx(4 / 2**8)


def test_holm_as_published():
    # Holm 1979, Scandinavian Journal of Statistics 6; the four p-values are Wikipedia's example of it.
    found = holm({"h1": 0.01, "h2": 0.04, "h3": 0.03, "h4": 0.005})
    assert found == pytest.approx({"h1": 0.03, "h2": 0.06, "h3": 0.06, "h4": 0.02})
    ordered = [found[name] for name in ("h4", "h1", "h3", "h2")]
    assert all(one <= other for one, other in pairwise(ordered)) and holm({}) == {}


def test_a_gap_that_is_all_or_half_recovered_and_one_that_is_none():
    low = [prediction(f"i{n}", "x", n % 4 == 0) for n in range(80)]
    high = [prediction(f"i{n}", "x", n % 4 != 1) for n in range(80)]
    half = [prediction(f"i{n}", "x", n % 4 in (0, 2)) for n in range(80)]
    assert gap_recovered(half, low=low, high=high).value == pytest.approx(0.5)
    whole = gap_recovered(high, low=low, high=high)
    assert (whole.value, whole.low, whole.high) == pytest.approx((1.0, 1.0, 1.0))
    with pytest.raises(ConfigError, match="may as well be none"):
        gap_recovered(half, low=low, high=low)


def test_majority_answers_with_each_types_most_frequent_label():
    def pair(image, kind, answer):
        return AnsweredQuestion(ImageId(image), f"{kind}?", ("a", "b"), answer, kind)

    labels = [pair("1", "x", "b"), pair("2", "x", "b"), pair("3", "x", "a"), pair("3", "y", "a")]
    rows = majority_predictions(labels, [pair("9", "x", "b"), pair("9", "y", "b"), pair("9", "z", "a")])
    assert [(row.answer, row.correct) for row in rows] == [("b", True), ("a", False), ("", False)]


def test_the_majority_is_counted_and_marked_as_models_are():
    def opened(image, answer):
        return AnsweredQuestion(ImageId(image), "What is seen?", (), answer, None)

    given = ("Polyp", "polyp.", "Polyp", "ulcer", "ulcer", "ulcer", " polyp")
    labels = [opened(str(number), answer) for number, answer in enumerate(given)]
    rows = majority_predictions(labels, [opened("8", "POLYP"), opened("9", "ulcer")])
    assert [(row.answer, row.correct, row.type_id) for row in rows] == [
        ("Polyp", True, "free"),
        ("Polyp", False, "free"),
    ]
    several = AnsweredQuestion(ImageId("1"), "Which? Choose all that apply.", ("a", "b", "c"), "a; b", "which")
    (row,) = majority_predictions([several], [replace(several, answer="b; a")])
    assert row.correct and row.reference == "b; a"
    tied = [opened("1", "b"), opened("2", "a"), opened("3", "A"), opened("4", "B.")]
    assert majority_predictions(tied, [several, opened("5", "a")])[1].answer == "A"


@pytest.mark.parametrize("figure", [macro_accuracy, lambda rows: paired_difference(rows, rows)])
def test_nothing_to_average_is_said(figure):
    with pytest.raises(ConfigError, match="no test answers"):
        figure([])
    assert accuracy_by_type([]) == {} == mcnemar_by_type([], [])
