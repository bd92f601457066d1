"""Accuracies with intervals, and how to tell two models apart. Questions of one image are not independent.

Everything is clustered: whole images are resampled, or whole groups of images (near-duplicates, a patient, a
procedure) where the caller says which group an image belongs to. How the intervals were chosen, with the measured
coverages: docs/decisions/statistics.md. Not covered: labelled draws and seeds as a source of variance, and ordinal
or open answers. Scipy and statsmodels, which take a second to load, are loaded by whoever computes first.
"""

from leaml.stats.accuracy import TypeAccuracy, accuracy_by_type, macro_accuracy
from leaml.stats.agreement import krippendorff_alpha
from leaml.stats.baseline import majority_predictions
from leaml.stats.gap import GapRecovered, gap_recovered
from leaml.stats.mcnemar import McNemar, holm, mcnemar_by_type
from leaml.stats.paired import PairedDifference, in_common, paired_difference
from leaml.stats.proportions import wilson

__all__ = [
    "GapRecovered",
    "McNemar",
    "PairedDifference",
    "TypeAccuracy",
    "accuracy_by_type",
    "gap_recovered",
    "holm",
    "in_common",
    "krippendorff_alpha",
    "macro_accuracy",
    "majority_predictions",
    "mcnemar_by_type",
    "paired_difference",
    "wilson",
]
