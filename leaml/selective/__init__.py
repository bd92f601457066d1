"""Selective Neuron Distillation (LEAML, Eqs. 5 and 6): score weights, choose the top-K of each row, train only those.

Works on any module with linear layers; knows nothing of the app, the store or a particular backbone.

    linear_weights -> score_weights -> select -> SelectedAdamW -> ResidentModel.capture -> Delta
"""

from leaml.selective.delta import Delta, ResidentModel, weights_hash
from leaml.selective.entries import Entries
from leaml.selective.optimizer import SelectedAdamW
from leaml.selective.scores import RULES, Rule, score_weights
from leaml.selective.selection import RowSummary, Selection, WeightSummary, select, select_rows
from leaml.selective.targets import Targets, linear_weights

__all__ = [
    "RULES",
    "Delta",
    "Entries",
    "ResidentModel",
    "RowSummary",
    "Rule",
    "SelectedAdamW",
    "Selection",
    "Targets",
    "WeightSummary",
    "linear_weights",
    "score_weights",
    "select",
    "select_rows",
    "weights_hash",
]
