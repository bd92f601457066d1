"""Copied into the environment of `make test-vllm`: lets CPU torch import a torchvision that was built for CUDA.

Its compiled operators cannot load there, and its import fails at the first one that has no schema. vLLM uses none of
them, so two schemas are enough.
"""

from importlib.metadata import PackageNotFoundError, version

try:
    mismatched = "+cpu" in version("torch") and "+cpu" not in version("torchvision")
except PackageNotFoundError:  # while the environment is being made
    mismatched = False

if mismatched:
    import torch

    library = torch.library.Library("torchvision", "DEF")
    library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
