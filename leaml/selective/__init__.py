"""Selective Neuron Distillation (LEAML, Eqs. 5 and 6): score weights, choose the top-K of each row, train only those.

Works on any module with linear layers; knows nothing of the app, the store or a particular backbone.
"""

from leaml.selective.masks import mask_summary, realised_density, select_rows
from leaml.selective.optimizer import SelectedAdamW
from leaml.selective.scores import mean_gradient_scores

__all__ = ["SelectedAdamW", "mask_summary", "mean_gradient_scores", "realised_density", "select_rows"]
