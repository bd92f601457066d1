"""The README's library example runs as it stands."""

import re
from pathlib import Path

import pytest
import torch

from leaml.selective import weights_hash
from tests.selective.tiny import tiny_llama, tokens

README = Path(__file__).parent.parent.parent / "README.md"


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_library_example(tmp_path, dtype):
    tiny_llama(dtype=dtype).save_pretrained(tmp_path / "model")
    (example,) = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    labelled = [({"input_ids": tokens(seed), "labels": tokens(seed)}, 4) for seed in (1, 2, 3)]
    names = {"model_name": str(tmp_path / "model"), "labelled": labelled, "path": tmp_path / "delta.safetensors"}
    exec(example, names)
    resident, base = names["resident"], tiny_llama(dtype=dtype)
    assert (tmp_path / "delta.safetensors").stat().st_size < 8 * names["chosen"].count + 8_000
    assert weights_hash(resident.model) != resident.base_hash
    resident.restore()
    assert weights_hash(resident.model) == resident.base_hash == weights_hash(base)
