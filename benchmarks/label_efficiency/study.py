"""One draw of labels of one collection: its generators, its pseudo pairs, its models, each made once and kept.

The stages are the app's own (`leaml.pipeline`), run in this process on snapshots. What exists in the work folder is
not made again, so that a killed study goes on where it was.
"""

import random
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from benchmarks.label_efficiency.choices import choose_labels, guesses_of
from benchmarks.label_efficiency.collection import Collection
from benchmarks.label_efficiency.draws import doubtful_order, draw_labels, label_count, queue_order
from benchmarks.label_efficiency.methods import FULL, Budget, Method, Recipe
from leaml.config import RunConfig, generator_run, model_run
from leaml.labelling.experts import decide_by_reference
from leaml.models.backbone import Backbone, load, load_adapted
from leaml.models.features import ImageFeatures
from leaml.pipeline import run_stage
from leaml.prompts import normalise_answer
from leaml.records import Acceptance, AnsweredQuestion, Candidate, Prediction, Rejection
from leaml.selective import linear_weights, select
from leaml.snapshot import SnapshotTables, write_snapshot
from leaml.stage_context import GENERATOR_FILE, MODEL_FILE, START_FILE, StageContext
from leaml.store.acceptance import expected_acceptance
from leaml.store.audit import Decision
from leaml.tables import read_rows
from leaml.training.objectives import data_hash

JUDGE_FILE = "judge.safetensors"

Decided = tuple[Candidate, AnsweredQuestion | None]
"""A pseudo pair, and what the expert kept of it."""


class Silent:
    """Hears the stages' progress and says nothing."""

    def progress(self, stage: str, step: int, total: int, **figures: float) -> None:
        """Drop it."""

    def cancelled(self) -> bool:
        """Never stop."""
        return False


@dataclass(frozen=True)
class Outcome:
    """What a method reached.

    Attributes:
        predictions: Answers to the test questions, in the collection's order.
        labels: That it was trained on.
        seconds: Of its own stages, those of its generator included.
        pairs: Pairs that it was trained on, besides the labels.
        precision: Share of the unreviewed pairs among them whose answer is the reference's; None without such pairs.
        reviewed: Decisions of the expert.
    """

    predictions: list[Prediction]
    labels: int
    seconds: float
    pairs: int
    precision: float | None
    reviewed: int


@dataclass(frozen=True)
class Study:
    """One collection, one draw of labels, one seed of training.

    Attributes:
        collection: What is measured on.
        share: Of the pool's questions that are labelled.
        draw: Number of the draw of labels.
        seed: Of all training and sampling.
        budget: Updates of each training.
        work: A folder for everything that these base weights make.
    """

    collection: Collection
    share: float
    draw: int
    seed: int
    budget: Budget
    work: Path

    @cached_property
    def labels(self) -> list[AnsweredQuestion]:
        """The drawn labels."""
        pool = self.collection.pool
        return draw_labels(pool, label_count(pool, self.share), seed=self.draw)

    @property
    def folder(self) -> Path:
        """Where this study's files are."""
        cell = f"{self.share:g}_draw{self.draw}_seed{self.seed}"
        return self.work / self.collection.name / f"steps_{str(self.budget).replace('/', '_')}" / cell

    def key(self, method: Method, model: str) -> tuple[Any, ...]:
        """Return what `log.Run.key` is for a method's run on these base weights."""
        return (self.collection.name, self.share, self.draw, self.seed, method.name, str(self.budget), model)

    def run(self, method: Method) -> Outcome:
        """Train and test one method."""
        spent = 0.0  # whichever method made the generator, it takes its time once
        pseudo: list[Candidate] = []
        decided: list[Decided] = []
        if method.recipe is not None:
            for _ in range(method.pairs.rounds):
                generator = self._generator(method.recipe, decided)
                candidates, seconds = self._candidates(method.recipe, decided)
                spent += seconds
                order = queue_order if method.pairs.order == "queued" else doubtful_order
                shown = order(candidates)[: method.pairs.reviewed // method.pairs.rounds]
                decided += self._review(shown, method.pairs.error_rate)
            least, known = method.pairs.least_agreement, {row.id for row, _ in decided}
            if least is not None:
                pseudo = [row for row in candidates if row.id not in known and (row.agreement or 0.0) >= least]
        began = time.monotonic()
        labels, reviewed = self._labels(method), kept_of(decided)
        folder = self.folder / "models" / method.name.replace(" ", "_")
        settings = method.config(self.budget, seed=self.seed, pseudo=bool(pseudo), reviewed=bool(reviewed))
        config = model_run(settings)
        acceptance = expected_acceptance([as_decision(row, pair) for row, pair in decided], pseudo)
        context = self._context(folder, config, labels, decided=decided, pseudo=pseudo, acceptance=acceptance)
        if method.recipe is not None and method.starts_from == "generator":
            shutil.copy(generator / "output" / GENERATOR_FILE, context.output / START_FILE)
        for stage in config.stages:
            run_stage(stage, context)
        predictions = read_rows(context.output / "predictions.parquet", Prediction)
        seconds = spent + time.monotonic() - began
        shutil.rmtree(folder)  # its weights are as large as the model's; the log keeps the answers
        pairs = len(pseudo) + len(reviewed)
        return Outcome(predictions, len(labels), seconds, pairs, self._precision(pseudo), len(decided))

    def _labels(self, method: Method) -> list[AnsweredQuestion]:
        """Return what the expert has answered before this method's training."""
        if method.moves == "none":
            return []
        if method.labels == "drawn":
            return self.labels
        if method.labels == "all":
            return list(self.collection.pool)
        count, home, cache = len(self.labels), self.collection, self.work / "features"
        model = load(FULL.config(self.budget, seed=self.seed).model)
        features = ImageFeatures(model, cache)
        features.add({image.id: home.folder / image.path for image in home.images if image.split == "pool"})
        if method.labels == "diverse":
            return choose_labels(home, [], count, seed=self.draw, cache=cache)
        half = self.labels[: count // 2]
        guesses = guesses_of(self._trained_on(half), features, home.pool)
        return choose_labels(home, half, count, seed=self.draw, cache=cache, guesses=guesses)

    def _trained_on(self, labels: Sequence[AnsweredQuestion]) -> Backbone:
        folder, config = self.folder / "models" / "half", model_run(FULL.config(self.budget, seed=self.seed))
        context = self._context(folder, config, labels)
        run_stage("finetune", context)
        trained = load_adapted(context.output / MODEL_FILE)
        shutil.rmtree(folder)
        return trained

    def _candidates(self, recipe: Recipe, decided: Sequence[Decided]) -> tuple[list[Candidate], float]:
        """Return the pseudo pairs of a generator that knows these decisions, and the seconds that its stages took."""
        folder = self._generator(recipe, decided)
        clock, config = folder / "seconds", generator_run(recipe.config(self.budget, seed=self.seed))
        if not clock.exists():
            began = time.monotonic()
            context = self._context(folder, config, self.labels, decided=decided)
            for stage in config.stages:
                if stage == "importance" and recipe.mask != "score" and recipe.row_budget is not None:
                    self._control(recipe, context)
                elif stage == "judge" and not decided and not recipe.continued:
                    self._first_judge(context)
                else:
                    run_stage(stage, context)
            clock.write_text(f"{time.monotonic() - began}")
        rows = read_rows(folder / "output" / "candidates.parquet", Candidate)
        return rows, float(clock.read_text())

    def _generator(self, recipe: Recipe, decided: Sequence[Decided]) -> Path:
        """Return the folder of a generator that knows these decisions."""
        return self.folder / "generators" / (recipe.name + (f"_after_{len(decided)}" if decided else ""))

    def _first_judge(self, context: StageContext) -> None:
        """Train the judge of the first round once for each kind of flips: it knows nothing of the generator."""
        flips = context.generator.judge.flips
        kept = self.folder / (JUDGE_FILE if flips == "none" else f"{flips}_{JUDGE_FILE}")
        own = context.output / JUDGE_FILE
        if kept.exists():
            shutil.copy(kept, own)
        else:
            run_stage("judge", context)
            shutil.copy(own, kept)

    def _control(self, recipe: Recipe, context: StageContext) -> None:
        """Choose neurons by chance or by the weights' size, in place of the score."""
        assert recipe.row_budget is not None
        backbone = load(context.generator.model)
        weights = linear_weights(backbone.model, within=backbone.decoder).weights
        generator = torch.Generator().manual_seed(self.seed)
        ranks = {
            name: torch.rand(weight.shape, generator=generator) if recipe.mask == "random" else weight.detach().abs()
            for name, weight in weights.items()
        }
        chosen = select(
            [ranks], recipe.row_budget, base_hash=backbone.resident.base_hash, data_hash=data_hash(self.labels)
        )
        chosen.save(context.output / "selection.safetensors")

    def _review(self, candidates: Sequence[Candidate], error_rate: float) -> list[Decided]:
        """Return each pair with what an expert keeps: itself, itself with the reference's answer, or nothing.

        An erring expert accepts a wrong answer, or puts another in place of a right one.
        """
        answers = {(pair.image_id, normalise_answer(pair.question)): pair for pair in self.collection.pool}
        chance, kept = random.Random(self.seed), list[Decided]()
        for row in candidates:
            review = decide_by_reference(row, answers.get((row.image_id, normalise_answer(row.question))), "expert")
            if review.action == "reject":
                kept.append((row, None))
                continue
            pair = review.pair
            if chance.random() < error_rate:
                wrong = [option for option in row.options if option != pair.answer]
                pair = replace(pair, answer=row.answer if row.answer != pair.answer else chance.choice(wrong))
            kept.append((row, pair))
        return kept

    def _precision(self, pseudo: Sequence[Candidate]) -> float | None:
        answers = {(pair.image_id, pair.question): normalise_answer(pair.answer) for pair in self.collection.pool}
        known = [
            (row, answers[row.image_id, row.question]) for row in pseudo if (row.image_id, row.question) in answers
        ]
        if not known:
            return None
        return sum(normalise_answer(row.answer) == reference for row, reference in known) / len(known)

    def _context(
        self,
        folder: Path,
        config: RunConfig,
        labels: Sequence[AnsweredQuestion],
        *,
        decided: Sequence[Decided] = (),
        pseudo: Sequence[Candidate] = (),
        acceptance: Sequence[Acceptance] = (),
    ) -> StageContext:
        """Return an empty run folder with its snapshot; what a killed run left there is dropped."""
        shutil.rmtree(folder, ignore_errors=True)
        output, checkpoints = folder / "output", folder / "checkpoints"
        for path in (output, checkpoints):
            path.mkdir(parents=True)
        home, reviewed = self.collection, kept_of(decided)
        rejected = [
            Rejection(row.image_id, row.question, row.answer, "not useful") for row, pair in decided if pair is None
        ]
        tables = SnapshotTables(
            home.images, labels, home.captions, reviewed, pseudo, home.types, home.test, acceptance, rejected=rejected
        )
        write_snapshot(tables, folder / "snapshot", workspace=home.folder)
        return StageContext(config, folder / "snapshot", output, checkpoints, self.work / "features", Silent())


def kept_of(decided: Sequence[Decided]) -> list[AnsweredQuestion]:
    """Return what the expert kept, as it was accepted or edited."""
    return [pair for _, pair in decided if pair is not None]


def as_decision(row: Candidate, kept: AnsweredQuestion | None) -> Decision:
    """Return an expert's decision about a pair as the acceptance model reads it."""
    accepted = kept is not None and kept.answer == row.answer
    return Decision(row.image_id, row.type_id, row.log_probability, row.agreement, row.margin, accepted, audited=False)
