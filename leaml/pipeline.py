"""The stages, each a function from (config, snapshot) to files in the run's `output/`.

captions -> importance -> generator -> judge -> sample make pseudo pairs; finetune -> evaluate make a model.
A stage reads what earlier stages of its own run left, and the snapshot; never the store. Interrupted training goes
on from its checkpoint, sampling after the texts that are written; a finished stage is not run again (the worker sees
to that).
"""

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path

from leaml import stats
from leaml.config import FinetuneConfig, GeneratorConfig, LoraConfig, MixtureConfig, TrainConfig
from leaml.errors import RunError, TrainingError
from leaml.evaluate import predict
from leaml.jobs.files import write_json
from leaml.models.backbone import Backbone, load, load_adapted
from leaml.models.decoding import option_probabilities
from leaml.models.features import ImageFeatures
from leaml.models.precision import dtype_of
from leaml.pairs.decided import REJECTED
from leaml.pairs.generate import (
    NO_CAPTIONS,
    Captions,
    as_question,
    candidates,
    sample_texts,
    score_texts,
    with_room,
)
from leaml.pairs.quality import PairChecker, SampledText, choose_pairs
from leaml.pairs.sample_by_server import sample_by_server
from leaml.records import AnsweredQuestion, Candidate, Caption, ImageId, Prediction, RunId
from leaml.selective import Delta, Selection, linear_weights
from leaml.stage_context import GENERATOR_FILE, MODEL_FILE, START_FILE, StageContext
from leaml.tables import read_rows, write_rows
from leaml.teacher.ask import Teacher
from leaml.teacher.recorded import recorded_captions
from leaml.training.buckets import tokens_at_once
from leaml.training.flips import WAYS
from leaml.training.mixture import mix
from leaml.training.objectives import (
    answer_sample,
    caption_sample,
    data_hash,
    generation_sample,
)
from leaml.training.passes import Side, for_passes, generator_sides, tell_read
from leaml.training.reading import BLANK, blank_picture
from leaml.training.step_losses import answer_losses, generator_losses
from leaml.training.train import Loss, train
from leaml.training.updates import (
    Update,
    choose_entries,
    full_update,
    scored_at_once,
    selective_update,
    started_from,
)

SAMPLED_FILE, SAMPLED_BY_SERVER_FILE = "sampled.jsonl", "sampled_by_server.jsonl"
"""What a generator has written so far, here or on a server, in a run's checkpoints."""


def run_stage(name: str, context: StageContext) -> None:
    """Run one stage of `leaml.config.STAGES`.

    Raises:
        LeamlError: With a sentence for the person who started the run.
        Cancelled: If the run was asked to stop.
    """
    STAGE_FUNCTIONS[name](context)


def collect_captions(context: StageContext) -> None:
    """Write the teacher's captions: `captions.parquet`. Of unlabelled images, and of all where they are read."""
    if "sample" in context.config.stages:
        _to_write_about(context)  # says so before the training where there are none
    config, tell = context.generator.teacher, context.progress("captions")
    images = context.snapshot.images if context.generator.generator_reads else context.snapshot.unlabelled
    if config.source == "recorded":
        found = recorded_captions(context.snapshot.captions, images=images)
        tell(len(found), len(images))
    else:
        teacher = Teacher(config, known=context.snapshot.captions, cache=context.cache, output=context.output)
        found = teacher.captions(images, tell=tell, cancelled=context.report.cancelled)
    write_rows(context.output / "captions.parquet", found, Caption)


def choose_neurons(context: StageContext) -> None:
    """Score the decoder's weights on people's answers; keep the top of each row: `selection.safetensors` (Eq. 5, 6)."""
    if context.generator.selection is None:
        return
    answered = _answered(context)
    backbone, features = _open(context, context.generator, {pair.image_id for pair in answered})
    targets, train = linear_weights(backbone.model, within=backbone.decoder), context.generator.train
    if train.checkpoint_activations:
        backbone.checkpoint_activations()
    selection = choose_entries(
        backbone,
        features,
        [generation_sample(pair) for pair in answered],
        context.generator.selection,
        weights=targets.weights,
        data_hash=data_hash(answered),
        at_once=scored_at_once(train),
        tell=context.progress("importance"),
    )
    selection.save(context.output / "selection.safetensors")
    modules = [asdict(row) for row in selection.summary]
    summary = {"density": selection.density, "modules": modules, "skipped": targets.skipped}
    write_json(context.output / "mask_summary.json", summary)


def train_generator(context: StageContext) -> None:
    """Train the chosen neurons to ask questions, by L_G = L_QA + lambda L_C (Eq. 4): `generator.safetensors`."""
    config, read = context.generator, _captions(context) if context.generator.generator_reads else NO_CAPTIONS
    questions = [generation_sample(pair, read.get(pair.image_id, "")) for pair in _answered(context)]
    captions = [caption_sample(row) for row in _unlabelled_captions(context)] if config.caption_weight else []
    backbone, features = _open(context, config, {s.image_id for s in questions + captions})
    if read:
        features.add({BLANK: blank_picture(context.output)})
    if config.selection is None:
        update = full_update(backbone, weight_decay=config.train.weight_decay)
    else:
        selection = Selection.load(context.output / "selection.safetensors")
        update = selective_update(backbone, selection, weight_decay=config.train.weight_decay)
    losses = partial(generator_losses, backbone, features, questions, captions, config)
    sides = generator_sides(config.train, questions=len(questions), captions=len(captions))
    figures = _train(context, "generator", update, losses, config.train, backbone, sides)
    update.save(backbone, context.output / GENERATOR_FILE, model=config.model, **figures)


def train_judge(context: StageContext) -> None:
    """Train a VQA model on what people answered; it scores the agreement of pseudo pairs: `judge.safetensors`."""
    config = context.generator
    answered = _answered(context)
    backbone, features = _open(context, config, {pair.image_id for pair in answered})
    moves = partial(_judge_update, config, backbone)
    start = _start(context, GENERATOR_FILE if config.judge_starts_from == "generator" else None)
    update = started_from(start, backbone, moves)
    mixture = mix(answered, (), MixtureConfig())
    losses = partial(answer_losses, backbone, features, mixture, config.judge)
    _train(context, "judge", update, losses, config.judge, backbone, mixture.sides(config.judge))
    update.save(backbone, context.output / "judge.safetensors", model=config.model)


def sample_pairs(context: StageContext) -> None:
    """Write pseudo pairs of the unlabelled images with their scores: `candidates.parquet`, `sample_report.json`."""
    images = _to_write_about(context)
    generator = load_adapted(context.output / GENERATOR_FILE)
    features = _features(context, generator, images)
    config, tell = context.generator, context.progress("sample")
    texts = _sampled(context, generator, features, images)
    snapshot = context.snapshot
    checker = PairChecker(snapshot.question_types, _answered(context), snapshot.rejected, _labels(context))
    pairs, refused = choose_pairs(checker, texts)
    generator.resident.apply(Delta.load(context.output / "judge.safetensors"))
    questions = [as_question(pair) for pair in pairs]
    ways, tokens = WAYS[config.judge.flips], tokens_at_once(config.judge)
    probabilities = option_probabilities(generator, features, questions, tell, ways, tokens=tokens)
    run_id = RunId(context.output.parent.name)
    scored = candidates(pairs, probabilities, run_id=run_id, round_number=config.round, answered_by=config.answered_by)
    rows = [row for row in scored if checker.accepts(row)]  # the judge may have answered what was rejected
    refused += Counter({REJECTED: len(scored) - len(rows)})
    write_rows(context.output / "candidates.parquet", rows, Candidate)
    report = {"images": len(images), "generated": len(texts), "kept": len(rows), "turned_down": refused}
    write_json(context.output / "sample_report.json", report)


def finetune(context: StageContext) -> None:
    """Train one VQA model, from pretrained or the generator's weights: `model.safetensors`; nothing where zero-shot."""
    config = context.finetune
    if config.method == "zero_shot":
        context.progress("finetune")(1, 1)
        return
    captions = recorded_captions(context.snapshot.captions, images=context.snapshot.unlabelled)
    mixture = mix(*_training_pairs(context), config.mixture, captions, context.snapshot.acceptance)
    samples = mixture.samples
    backbone, features = _open(context, config, {sample.image_id for sample in samples})
    moves = partial(_finetune_update, context, backbone, features)
    start = _start(context, START_FILE if config.starts_from == "generator" else None)
    update = started_from(start, backbone, moves)
    losses = partial(answer_losses, backbone, features, mixture, config.train)
    figures = _train(context, "finetune", update, losses, config.train, backbone, mixture.sides(config.train))
    about = {"method": config.method, "moves": config.moves, "flips": config.train.flips, "samples": len(samples)}
    update.save(backbone, context.output / MODEL_FILE, model=config.model, **about, **figures)


def evaluate(context: StageContext) -> None:
    """Ask the model the test questions: `predictions.parquet` and `evaluation.json`.

    Raises:
        RunError: If there is no question, or the trained model is gone: the base model's answers are not its own.
    """
    questions = context.snapshot.evaluation
    if not questions:
        raise RunError("No question about test images is answered. Answer some for the test on the Label screen first.")
    config, trained = context.finetune, context.output / MODEL_FILE
    untrained = config.method == "zero_shot"
    if not untrained and not trained.exists():
        raise RunError(f"The model that this run was to test is gone: {trained} is not there. Train it in a new run.")
    backbone = load(config.model, dtype=dtype_of(config.precision)) if untrained else load_adapted(trained)
    features = ImageFeatures(backbone, context.cache)
    wanted = {question.image_id for question in questions}
    features.add({image_id: path for image_id, path in context.snapshot.test_images.items() if image_id in wanted})
    flips = "none" if untrained else config.train.flips  # the pretrained model knows of no mirrors
    tell, tokens = context.progress("evaluate"), tokens_at_once(config.train)
    predictions = predict(backbone, features, questions, tell, flips, tokens=tokens)
    write_rows(context.output / "predictions.parquet", predictions, Prediction)
    groups = context.snapshot.test_groups
    by_type = {type_id: asdict(row) for type_id, row in stats.accuracy_by_type(predictions, groups).items()}
    macro = stats.macro_accuracy(predictions, groups)
    report = {"macro": asdict(macro), "by_type": by_type, "questions": len(predictions)}
    write_json(context.output / "evaluation.json", report)


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


def _answered(context: StageContext) -> list[AnsweredQuestion]:
    """Return D_l as a generator reads it: the labels, and pairs of earlier rounds that people accepted or edited.

    Where an image's question has both, the label counts.
    """
    _labels(context)  # says so where there are none
    return context.snapshot.answered


def _to_write_about(context: StageContext) -> dict[ImageId, Path]:
    if not context.snapshot.unlabelled:
        raise RunError("Every pool image is labelled already: there is nothing left to write questions for.")
    return context.snapshot.unlabelled


def _captions(context: StageContext) -> Captions:
    """Return the captions of the run's images that there are."""
    return {row.image_id: row.text for row in read_rows(context.output / "captions.parquet", Caption)}


def _unlabelled_captions(context: StageContext) -> list[Caption]:
    """Return what L_C is taken over."""
    rows, unlabelled = read_rows(context.output / "captions.parquet", Caption), context.snapshot.unlabelled
    return [row for row in rows if row.image_id in unlabelled]


def _training_pairs(context: StageContext) -> tuple[list[AnsweredQuestion], list[Candidate]]:
    """Return the labels with the reviewed pairs that the method adds to them, and its unreviewed pairs.

    Raises:
        TrainingError: If the method needs pairs that are not there.
    """
    snapshot, method = context.snapshot, context.finetune.method
    if method == "leaml":
        if not (snapshot.pseudo or snapshot.reviewed):
            raise TrainingError("There is no pseudo pair that nobody has rejected. Train the generator first.")
        return _answered(context), list(snapshot.pseudo)
    if method == "leaml_reviewed":
        if not snapshot.reviewed:
            raise TrainingError("No pseudo pair has been accepted yet. Review some first.")
        return _answered(context), []
    return list(_labels(context)), []


def _sampled(
    context: StageContext, generator: Backbone, features: ImageFeatures, images: Mapping[ImageId, Path]
) -> list[SampledText]:
    """Return what the generator writes: here, or through the server that has it. What was written before is kept."""
    sampling = with_room(generator, context.generator.sampling, _answered(context))
    tell, stop, folder = context.progress("sample"), context.report.cancelled, context.checkpoints
    tokens = tokens_at_once(context.generator.train)
    if sampling.server is None:
        read, kept = _captions(context) if context.generator.generator_reads else NO_CAPTIONS, folder / SAMPLED_FILE
        return sample_texts(generator, features, list(images), sampling, tell, read, kept=kept, tokens=tokens)
    kept = folder / SAMPLED_BY_SERVER_FILE
    written = sample_by_server(images, sampling.server, sampling, tell=tell, cancelled=stop, kept=kept)
    texts = [(image_id, text) for image_id, found in written.items() for text in found]
    return score_texts(generator, features, texts, sampling.batch_size, tokens=tokens)


def _open(
    context: StageContext, config: GeneratorConfig | FinetuneConfig, image_ids: Iterable[ImageId]
) -> tuple[Backbone, ImageFeatures]:
    """Return a pretrained model, known by its weights before any training, and the features of these pool images."""
    backbone = load(config.model, dtype=dtype_of(config.precision))
    backbone.resident  # noqa: B018
    return backbone, _features(context, backbone, image_ids)


def _features(context: StageContext, backbone: Backbone, image_ids: Iterable[ImageId]) -> ImageFeatures:
    features = ImageFeatures(backbone, context.cache)
    features.add({image_id: context.snapshot.images[image_id] for image_id in sorted(image_ids)})
    return features


def _start(context: StageContext, name: str | None) -> Delta | None:
    """Return the generator of this file, to be gone on from; None where there is to be none."""
    if name is None:
        return None
    path = context.output / name
    if not path.exists():
        raise RunError(f"This run starts from a generator, and {path} is not there. Start a new run.")
    return Delta.load(path)


def _judge_update(config: GeneratorConfig, backbone: Backbone) -> Update:
    """Return what moves in the model that scores agreement."""
    decay = config.judge.weight_decay
    if config.judge_update == "lora":
        from leaml.training.adapters import lora_update  # PEFT is loaded only where it is needed

        return lora_update(backbone, LoraConfig(), weight_decay=decay, seed=config.judge.seed)
    return full_update(backbone, weight_decay=decay)


def _finetune_update(context: StageContext, backbone: Backbone, features: ImageFeatures) -> Update:
    """Return what moves in the fine-tuning; neurons are selected for answering the labelled questions."""
    config = context.finetune
    decay, seed = config.train.weight_decay, config.train.seed
    if config.moves in ("lora", "shira"):
        from leaml.training.adapters import lora_update, shira_update  # PEFT is loaded only where it is needed

        if config.moves == "lora":
            return lora_update(backbone, config.lora, weight_decay=decay, seed=seed)
        return shira_update(backbone, config.shira, weight_decay=decay, seed=seed)
    if config.moves == "full":
        return full_update(backbone, weight_decay=decay)
    chosen = context.output / "selection.safetensors"
    if chosen.exists():  # a run that goes on must not choose anew: rounding, or other threads, might choose others
        return selective_update(backbone, Selection.load(chosen), weight_decay=decay)
    labels = _labels(context)
    features.add({label.image_id: context.snapshot.images[label.image_id] for label in labels})
    weights = linear_weights(backbone.model, within=backbone.decoder).weights
    samples = [answer_sample(label) for label in labels]
    if config.train.checkpoint_activations:
        backbone.checkpoint_activations()
    selection = choose_entries(
        backbone,
        features,
        samples,
        config.selection,
        weights=weights,
        data_hash=data_hash(labels),
        at_once=scored_at_once(config.train),
    )
    selection.save(chosen)
    return selective_update(backbone, selection, weight_decay=decay)


def _train(
    context: StageContext,
    stage: str,
    update: Update,
    losses_of_step: Callable[[int], Sequence[Iterator[Loss]]],
    config: TrainConfig,
    backbone: Backbone,
    sides: Sequence[Side],
) -> dict[str, float]:
    """Train, for as many steps as the data takes, and note how much of it was read."""
    config = for_passes(config, sides)
    if config.checkpoint_activations:
        backbone.checkpoint_activations()
    if config.compile_blocks:
        os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(context.cache / "compiled"))
        backbone.compile_blocks()
    figures = train(
        stage,
        update.optimizer,
        losses_of_step,
        config,
        checkpoints=context.checkpoints,
        report=context.report,
        device=backbone.device,
    )
    tell_read(context.output, stage, config, sides)
    return figures
