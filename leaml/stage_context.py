"""What a stage of a run works with: its settings, its frozen data, and where it leaves files."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from leaml.config import FinetuneConfig, GeneratorConfig, RunConfig
from leaml.errors import RunError
from leaml.report import Cancelled, Report
from leaml.snapshot import Snapshot, read_snapshot

GENERATOR_FILE = "generator.safetensors"
"""What training changed in a question generator, in a run's output."""
MODEL_FILE = "model.safetensors"
"""What fine-tuning changed, in a run's output."""
TESTED_FILE = "tested.json"
"""The run whose model this one only tests again; it lies in the run's output before its first stage."""
START_FILE = "start.safetensors"
"""The generator that fine-tuning starts from; it lies in the run's output before its first stage."""


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

    def progress(self, stage: str) -> Callable[[int, int], None]:
        """Return a function (done, all) that reports a stage's progress and stops it when asked to."""

        def tell(done: int, total: int) -> None:
            self.report.progress(stage, done, total)
            if self.report.cancelled():
                raise Cancelled

        return tell
