"""Captions that are read beside the image: prompts, blank images, and a whole run; answers of the judge."""

from collections import Counter
from dataclasses import replace

import pytest
from PIL import Image

from benchmarks.label_efficiency.collection import Collection, blood_smears
from benchmarks.label_efficiency.methods import SYNTHESIZER, Budget
from benchmarks.label_efficiency.study import Study
from leaml.config import GeneratorConfig, SamplingConfig
from leaml.errors import ConfigError
from leaml.pairs.generate import candidates
from leaml.pairs.quality import ValidPair
from leaml.prompts import GENERATION_PROMPT, ParsedPair, described, question_prompt
from leaml.records import AnsweredQuestion, Caption, ImageId, RunId
from leaml.tables import read_rows
from leaml.teacher.config import TeacherConfig
from leaml.training.objectives import Sample, answer_sample, generation_sample
from leaml.training.reading import BLANK, blank_picture, some_blank

PAIR = AnsweredQuestion(ImageId("i"), "Which side?", ("left", "right"), "left")


def test_a_description_stands_before_the_question():
    asked = question_prompt(PAIR.question, PAIR.options)
    assert answer_sample(PAIR).prompt == asked == described("", asked)
    assert described("A disc on the left. ", asked) == f"Description: A disc on the left. {asked}"
    assert generation_sample(PAIR, "A disc.").prompt == f"Description: A disc. {GENERATION_PROMPT}"
    assert generation_sample(PAIR, "A disc.").target == generation_sample(PAIR).target


def test_a_tenth_of_the_images_is_blank_and_the_same_ones_at_each_step(tmp_path):
    samples = [Sample(ImageId(f"{n}"), "?", "a") for n in range(50)]
    steps = [some_blank(samples, seed=1, step=step) for step in range(40)]
    assert steps[3] == some_blank(samples, seed=1, step=3) != some_blank(samples, seed=2, step=3)
    found = Counter(sample.image_id == BLANK for row in steps for sample in row)
    assert 0.07 < found[True] / found.total() < 0.13
    with Image.open(blank_picture(tmp_path)) as picture:
        assert picture.getextrema() == ((255, 255),) * 3


def test_the_judge_can_give_the_answer():
    valid = ValidPair(PAIR.image_id, ParsedPair(PAIR.question, PAIR.options, "left"), None, -1.0)
    own, judged = (
        candidates([valid], [(0.2, 0.8)], run_id=RunId("r"), round_number=1, answered_by=who)[0]
        for who in ("generator", "judge")
    )
    assert (own.answer, own.agreement) == ("left", 0.2) and (judged.answer, judged.agreement) == ("right", 0.8)
    with pytest.raises(ConfigError, match="generator or judge"):
        GeneratorConfig(answered_by="teacher")  # type: ignore[arg-type]


def test_a_server_is_given_no_captions_to_read():
    server = TeacherConfig(source="server", url="http://localhost:8000/v1", model="generator")
    with pytest.raises(ConfigError, match="generator_reads is True, but must be off"):
        GeneratorConfig(generator_reads=True, sampling=SamplingConfig(server=server))


@pytest.fixture(scope="module")
def few() -> Collection:
    """A few images of the sample."""
    sample = blood_smears()
    images = tuple(image for image in sample.images if image.split == "pool")[:14]
    ids = {image.id for image in images}
    mine = tuple(pair for pair in sample.references if pair.image_id in ids)
    return replace(
        sample, images=images, references=mine, captions=tuple(c for c in sample.captions if c.image_id in ids)
    )


def test_labelled_images_need_captions_too(few, tmp_path):
    study = Study(few, 0.05, 0, 0, Budget(generator=5, judge=5, finetune=5, samples=1), tmp_path)
    study._candidates(SYNTHESIZER, [])
    told = read_rows(study.folder / "generators" / SYNTHESIZER.name / "output" / "captions.parquet", Caption)
    assert {row.image_id for row in told} == {caption.image_id for caption in few.captions}
    assert {label.image_id for label in study.labels} & {row.image_id for row in told}
