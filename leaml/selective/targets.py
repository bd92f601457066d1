"""Which weights of a model can be trained selectively: linear layers, each a matrix of rows."""

from dataclasses import dataclass

from torch import nn

from leaml.errors import TrainingError


@dataclass(frozen=True)
class Targets:
    """The linear weights of a model.

    Attributes:
        weights: `[out, in]` each, by parameter name, in the model's order.
        skipped: Why each other weight with rows stays frozen, by parameter name.
    """

    weights: dict[str, nn.Parameter]
    skipped: dict[str, str]


def linear_weights(model: nn.Module, *, within: nn.Module | None = None) -> Targets:
    """Return the weights of a model's linear layers, and why others with two or more dimensions are left out.

    Embeddings, tied heads, norms and biases stay frozen, as in LEAML.

    Args:
        model: Gives the parameters their names.
        within: Only look in this part of it, such as the language decoder.

    Raises:
        TrainingError: If no linear weight is left.
    """
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    weights: dict[str, nn.Parameter] = {}
    skipped: dict[str, str] = {}
    for module in (within or model).modules():
        for own_name, parameter in module.named_parameters(recurse=False):
            name = names[id(parameter)]
            reason = _obstacle(module, own_name, parameter)
            if reason is None:
                weights[name] = parameter
            elif parameter.ndim >= 2:
                skipped[name] = reason
    for name in skipped.keys() & weights.keys():  # a linear layer that shares its weight, such as a tied head
        del weights[name]
    if not weights:
        raise TrainingError("The model has no linear weight that can be selected. Use full fine-tuning instead.")
    return Targets(weights, skipped)


def _obstacle(module: nn.Module, name: str, parameter: nn.Parameter) -> str | None:
    """Return why a parameter cannot be selected by rows, or None where it can."""
    if isinstance(module, nn.Linear) and name == "weight":
        if parameter.is_floating_point() and parameter.ndim == 2:
            return None
        return f"quantised to {parameter.dtype}: load the model unquantised to train it"
    if isinstance(module, nn.Embedding):
        return "an embedding, which may be tied to the head"
    kind = type(module).__name__
    if parameter.ndim == 2:
        return f"a weight of {kind}, not of a linear layer"
    return f"a weight of {parameter.ndim} dimensions of {kind}: experts and convolutions have no plain rows"
