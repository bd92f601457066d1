"""The stages, each a function from (config, snapshot) to files in the run's `output/`.

captions -> importance -> generator -> judge -> sample make pseudo pairs; finetune -> evaluate make a model.
A stage reads what earlier stages of its own run left, and the snapshot; never the store. Interrupted training goes
on from its checkpoint; a finished stage is not run again (the worker sees to that).
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig as PeftLoraConfig
from peft import get_peft_model
from safetensors.torch import load_file, save_file
from torch import nn

from leaml import stats
from leaml.backbone import Backbone, autocast, load
from leaml.config import FinetuneConfig, GeneratorConfig, LoraConfig, RunConfig, TrainConfig
from leaml.errors import RunError, TrainingError
from leaml.evaluate import predict
from leaml.features import ImageFeatures
from leaml.generate import as_question, candidates, option_probabilities, sample_texts
from leaml.objectives import (
    Sample,
    answer_sample,
    caption_sample,
    collate,
    cycle_indices,
    generation_sample,
    sequence_losses,
)
from leaml.quality import PairChecker, choose_pairs
from leaml.records import AnsweredQuestion, Candidate, Caption, ImageId, Prediction, RunId
from leaml.selective import SelectedAdamW, mask_summary, mean_gradient_scores, realised_density, select_rows
from leaml.snapshot import Snapshot, read_snapshot
from leaml.tables import read_rows, write_rows
from leaml.teacher import recorded_captions
from leaml.training import Cancelled, DenseAdamW, Loss, Optimizer, Report, train

__all__ = ["Cancelled", "Report", "StageContext", "run_stage"]

SCORE_BATCH = 16


@dataclass(frozen=True)
class StageContext:
    """What a stage works with.

    Attributes:
        config: The run's settings.
        snapshot_dir: Labels, captions, pairs and images as they were when the run was asked for.
        output: Where stages leave files.
        checkpoints: Where training keeps its state.
        cache: Image features, shared by all runs of a workspace.
        report: Hears progress, and knows whether to stop.
    """

    config: RunConfig
    snapshot_dir: Path
    output: Path
    checkpoints: Path
    cache: Path
    report: Report

    @cached_property
    def snapshot(self) -> Snapshot:
        """The run's frozen data, checked against its hashes."""
        return read_snapshot(self.snapshot_dir)

    @property
    def generator(self) -> GeneratorConfig:
        """The settings of a run that makes pseudo pairs."""
        if self.config.generator is None:
            raise RunError("This run has no generator settings. Start a new run.")
        return self.config.generator

    @property
    def finetune(self) -> FinetuneConfig:
        """The settings of a run that makes a model."""
        if self.config.finetune is None:
            raise RunError("This run has no fine-tuning settings. Start a new run.")
        return self.config.finetune

    @property
    def unlabelled(self) -> dict[ImageId, Path]:
        """D_u: the pool's images without a label."""
        labelled = {label.image_id for label in self.snapshot.labels}
        return {image_id: path for image_id, path in self.snapshot.images.items() if image_id not in labelled}

    def progress(self, stage: str) -> Callable[[int, int], None]:
        """Return a function (done, all) that reports a stage's progress and stops it when asked to."""

        def tell(done: int, total: int) -> None:
            self.report.progress(stage, done, total)
            if self.report.cancelled():
                raise Cancelled

        return tell


def run_stage(name: str, context: StageContext) -> None:
    """Run one stage of `leaml.config.STAGES`.

    Raises:
        LeamlError: With a sentence for the person who started the run.
        Cancelled: If the run was asked to stop.
    """
    STAGE_FUNCTIONS[name](context)


def collect_captions(context: StageContext) -> None:
    """Write the teacher's captions of unlabelled images: `captions.parquet`."""
    found = recorded_captions(context.snapshot.captions, unlabelled=context.unlabelled)
    write_rows(context.output / "captions.parquet", found, Caption)
    context.progress("captions")(len(found), len(context.unlabelled))


def choose_neurons(context: StageContext) -> None:
    """Score the decoder's weights on the labels and keep the top of each row: `importance.safetensors` (Eqs. 5, 6)."""
    if context.generator.selection is None:
        return
    labels = _labels(context)
    backbone, features = _open(context, context.generator.model, {label.image_id for label in labels})
    samples = [generation_sample(label) for label in labels]
    weights = {name: layer.weight for name, layer in backbone.decoder_linears().items()}
    tell = context.progress("importance")

    def batches() -> Any:
        for start in range(0, len(samples), SCORE_BATCH):
            part = samples[start : start + SCORE_BATCH]
            yield part, len(part)
            tell(start + len(part), len(samples))

    def loss(part: Sequence[Sample]) -> torch.Tensor:
        with autocast(backbone.device):
            return sequence_losses(backbone, collate(backbone, features, part))[0].mean()

    scores = mean_gradient_scores(weights, batches(), loss)
    masks = {name: select_rows(score, context.generator.selection.row_budget) for name, score in scores.items()}
    save_file(masks, context.output / "importance.safetensors")
    summary = {"density": realised_density(masks), "modules": mask_summary(scores, masks)}
    _write_json(context.output / "mask_summary.json", summary)


def train_generator(context: StageContext) -> None:
    """Train the question generator by L_G = L_QA + lambda L_C on the chosen neurons (Eq. 4): `generator/`."""
    config = context.generator
    questions = [generation_sample(label) for label in _labels(context)]
    captions = [caption_sample(row) for row in read_rows(context.output / "captions.parquet", Caption)]
    if config.caption_weight == 0:
        captions = []
    backbone, features = _open(context, config.model, {s.image_id for s in questions + captions})
    optimizer = _generator_optimizer(context, backbone)
    half = config.train.batch_size // 2 if captions else config.train.batch_size

    def loss_of_step(step: int) -> Loss:
        asked = [questions[i] for i in cycle_indices(len(questions), half, seed=config.train.seed, step=step)]
        told = []
        if captions:
            chosen = cycle_indices(len(captions), config.train.batch_size - half, seed=config.train.seed + 1, step=step)
            told = [captions[i] for i in chosen]
        losses, tokens = sequence_losses(backbone, collate(backbone, features, asked + told))
        question_loss = losses[: len(asked)].mean()
        figures = {"question_loss": _per_token(losses[: len(asked)], tokens[: len(asked)])}
        if not told:
            return question_loss, figures
        figures["caption_loss"] = _per_token(losses[len(asked) :], tokens[len(asked) :])
        return question_loss + config.caption_weight * losses[len(asked) :].mean(), figures

    figures = _train(context, "generator", optimizer, loss_of_step, config.train, backbone)
    backbone.save(context.output / "generator")
    _write_json(context.output / "generator.json", {"trained_entries": optimizer.selected, **figures})


def train_judge(context: StageContext) -> None:
    """Train a VQA model on the labels alone; it scores the agreement of pseudo pairs: `judge/`."""
    config = context.generator
    labels = _labels(context)
    backbone, features = _open(context, config.model, {label.image_id for label in labels})
    optimizer = DenseAdamW(backbone.decoder.parameters(), weight_decay=config.judge.weight_decay)
    loss = partial(_answer_loss, backbone, features, [answer_sample(label) for label in labels], config.judge)
    _train(context, "judge", optimizer, loss, config.judge, backbone)
    backbone.save(context.output / "judge")


def sample_pairs(context: StageContext) -> None:
    """Write pseudo pairs of the unlabelled images with their scores: `candidates.parquet`, `sample_report.json`."""
    images = context.unlabelled
    if not images:
        raise RunError("Every pool image is labelled already: there is nothing left to write questions for.")
    generator, features = _open(context, str(context.output / "generator"), images)
    texts = sample_texts(generator, features, list(images), context.generator.sampling, context.progress("sample"))
    checker = PairChecker(context.snapshot.question_types, context.snapshot.labels)
    pairs, refused = choose_pairs(checker, texts)
    judge = load(str(context.output / "judge"))
    questions = [as_question(pair) for pair in pairs]
    probabilities = option_probabilities(judge, features, questions, context.progress("sample"))
    run_id = RunId(context.output.parent.name)
    rows = candidates(pairs, probabilities, run_id=run_id, round_number=context.generator.round)
    write_rows(context.output / "candidates.parquet", rows, Candidate)
    report = {"images": len(images), "generated": len(texts), "kept": len(rows), "turned_down": refused}
    _write_json(context.output / "sample_report.json", report)


def finetune(context: StageContext) -> None:
    """Train one VQA model from the pretrained checkpoint: `model/` (nothing for the zero-shot method)."""
    config = context.finetune
    if config.method == "zero_shot":
        context.progress("finetune")(1, 1)
        return
    samples = [answer_sample(pair) for pair in _training_pairs(context)]
    backbone, features = _open(context, config.model, {sample.image_id for sample in samples})
    if config.method == "lora":
        adapted = _add_lora(backbone, config.lora, seed=config.train.seed)
        trained: list[nn.Parameter] = [p for name, p in adapted.named_parameters() if "lora_" in name]
    else:
        adapted, trained = None, list(backbone.decoder.parameters())
    optimizer = DenseAdamW(trained, weight_decay=config.train.weight_decay)
    loss = partial(_answer_loss, backbone, features, samples, config.train)
    figures = _train(context, "finetune", optimizer, loss, config.train, backbone)
    if adapted is not None:
        adapted.merge_and_unload()
    backbone.save(context.output / "model")
    _write_json(
        context.output / "training.json",
        {"samples": len(samples), "trained_entries": optimizer.selected, **figures},
    )


def evaluate(context: StageContext) -> None:
    """Ask the model the test questions: `predictions.parquet` and `evaluation.json`."""
    questions = context.snapshot.evaluation
    if not questions:
        raise RunError("There are no test questions with reference answers. Add reference answers to test images.")
    trained = context.output / "model"
    name = str(trained) if trained.exists() else context.finetune.model
    backbone = load(name)
    features = ImageFeatures(backbone, context.cache)
    wanted = {question.image_id for question in questions}
    features.add({image_id: path for image_id, path in context.snapshot.test_images.items() if image_id in wanted})
    predictions = predict(backbone, features, questions, context.progress("evaluate"))
    write_rows(context.output / "predictions.parquet", predictions, Prediction)
    by_type = {type_id: asdict(row) for type_id, row in stats.accuracy_by_type(predictions).items()}
    report = {"macro": asdict(stats.macro_accuracy(predictions)), "by_type": by_type, "questions": len(predictions)}
    _write_json(context.output / "evaluation.json", report)


STAGE_FUNCTIONS: dict[str, Callable[[StageContext], None]] = {
    "captions": collect_captions,
    "importance": choose_neurons,
    "generator": train_generator,
    "judge": train_judge,
    "sample": sample_pairs,
    "finetune": finetune,
    "evaluate": evaluate,
}


def _labels(context: StageContext) -> tuple[AnsweredQuestion, ...]:
    if not context.snapshot.labels:
        raise TrainingError("There are no labels yet. Label some images first: 40 are a good start.")
    return context.snapshot.labels


def _training_pairs(context: StageContext) -> list[AnsweredQuestion | Candidate]:
    """Return D_l and what the method adds to it.

    Raises:
        TrainingError: If the method needs pairs that are not there.
    """
    labels, snapshot, method = _labels(context), context.snapshot, context.finetune.method
    if method == "leaml":
        if not snapshot.pseudo:
            raise TrainingError("There are no pseudo pairs yet. Train the generator first.")
        return [*labels, *snapshot.pseudo, *snapshot.reviewed]
    if method == "leaml_reviewed":
        if not snapshot.reviewed:
            raise TrainingError("No pseudo pair has been accepted yet. Review some first.")
        return [*labels, *snapshot.reviewed]
    return list(labels)


def _open(context: StageContext, model: str, image_ids: Any) -> tuple[Backbone, ImageFeatures]:
    """Return a model and the features of these pool images."""
    backbone = load(model)
    features = ImageFeatures(backbone, context.cache)
    features.add({image_id: context.snapshot.images[image_id] for image_id in sorted(image_ids)})
    return backbone, features


def _generator_optimizer(context: StageContext, backbone: Backbone) -> SelectedAdamW | DenseAdamW:
    decay = context.generator.train.weight_decay
    if context.generator.selection is None:
        return DenseAdamW(backbone.decoder.parameters(), weight_decay=decay)
    masks = load_file(context.output / "importance.safetensors")
    weights = {name: layer.weight for name, layer in backbone.decoder_linears().items()}
    return SelectedAdamW(weights, masks, weight_decay=decay)


def _add_lora(backbone: Backbone, config: LoraConfig, *, seed: int) -> Any:
    """Put LoRA adapters on every linear layer of the decoder, in place; return PEFT's wrapper of the decoder."""
    torch.manual_seed(seed)
    settings = PeftLoraConfig(
        r=config.rank, lora_alpha=config.alpha, lora_dropout=0.0, target_modules=list(backbone.decoder_linears())
    )
    return get_peft_model(backbone.decoder, settings)


def _answer_loss(
    backbone: Backbone, features: ImageFeatures, samples: Sequence[Sample], config: TrainConfig, step: int
) -> Loss:
    """Return L_VQA of one step's batch: the mean over samples of the answers' negative log-likelihood (Eq. 3)."""
    chosen = cycle_indices(len(samples), config.batch_size, seed=config.seed, step=step)
    losses, tokens = sequence_losses(backbone, collate(backbone, features, [samples[i] for i in chosen]))
    return losses.mean(), {"answer_loss": _per_token(losses, tokens)}


def _train(
    context: StageContext,
    stage: str,
    optimizer: Optimizer,
    loss_of_step: Callable[[int], Loss],
    config: TrainConfig,
    backbone: Backbone,
) -> dict[str, float]:
    return train(
        stage,
        optimizer,
        loss_of_step,
        config,
        checkpoints=context.checkpoints,
        report=context.report,
        device=backbone.device,
    )


def _per_token(losses: torch.Tensor, tokens: torch.Tensor) -> float:
    """Return nats a token, for people to read."""
    return float(losses.detach().sum() / tokens.sum())


def _write_json(path: Path, value: Any) -> None:
    aside = path.with_name(f".{path.name}.partial")
    aside.write_text(json.dumps(value, indent=1))
    aside.replace(path)
