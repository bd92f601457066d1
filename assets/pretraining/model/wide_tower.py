"""EfficientNet-Lite0 with a bypass that carries color and place to its last layer, as a stock EfficientNetModel.

ImageNet's features forget color: from the last layer a linear probe names an object's color for 40% of the cells
(12 colors), and a decoder trained on them stays near chance. So every stage is widened by a few channels with
fixed weights: they average the pixels (2 x 2 colors per cell at the end) and count the distance to each border by
one-sided sums. The pretrained channels compute what they did before: nothing flows from the bypass into them.
"""

import torch
from torch import Tensor, nn
from transformers import EfficientNetConfig, EfficientNetModel

from assets.pretraining.model.tower import GATE_BIAS, load_tower, tower_config

CHANNELS = 1440
"""Channels of the last layer: the 1,280 pretrained ones, 12 sub-cell colors, 4 place ramps, 144 color mixtures."""
PRETRAINED = 1280
_COLORS = 3
_SUBCELLS = 4
_RAMPS = 4
_RAW = _COLORS * _SUBCELLS + _RAMPS
_STEP = 0.25
"""Weight of each of the two neighbors that a ramp adds up per layer."""


def wide_config() -> EfficientNetConfig:
    """Return the widened configuration.

    The class fixes the stem at 32 channels times `width_coefficient`; the other widths are divided by it again, so
    that each stage gets 8 channels more (the last two 16).
    """
    config = tower_config()
    config.width_coefficient = 1.125
    widths = [24, 32, 48, 88, 120, 208, 336]
    config.out_channels = [round(width / 1.125) for width in widths]
    config.in_channels = [36, *config.out_channels[:-1]]
    config.hidden_dim = config.hidden_size = CHANNELS
    return config


def load_wide_tower() -> EfficientNetModel:
    """Return the frozen tower in eval mode: pretrained channels first, the bypass after them."""
    narrow = load_tower()
    tower = EfficientNetModel(wide_config())
    state = tower.state_dict()
    for name, old in narrow.state_dict().items():
        _copy_leading(name, state[name], old)
    tower.load_state_dict(state)
    with torch.no_grad():
        _write_bypass(tower, narrow)
    return tower.eval().requires_grad_(False)


def _copy_leading(name: str, new: Tensor, old: Tensor) -> None:
    """Make a weight neutral and copy the pretrained one into its leading channels."""
    if ".squeeze_excite." in name:
        new.fill_(GATE_BIAS if name.endswith("expand.bias") else 0.0)
        return
    if new.ndim == 1:
        neutral = {"weight": 1.0, "bias": 0.0, "running_mean": 0.0, "running_var": 1.0 - 1e-3}
        new.fill_(neutral[name.rsplit(".", 1)[1]])
    elif new.ndim:
        new.zero_()
    new[tuple(slice(0, size) for size in old.shape)] = old


def _write_bypass(tower: EfficientNetModel, narrow: EfficientNetModel) -> None:
    """Set the fixed weights of the extra channels: stem, blocks, last layer."""
    stem = tower.embeddings
    for channel in range(_COLORS):
        stem.convolution.weight[32 + channel, channel, :2, :2] = 0.25
        stem.batchnorm.bias[32 + channel] = 1.0  # from [-1, 1] to [0, 2], which ReLU6 leaves alone
    stem.batchnorm.bias[32 + _COLORS] = 1.0  # a constant, from which the ramps grow
    carried = _COLORS + 1
    for wide, old in zip(tower.encoder.blocks, narrow.encoder.blocks, strict=True):
        start_in, start_out = _width_in(old), old.projection.project_conv.out_channels
        start_mid = old.depthwise_conv.depthwise_conv.in_channels
        residual, stride = wide.projection.apply_dropout, wide.depthwise_conv.stride
        if residual and carried == _RAW:
            taps = [(channel, None) for channel in range(_COLORS * _SUBCELLS, _RAW)]
            _grow_ramps(wide, start_in, start_mid, start_out, [channel for channel, _ in taps])
        elif residual:
            continue  # the skip connection carries the bypass
        elif stride == 2 and wide.depthwise_conv.depthwise_conv.out_channels - start_mid >= _RAW and start_out == 192:
            _split_cells(wide, start_in, start_mid, start_out)
            carried = _RAW
        else:
            _pass_on(wide, start_in, start_mid, start_out, carried, average=stride == 2)
    top = tower.encoder.top_conv.weight
    for channel in range(_RAW):
        top[PRETRAINED + channel, 320 + channel] = 1.0
    _mix_colors(tower)


def _width_in(block: nn.Module) -> int:
    """Return a block's number of input channels."""
    layer = block.expansion.expand_conv if block.expand else block.depthwise_conv.depthwise_conv
    return int(layer.in_channels)


def _route(block: nn.Module, source: int, middle: int, target: int) -> Tensor:
    """Lead one channel through a block; return its depthwise kernel `[k, k]` to be written."""
    if block.expand:
        block.expansion.expand_conv.weight[middle, source] = 1.0
    block.projection.project_conv.weight[target, middle] = 1.0
    kernel: Tensor = block.depthwise_conv.depthwise_conv.weight[middle, 0]
    return kernel


def _pass_on(block: nn.Module, source: int, middle: int, target: int, count: int, *, average: bool) -> None:
    """Lead the bypass through a block; with stride 2 each 2 x 2 cells become their mean."""
    for channel in range(count):
        kernel = _route(block, source + channel, middle + channel, target + channel)
        size = kernel.shape[0]
        if average:
            first = size // 2 - 1  # the padding is one less on the left and top
            kernel[first : first + 2, first : first + 2] = 0.25
        else:
            kernel[size // 2, size // 2] = 1.0


def _split_cells(block: nn.Module, source: int, middle: int, target: int) -> None:
    """At the last halving keep the four sub-cells' colors apart, and copy the constant for each ramp."""
    for part in range(_SUBCELLS):
        for color in range(_COLORS):
            channel = part * _COLORS + color
            _route(block, source + color, middle + channel, target + channel)[1 + part // 2, 1 + part % 2] = 1.0
    for ramp in range(_RAMPS):
        channel = _COLORS * _SUBCELLS + ramp
        _route(block, source + _COLORS, middle + channel, target + channel)[1, 1] = 1.0


def _grow_ramps(block: nn.Module, source: int, middle: int, target: int, channels: list[int]) -> None:
    """Add to each ramp two neighbors on its side; zero padding makes the sum smaller near that border."""
    for side, channel in enumerate(channels):
        kernel = _route(block, source + channel, middle + channel, target + channel)
        center = kernel.shape[0] // 2
        for away in (1, 2):
            y, x = ((center, center - away), (center, center + away), (center - away, center), (center + away, center))[
                side
            ]
            kernel[y, x] = _STEP


def _mix_colors(tower: EfficientNetModel) -> None:
    """Fill the remaining channels with rectified random mixtures of each sub-cell's color: hue is not linear in RGB."""
    generator = torch.Generator().manual_seed(0)
    first = PRETRAINED + _RAW
    each = (CHANNELS - first) // _SUBCELLS
    mixtures = torch.randn(each, _COLORS, generator=generator) * 1.5
    # Each threshold is the mixture's value at a random color, so that about half of all colors pass it.
    thresholds = (mixtures * (torch.rand(each, _COLORS, generator=generator) * 2)).sum(1)
    for part in range(_SUBCELLS):
        rows = slice(first + part * each, first + (part + 1) * each)
        columns = slice(320 + part * _COLORS, 320 + (part + 1) * _COLORS)
        tower.encoder.top_conv.weight[rows, columns] = mixtures[:, :, None, None]
        tower.encoder.top_bn.bias[rows] = -thresholds
