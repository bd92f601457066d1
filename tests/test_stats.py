"""Accuracies, intervals and paired differences."""

import numpy as np
import pytest

from leaml.errors import ConfigError
from leaml.records import AnsweredQuestion, ImageId, Prediction
from leaml.stats import accuracy_by_type, macro_accuracy, majority_predictions, paired_difference


def prediction(image, kind, correct):
    return Prediction(ImageId(image), kind, f"{kind}?", ("a", "b"), "a", "a" if correct else "b", correct, ())


def test_macro_accuracy_is_the_mean_over_types_not_over_questions():
    rows = [prediction(f"i{n}", "many", True) for n in range(8)] + [prediction("i0", "one", False)]
    assert macro_accuracy(rows).value == 0.5
    assert {kind: row.value for kind, row in accuracy_by_type(rows).items()} == {"many": 1.0, "one": 0.0}


def simulated(generator, images=40):
    """Three questions an image whose answers go wrong together: clustered data with a true accuracy of 0.7."""
    rows = []
    for image in range(images):
        skill = 0.4 if generator.random() < 0.5 else 1.0
        rows += [prediction(f"i{image}", kind, bool(generator.random() < skill)) for kind in ("x", "y", "z")]
    return rows


def test_interval_covers_the_truth_about_95_times_in_100():
    generator = np.random.default_rng(7)
    hits = 0
    for _ in range(200):
        interval = macro_accuracy(simulated(generator))
        hits += interval.low <= 0.7 <= interval.high
    assert 0.90 <= hits / 200 <= 0.99


def test_paired_difference_finds_a_real_gain_and_no_false_one():
    generator = np.random.default_rng(3)
    base = simulated(generator, 120)
    better = [p if p.correct or generator.random() < 0.6 else prediction(p.image_id, p.type_id, True) for p in base]
    gain = paired_difference(better, base)
    assert gain.low > 0 and gain.p_value < 0.01
    none = paired_difference(base, base)
    assert (none.value, none.low, none.high, none.p_value) == (0.0, 0.0, 0.0, 1.0)


def test_paired_difference_matches_questions_whatever_their_order():
    rows = [prediction("a", "x", True), prediction("b", "x", False)]
    assert paired_difference(rows, rows[::-1]).value == 0.0
    with pytest.raises(ConfigError, match="different questions"):
        paired_difference(rows, rows[:1])


def test_majority_answers_with_each_types_most_frequent_label():
    def pair(image, kind, answer):
        return AnsweredQuestion(ImageId(image), f"{kind}?", ("a", "b"), answer, kind)

    labels = [pair("1", "x", "b"), pair("2", "x", "b"), pair("3", "x", "a"), pair("3", "y", "a")]
    rows = majority_predictions(labels, [pair("9", "x", "b"), pair("9", "y", "b"), pair("9", "z", "a")])
    assert [(row.answer, row.correct) for row in rows] == [("b", True), ("a", False), ("", False)]


def test_nothing_to_average_is_said():
    with pytest.raises(ConfigError, match="no test answers"):
        macro_accuracy([])
