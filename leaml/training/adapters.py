"""Updates by PEFT adapters, the baselines of selective training; folded into the weights when training ends.

Apart from `updates`, because PEFT takes seconds to load and most runs need none.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from peft import LoraConfig as PeftLoraConfig
from peft import ShiraConfig as PeftShiraConfig
from peft import get_peft_model

from leaml.config import LoraConfig, ShiraConfig
from leaml.models.backbone import Backbone
from leaml.selective import Entries, linear_weights
from leaml.training.train import DenseAdamW
from leaml.training.updates import Update, whole


def lora_update(backbone: Backbone, config: LoraConfig, *, weight_decay: float, seed: int) -> Update:
    """Return an update by LoRA adapters (Hu et al. 2021) on every linear layer of the decoder."""
    settings = partial(PeftLoraConfig, r=config.rank, lora_alpha=config.alpha, lora_dropout=0.0)
    return _adapter_update(backbone, settings, "lora_", weight_decay=weight_decay, seed=seed)


def shira_update(backbone: Backbone, config: ShiraConfig, *, weight_decay: float, seed: int) -> Update:
    """Return an update by SHiRA adapters (Bhardwaj et al. 2024) on every linear layer of the decoder."""
    settings = partial(PeftShiraConfig, r=config.rank, random_seed=seed)
    return _adapter_update(backbone, settings, "shira_", weight_decay=weight_decay, seed=seed)


def _adapter_update(
    backbone: Backbone, settings: Callable[..., Any], prefix: str, *, weight_decay: float, seed: int
) -> Update:
    """Put PEFT adapters on every linear layer of the decoder, in place, and train these alone."""
    targets = linear_weights(backbone.model, within=backbone.decoder).weights
    of_decoder = {id(parameter): name for name, parameter in backbone.decoder.named_parameters()}
    modules = [of_decoder[id(weight)].removesuffix(".weight") for weight in targets.values()]
    torch.manual_seed(seed)
    adapted = get_peft_model(backbone.decoder, settings(target_modules=modules))
    trained = {name: parameter for name, parameter in adapted.named_parameters() if prefix in name}

    def finish() -> Mapping[str, Entries]:
        adapted.merge_and_unload()
        return whole(targets)

    return Update(DenseAdamW(trained, weight_decay=weight_decay), finish)
