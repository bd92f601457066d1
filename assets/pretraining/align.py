"""First stage: the projector learns to write into each image token what its cell of the image holds.

Trained through the decoder alone, the projector stayed nearly blind for thousands of exposures (the decoder first
learns what answers are likely, and the gradient that reaches the pixels is faint). Here linear heads read the facts
of each cell from the projected tokens. No decoder runs, so an image costs a few milliseconds.
"""

import numpy as np
import torch
from torch import Tensor, nn

from assets.pretraining.cells import FACTS, CellHeads, cell_facts
from assets.pretraining.corpus import FeatureStore
from assets.pretraining.features import HELD_OUT_SEED
from assets.pretraining.model.bundle import Whitening
from assets.pretraining.scenes.facts import Rng
from assets.pretraining.scenes.plan import plan_scene
from leaml.models.precision import autocast

CPU = torch.device("cpu")
BATCH = 24


def _batch(rng: Rng, store: FeatureStore) -> tuple[Tensor, Tensor]:
    """Return features and facts of random scenes; easy-vqa's images have no facts of cells."""
    drawn = [store.draw(rng, scene=True) for _ in range(BATCH)]
    facts = np.stack([cell_facts(plan_scene(row)) for _, row, _ in drawn])
    return torch.from_numpy(np.stack([f for _, _, f in drawn])).float(), torch.from_numpy(facts)


def align(projector: nn.Module, whitening: Whitening, store: FeatureStore, *, steps: int) -> CellHeads:
    """Train the projector in place, and heads that read it; return the heads."""
    heads = CellHeads(projector.linear_2.out_features)
    trained = [*projector.parameters(), *heads.parameters()]
    optimizer = torch.optim.AdamW(trained, lr=2e-3, betas=(0.9, 0.98), weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=steps, pct_start=0.1)
    for step in range(steps):
        features, facts = _batch(np.random.default_rng([step, 17]), store)
        with autocast(CPU):
            loss = heads.loss(projector(whitening(features)), facts)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        schedule.step()
        if step % 100 == 0:
            store.refresh()
            print(f"align step {step} loss {loss.item():.3f} images {len(store)}", flush=True)
    return heads


def cell_accuracy(
    projector: nn.Module, heads: CellHeads, whitening: Whitening, store: FeatureStore
) -> dict[str, float]:
    """Return each fact's balanced accuracy over the cells of held-out scenes."""
    features = store.held_out()
    facts = np.stack([cell_facts(plan_scene(HELD_OUT_SEED + n)) for n in range(len(features))])
    with torch.inference_mode(), autocast(CPU):
        outputs = heads(projector(whitening(torch.from_numpy(features.astype(np.float32)))))
    accuracy = {}
    for number, (name, output) in enumerate(zip(FACTS, outputs, strict=True)):
        right = (output.argmax(-1).numpy() == facts[..., number]).astype(float)
        classes = [c for c in range(FACTS[name]) if (facts[..., number] == c).any()]
        accuracy[name] = float(np.mean([right[facts[..., number] == c].mean() for c in classes]))
    return accuracy
