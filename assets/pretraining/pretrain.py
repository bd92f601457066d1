"""Pretrains the bundled model: `python -m assets.pretraining.pretrain --work DIR --out assets/models/leaml-mini`.

Start `features.py` on the same `--work` folder first; training begins when the first shards are there and takes in
new ones as they come. The tower is frozen. The learning rate is warm-up, stable, then a linear fall over the last
fifth of `--steps`, so a stopped run can be resumed with another `--steps`. Not covered: the tower, fine-tuning.
"""

import argparse
import csv
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional
from transformers import FastVlmForConditionalGeneration, PreTrainedTokenizerFast

from assets.pretraining.align import align, cell_accuracy
from assets.pretraining.cells import CellHeads, cell_facts
from assets.pretraining.copying import learn_to_copy
from assets.pretraining.corpus import LENGTH, EasyVqa, FeatureStore, lesson, tokenizer_texts
from assets.pretraining.evaluate import CPU, examine, predict
from assets.pretraining.model.bundle import Whitening, build_model, export, fit_whitening, load_bundle
from assets.pretraining.model.packing import Encoder
from assets.pretraining.model.tokenizer import carry_over, train_tokenizer
from assets.pretraining.scenes.facts import Scene
from assets.pretraining.scenes.plan import plan_scene
from assets.pretraining.texts.english import read_glosses
from leaml.models.precision import autocast

BATCH = 8
PEAK_LEARNING_RATE = 1.2e-3
WARM_UP = 150
CELL_WEIGHT = 0.15
"""Of the summed losses of the cell heads, beside the decoder's loss."""
FALL = 0.2
"""Share of the steps over which the learning rate falls to zero."""


def learning_rate(step: int, steps: int) -> float:
    """Return the learning rate of a step."""
    left = (steps - step) / (FALL * steps)
    return PEAK_LEARNING_RATE * min(1.0, (step + 1) / WARM_UP, max(left, 0.0))


@dataclass(frozen=True)
class Trained:
    """What is trained together: the model, the heads that read its image tokens, and what both stand on."""

    model: FastVlmForConditionalGeneration
    whitening: Whitening
    heads: CellHeads


def build_optimizers(trained: Trained) -> tuple[torch.optim.Optimizer, ...]:
    """Return Muon for the matrices of decoder and projector, and AdamW for embeddings, heads, norms and biases."""
    inside = (trained.model.model.language_model.layers, trained.model.model.multi_modal_projector)
    matrices = [p for part in inside for p in part.parameters() if p.ndim == 2]
    taken = {id(p) for p in matrices}
    whole = (*trained.model.parameters(), *trained.heads.parameters())
    others = [p for p in whole if p.requires_grad and id(p) not in taken]
    groups: list[dict[str, Any]] = [
        {"params": [p for p in others if p.ndim > 1], "weight_decay": 0.05},
        {"params": [p for p in others if p.ndim < 2], "weight_decay": 0.0},
    ]
    muon = torch.optim.Muon(matrices, weight_decay=0.05, adjust_lr_fn="match_rms_adamw")
    return muon, torch.optim.AdamW(groups, betas=(0.9, 0.97), eps=1e-8, fused=True)


def compile_decoder(model: FastVlmForConditionalGeneration) -> None:
    """Compile the decoder's blocks for sequences of the usual length; others run as they are.

    Of a step on two cores this and attention as plain products (the fused one reads a mask badly) leave two thirds.
    """
    model.set_attn_implementation("eager")
    for block in model.model.language_model.layers:
        block.compile()


def wait_for_features(work: Path, *, shards: int) -> FeatureStore:
    """Return the store once it has a few shards."""
    store = FeatureStore(work)
    while len(store.shards) < shards:
        time.sleep(5)
        store.refresh()
    return store


def prepare_tokenizer(options: argparse.Namespace, glosses: list[tuple[str, str]]) -> PreTrainedTokenizerFast:
    """Return the tokenizer of `--start`, or that of the work folder, trained there on the first call."""
    folder = options.start if options.start and not options.new_tokenizer else options.work / "tokenizer"
    if not folder.exists():
        train_tokenizer(tokenizer_texts(glosses)).save_pretrained(folder)
    return PreTrainedTokenizerFast.from_pretrained(folder)


def append_log(path: Path, line: dict[str, float]) -> None:
    """Add one line to the CSV log (columns: step, measure, value)."""
    fresh = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.writer(file)
        if fresh:
            writer.writerow(["step", "minutes", "measure", "value"])
        step, minutes = int(line.pop("step")), line.pop("minutes")
        writer.writerows([step, round(minutes, 2), name, round(value, 4)] for name, value in line.items())


def parse_arguments() -> argparse.Namespace:
    """Return the command line's options."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True, help="folder of the feature shards and checkpoints")
    parser.add_argument("--out", type=Path, required=True, help="folder that the finished model is written to")
    parser.add_argument("--log", type=Path, required=True, help="CSV of every figure")
    parser.add_argument("--english", type=Path, help="folder with WordNet's data.* files (Debian wordnet-base)")
    parser.add_argument(
        "--new-tokenizer", action="store_true", help="train one, and carry the embeddings of --start over"
    )
    parser.add_argument("--start", type=Path, help="folder of an earlier model to train further")
    parser.add_argument(
        "--seed", type=int, default=3, help="of the draws; another one for each part of a longer training"
    )
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--align-steps", type=int, default=2_000, help="of the projector alone, before the decoder")
    parser.add_argument("--copy-steps", type=int, default=1_000, help="of the decoder on text alone, to learn copying")
    parser.add_argument("--steps", type=int, default=1_200)
    parser.add_argument("--evaluate-every", type=int, default=300)
    parser.add_argument("--shrink", type=float, default=0.02, help="of the whitening; 1e6 switches it off")
    parser.add_argument("--name", default="state", help="of the checkpoint in the work folder")
    return parser.parse_args()


def start(
    options: argparse.Namespace,
    store: FeatureStore,
    tokenizer: PreTrainedTokenizerFast,
    glosses: list[tuple[str, str]],
) -> Trained:
    """Return the model at step 0, new or that of `--start`: its projector knows the cells, its decoder can copy."""
    sample = np.concatenate([features[::4] for _, _, features in store.shards[:3]])
    whitening = fit_whitening(torch.from_numpy(sample.astype(np.float32)).flatten(0, 1), shrink=options.shrink)
    model = load_bundle(options.start, whitening) if options.start else build_model(tokenizer)
    if options.start and options.new_tokenizer:
        embeddings = model.get_input_embeddings().weight.data
        old = PreTrainedTokenizerFast.from_pretrained(options.start)
        embeddings.copy_(carry_over(embeddings, old, tokenizer))
    projector = model.model.multi_modal_projector
    heads = align(projector, whitening, store, steps=options.align_steps)
    accuracy = cell_accuracy(projector, heads, whitening, store)
    figures = {f"cells: {name}": value for name, value in accuracy.items()}
    curve = learn_to_copy(model, Encoder(tokenizer), glosses, steps=options.copy_steps)
    figures |= {f"copying: loss to step {100 * n}": value for n, value in enumerate(curve, start=1)}
    append_log(options.log, {"step": 0, "minutes": 0.0, **figures})
    return Trained(model, whitening, heads)


def main() -> None:
    """Train, resuming from the work folder's checkpoint if there is one."""
    options = parse_arguments()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    glosses = read_glosses(options.english) if options.english else []
    tokenizer = prepare_tokenizer(options, glosses)
    encoder, easy = Encoder(tokenizer), EasyVqa()
    store = wait_for_features(options.work, shards=3)

    state_path = options.work / f"{options.name}.pt"
    aligned_path = options.work / f"{options.name}_aligned.pt"
    if not aligned_path.exists():
        torch.save(start(options, store, tokenizer, glosses), aligned_path)
    state = torch.load(state_path, weights_only=False) if state_path.exists() else None
    trained: Trained = state["trained"] if state else torch.load(aligned_path, weights_only=False)
    model, projector = trained.model, trained.model.model.multi_modal_projector
    model.model.language_model.train()
    compile_decoder(model)
    optimizers = build_optimizers(trained)
    step, minutes = 0, 0.0
    if state:
        for optimizer, own in zip(optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(own)
        step, minutes = state["step"], state["minutes"]

    started, sums, count = time.monotonic() - 60 * minutes, np.zeros(2), 0
    while step < options.steps:
        rng = np.random.default_rng([step, options.seed])  # by step: a resumed run draws what an unbroken one would
        drawn = [store.draw(rng, scene=number == 0) for number in range(BATCH)]  # one at least has facts of cells
        sources = [(easy, row) if split == "easyvqa" else plan_scene(row) for split, row, _ in drawn]
        batch = encoder.pack([lesson(rng, encoder, source, glosses) for source in sources], length=LENGTH)
        features = torch.from_numpy(np.stack([f for _, _, f in drawn])).float()
        planned = [n for n, source in enumerate(sources) if isinstance(source, Scene)]
        facts = torch.from_numpy(np.stack([cell_facts(sources[n]) for n in planned]))

        for group in (group for optimizer in optimizers for group in optimizer.param_groups):
            group["lr"] = learning_rate(step, options.steps)
        with autocast(CPU):
            images = projector(trained.whitening(features))
            logits = predict(model, images, batch)
            cell_loss = trained.heads.loss(images[planned], facts)
        losses = functional.cross_entropy(logits.float(), batch.targets, reduction="none")
        loss = (losses * batch.weights).sum() / batch.weights.sum()
        (loss + CELL_WEIGHT * cell_loss).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        torch.compiler.set_stance("eager_on_recompile")
        step, sums, count = step + 1, sums + np.array([loss.item(), cell_loss.item()]), count + 1

        if step % 50 == 0:
            store.refresh()
            minutes = (time.monotonic() - started) / 60
            print(f"step {step} loss, cells {sums / count} minutes {minutes:.1f} images {len(store)}", flush=True)
        if step % options.evaluate_every == 0 or step == options.steps:
            minutes = (time.monotonic() - started) / 60
            scenes = 300 if step == options.steps else 80
            report = examine(model, trained.whitening, encoder, store.held_out(), count=scenes)
            figures = {"step": step, "minutes": minutes, "loss": sums[0] / count, "cell_loss": sums[1] / count}
            figures |= {"images": len(store), **report.line()}
            print(figures, flush=True)
            append_log(options.log, figures)
            sums, count = np.zeros(2), 0
            own = [optimizer.state_dict() for optimizer in optimizers]
            state = {"trained": trained, "optimizers": own, "step": step, "minutes": minutes}
            torch.save(state, state_path.with_suffix(".part"))
            state_path.with_suffix(".part").rename(state_path)
            export(model, trained.whitening, tokenizer, options.out)


if __name__ == "__main__":
    main()
