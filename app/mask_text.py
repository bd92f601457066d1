"""What a person reads about the mask on the Train screen."""

from collections.abc import Mapping

from app.text import count_of

MASK_TITLE = "Which neurons may move"
MASK_KEY = "In each cell: the share that may move and, in bold, its share of the importance."
MASK_LAYER = "layer"
LARGEST_ROWS = "The neurons that matter most"
NO_MASK = "After “Importance of neurons”, this shows where in the model the chosen weights lie."


def share(part: float) -> str:
    """Write a share in [0, 1] as percent with two digits that count, down to a ten-thousandth."""
    percent = 100 * part
    digits = sum(percent < limit for limit in (9.95, 0.995, 0.0995, 0.00995))
    return f"{percent:.{digits}f}%"


def may_move(density: float, held: float) -> str:
    """Say how much of the model may move, and how much of the importance that is."""
    return f"{MASK_TITLE}: {share(density)} of the weights, which hold {share(held)} of the importance"


def neuron(layer: int, module: str, row: int) -> str:
    """Name one output row of a weight; layer and row counted from 0."""
    return f"{MASK_LAYER} {layer + 1} · {module} · row {row + 1}"


def average_row(held: float) -> str:
    """Say what the shares of the largest rows are to be compared with."""
    return f"share of the importance; an average one holds {share(held)}"


def frozen(reasons: Mapping[str, int]) -> str:
    """Say what stays as it was, from the number of weights left out for each reason."""
    kept = ["the part that looks at the image", "norms and biases"]
    kept += [f"{count_of('weight', count)}: {reason}" for reason, count in reasons.items()]
    return f"What stays frozen: {'; '.join(kept)}."
