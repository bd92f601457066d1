"""The whole chain on a checkpoint of each family: score, mask, three training steps, sample, merge, reload."""

import pytest
import torch
from transformers import AutoModelForImageTextToText

from leaml.config import SelectionConfig, TrainConfig
from leaml.models.backbone import load, load_adapted, merge
from leaml.models.decoding import greedy, nucleus, prefill
from leaml.models.features import ImageFeatures
from leaml.selective import linear_weights
from leaml.training.objectives import Sample, collate, sequence_losses
from leaml.training.train import train
from leaml.training.updates import choose_entries, selective_update
from tests.backbones.conftest import ALL, own_inputs

TARGETS = ("a disc", "two words", "nothing at all")


class Silent:
    """A report that nobody reads."""

    def progress(self, stage, step, total, **figures):
        """Forget the step."""

    def cancelled(self):
        return False


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["float32", "bfloat16"])
@pytest.mark.parametrize("family", ALL)
def test_a_family_goes_through_the_whole_chain(family, dtype, checkpoints, shapes, tmp_path):
    path = str(checkpoints[family])
    files = {}
    for number, picture in enumerate(shapes):
        files[f"p{number}"] = tmp_path / f"p{number}.png"
        picture.save(files[f"p{number}"])
    backbone = load(path, device="cpu", dtype=dtype)
    before = {name: value.clone() for name, value in backbone.model.state_dict().items()}
    features = ImageFeatures(backbone, tmp_path / "cache")
    features.add(files)
    samples = [Sample(name, f"What is in picture {name}?", text) for name, text in zip(files, TARGETS, strict=True)]

    weights = linear_weights(backbone.model, within=backbone.decoder).weights
    selection = choose_entries(backbone, features, samples, SelectionConfig(), weights=weights, data_hash="")
    update = selective_update(backbone, selection, weight_decay=0.0)
    seen = []

    def losses(step):
        found, _ = sequence_losses(backbone, collate(backbone, features, samples))
        seen.append(float(found.detach().sum()))
        return [iter([(found.mean(), {})])]

    config = TrainConfig(steps=3, batch_size=3, learning_rate=3e-3, warmup_steps=0)
    train("x", update.optimizer, losses, config, checkpoints=tmp_path / "c", report=Silent(), device=backbone.device)
    assert seen[2] < seen[0]

    prefix = prefill(backbone, [sample.prompt for sample in samples], features.batch(files))
    generator = torch.Generator().manual_seed(1)
    drawn = nucleus(backbone, prefix, max_new_tokens=4, top_p=0.9, temperature=1.0, generator=generator)
    assert len(drawn) == 3 and all(value < 0 for _, value in drawn)

    update.save(backbone, tmp_path / "delta.safetensors", model=path)
    for name, value in backbone.model.state_dict().items():
        frozen = (
            ~selection.entries[name].mask() if name in selection.entries else torch.ones_like(value, dtype=torch.bool)
        )
        assert torch.equal(value[frozen], before[name][frozen]), name
    assert all(not torch.equal(before[name], backbone.model.state_dict()[name]) for name in selection.entries)

    merge(tmp_path / "delta.safetensors", tmp_path / "merged")
    reloaded = AutoModelForImageTextToText.from_pretrained(tmp_path / "merged", dtype=dtype).eval()
    own = load_adapted(tmp_path / "delta.safetensors", device="cpu")
    inputs = own_inputs(own.processor, [shapes[1]], samples[1].prompt)
    inputs = {name: value.to(dtype) if value.is_floating_point() else value for name, value in inputs.items()}
    with torch.no_grad():
        expected = own.model(**inputs).logits
        assert torch.equal(reloaded(**inputs).logits, expected)
        pretrained = AutoModelForImageTextToText.from_pretrained(path, dtype=dtype).eval()
        assert not torch.equal(pretrained(**inputs).logits, expected)
    again = load(str(tmp_path / "merged"), device="cpu", dtype=dtype)
    merged_features = ImageFeatures(again, tmp_path / "cache")
    merged_features.add(files)
    prompts = [sample.prompt for sample in samples]
    texts = [
        greedy(model, prefill(model, prompts, known.batch(files)), max_new_tokens=6)
        for model, known in ((own, features), (again, merged_features))
    ]
    assert texts[0] == texts[1]
