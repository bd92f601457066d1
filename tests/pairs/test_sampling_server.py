"""Sampling through a real OpenAI-compatible server that has the merged generator: `transformers serve`."""

import json
from collections import Counter
from dataclasses import replace

import pytest
from scipy.stats import chi2_contingency

from leaml.cli import main
from leaml.config import GeneratorConfig, SamplingConfig, TrainConfig, generator_run
from leaml.errors import ConfigError, TeacherError
from leaml.freeze import freeze
from leaml.jobs import Jobs
from leaml.labelling.experts import label_from_references
from leaml.models.backbone import load_adapted
from leaml.models.features import ImageFeatures
from leaml.pairs.generate import sample_texts, score_texts
from leaml.pairs.sample_by_server import sample_by_server
from leaml.prompts import GENERATION_PROMPT, parse_pair
from leaml.snapshot import read_snapshot
from leaml.store import Store
from leaml.teacher.config import TeacherConfig
from tests.drawn import fill
from tests.runs import reports
from tests.teacher.servers import RealServer, completion, failing, small_server

SAMPLING = SamplingConfig(pairs_per_image=15, max_new_tokens=32, one_by_one=True)
TRAIN = TrainConfig(steps=24, batch_size=8, learning_rate=1e-2, warmup_steps=1)
GENERATOR = GeneratorConfig(train=TRAIN, judge=replace(TRAIN, steps=2), sampling=replace(SAMPLING, pairs_per_image=2))
LEAST_COUNT = 8
"""Outcomes that are seen less often, in both samples together, count as one: chi-square wants some of each."""


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    """A workspace whose run r0001 has trained a generator and a second opinion."""
    folder = tmp_path_factory.mktemp("sampling") / "workspace"
    fill(folder, pool=8, test=2)
    jobs = Jobs(folder / "runs")
    with Store.open(folder) as store:
        label_from_references(store, count=3, seed=0)
        config = generator_run(GENERATOR, until="judge").to_json()
        run_id = jobs.submit(config, lambda directory: freeze(store, directory))
        assert jobs.wait(run_id, timeout_s=500).name == "done", jobs.run(run_id).log_tail(30)
    return folder


@pytest.fixture(scope="module")
def merged(workspace):
    """The generator as an ordinary model, set to sample and to sample from all tokens."""
    folder = workspace.parent / "merged"
    assert main(("--workspace", str(workspace), "merge", "r0001", str(folder))) == 0
    settings = json.loads((folder / "generation_config.json").read_text())
    (folder / "generation_config.json").write_text(json.dumps({**settings, "do_sample": True, "top_k": 0}))
    return folder


@pytest.fixture(scope="module")
def server(merged):
    server = RealServer(merged.parent, merged)
    server.start()
    yield server
    server.kill()


def outcomes(texts):
    """Return what was asked and answered in each text; one outcome stands for all that are no pair."""
    pairs = map(parse_pair, texts)
    return [(pair.question, pair.options, pair.answer) if pair else None for pair in pairs]


def same_distribution(one, other):
    """Return the p-value of Pearson's chi-square test of homogeneity: two samples, rare outcomes taken together."""
    together = Counter(one) + Counter(other)
    kept = [outcome for outcome, count in together.items() if count >= LEAST_COUNT]
    table = [[sample.count(outcome) for outcome in kept] for sample in (one, other)]
    rest = [len(sample) - sum(row) for sample, row in zip((one, other), table, strict=True)]
    if sum(rest):
        table = [[*row, left] for row, left in zip(table, rest, strict=True)]
    return float(chi2_contingency(table).pvalue)


@pytest.mark.timeout(3600)
def test_the_server_writes_what_the_local_sampler_writes(workspace, merged, server):
    images = {path.stem: path for path in sorted((workspace / "images").iterdir())[:4]}
    asked = TeacherConfig("server", str(merged), server.url, concurrency=1, image_format="png")
    found = sample_by_server(images, asked, SAMPLING, tell=lambda done, total: None, cancelled=lambda: False)
    assert list(found) == list(images) and {len(texts) for texts in found.values()} == {15}
    by_server = outcomes(text for texts in found.values() for text in texts)
    generator = load_adapted(workspace / "runs" / "r0001" / "output" / "generator.safetensors")
    features = ImageFeatures(generator, workspace / "cache")
    features.add(images)

    def locally(**changes):
        config = replace(SAMPLING, **{"pairs_per_image": 30, "batch_size": 60, **changes})
        texts = sample_texts(generator, features, list(images), config, lambda done, total: None)
        return outcomes(sample.text for sample in texts)

    assert len(set(by_server)) > 2 and by_server.count(None) < len(by_server) / 2, "pairs, and several of them"
    assert same_distribution(by_server, locally()) > 0.001
    assert same_distribution(by_server, locally(temperature=3.0, pairs_per_image=10)) < 1e-6, (
        "the test can tell distributions apart"
    )


def test_a_run_goes_on_from_a_trained_generator_through_its_server(workspace, merged, server, capsys):
    options = ("--sampling-url", server.url, "--sampling-model", str(merged), "--sampling-one-by-one")
    assert main(("--workspace", str(workspace), "run", "sample", "--from", "r0001", *options)) == 0
    said = capsys.readouterr().out
    assert "r0002 is done" in said and "this computer, for" in said and "to write questions about." in said
    run = Jobs(workspace / "runs").run("r0002")
    assert run.config()["generator"]["sampling"]["server"]["url"] == server.url
    report = json.loads((run.path / "output" / "sample_report.json").read_text())
    labelled = {label.image_id for label in read_snapshot(run.path / "data").labels}
    assert report["images"] == 8 - len(labelled) and report["generated"] == 2 * report["images"]
    assert {report["stage"] for report in reports(run.path)} == {"sample"}, "nothing was trained again"
    with Store.open(workspace) as store:
        pairs = store.results.candidates()
        assert len(pairs) == report["kept"] > 0 and store.results.round() == 2
        assert all(pair.log_probability < 0 and pair.run_id == "r0002" for pair in pairs)


def test_a_text_is_as_probable_as_the_sampler_found_it(workspace):
    images = {path.stem: path for path in sorted((workspace / "images").iterdir())[:2]}
    generator = load_adapted(workspace / "runs" / "r0001" / "output" / "generator.safetensors")
    features = ImageFeatures(generator, workspace / "cache")
    features.add(images)
    samples = sample_texts(generator, features, list(images), SAMPLING, lambda done, total: None)
    whole = [sample for sample in samples if parse_pair(sample.text)]
    again = score_texts(generator, features, [(sample.image_id, sample.text) for sample in whole], batch_size=16)
    close = [abs(one.log_probability - other.log_probability) < 1e-3 for one, other in zip(whole, again, strict=True)]
    assert sum(close) >= 0.9 * len(close) > 0  # a text that was cut off, or tokenized otherwise, differs


def test_a_server_that_knows_n_is_asked_once_an_image(tmp_path):
    fill(tmp_path, pool=3, test=1)
    images = {path.stem: path for path in (tmp_path / "images").iterdir()}
    choices = [{"message": {"content": f"<q>Q{n}?<q><a>a<a>"}} for n in range(4)]
    config = SamplingConfig(top_p=0.8, temperature=0.7, seed=3)
    with small_server(lambda *_: (200, {}, {"choices": choices})) as (url, requests):
        asked = TeacherConfig("server", "g", url)
        found = sample_by_server(images, asked, config, tell=lambda *_: None, cancelled=lambda: False)
    assert {len(texts) for texts in found.values()} == {4} and len(requests) == len(images)
    bodies = [body for _, _, body in requests]
    assert {(body["n"], body["top_p"], body["temperature"], body["max_tokens"]) for body in bodies} == {
        (4, 0.8, 0.7, 72)
    }
    assert len({body["seed"] for body in bodies}) == len(images), "random numbers of its own for each image"
    assert {body["messages"][0]["content"][1]["text"] for body in bodies} == {GENERATION_PROMPT}


def test_one_failure_is_left_out_and_many_stop_with_the_servers_words(tmp_path):
    fill(tmp_path, pool=9, test=1)
    images = {path.stem: path for path in (tmp_path / "images").iterdir()}
    settings = {"tell": lambda *_: None, "cancelled": lambda: False}
    with small_server(lambda n, _: failing("a bad image", 400) if n == 2 else completion("x")) as (url, _):
        asked = TeacherConfig("server", "g", url, retries=0, concurrency=1)
        assert len(sample_by_server(images, asked, SamplingConfig(pairs_per_image=1), **settings)) == 9
    with small_server(lambda *_: failing("no such model", 404)) as (url, _):
        asked = TeacherConfig("server", "g", url, retries=0, concurrency=1)
        with pytest.raises(TeacherError, match=r"g at 127\.0\.0\.1 failed to write about 2 images.*404: no such model"):
            sample_by_server(images, asked, SamplingConfig(), **settings)


def test_a_run_that_goes_on_asks_for_no_text_twice(tmp_path):
    fill(tmp_path, pool=9, test=1)
    images = {path.stem: path for path in (tmp_path / "images").iterdir()}
    seeds = []

    def sampled(answer):
        with small_server(answer) as (url, requests):
            asked = TeacherConfig("server", "g", url, retries=0, concurrency=1)
            settings = {"tell": lambda *_: None, "cancelled": lambda: False, "kept": tmp_path / "sampled.jsonl"}
            try:
                return sample_by_server(images, asked, SamplingConfig(pairs_per_image=1), **settings)
            finally:
                seeds.append([body["seed"] for _, _, body in requests])

    with pytest.raises(TeacherError, match="gone"):
        sampled(lambda n, _: completion(f"first {n}") if n < 6 else failing("gone", 400))
    found = sampled(lambda n, _: completion(f"second {n}"))
    assert list(found) == list(images) and sum(text.startswith("first") for (text,) in found.values()) == 6
    before, after = seeds
    assert len(after) == 4 and sorted(before[:6] + after) == list(range(10)), "each with random numbers of its own"


def test_a_server_that_dies_in_a_large_pool_stops_the_run_soon(tmp_path):
    fill(tmp_path, pool=79, test=1)
    images = {path.stem: path for path in (tmp_path / "images").iterdir()}
    words = r"g at 127\.0\.0\.1 failed to write about 5 images.*answered 503: dead\. Put that right and resume"
    with small_server(lambda n, _: completion("x") if n < 20 else failing("dead", 503)) as (url, requests):
        asked = TeacherConfig("server", "g", url, retries=0, concurrency=1, failure_share=0.9)
        with pytest.raises(TeacherError, match=words):
            sample_by_server(
                images, asked, SamplingConfig(pairs_per_image=1), tell=lambda *_: None, cancelled=lambda: False
            )
    assert 25 <= len(requests) < 60


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("sample", "--sampling-url", "http://localhost:1/v1"), "Name its run with --from"),
        (("judge", "--from", "r0001"), "not with `run judge`"),
        (("sample", "--from", "r0009"), "There is no run 'r0009'"),
        (("sample", "--from", "r0001", "--sampling-url", "http://localhost:1/v1"), "model is ''"),
        (("sample", "--from", "r0001", "--sampling-model", "g"), "url is ''"),
    ],
)
def test_options_that_do_not_fit_together_are_refused(arguments, sentence, workspace, capsys):
    before = len(Jobs(workspace / "runs").runs())
    assert main(("--workspace", str(workspace), "run", *arguments)) == 1
    assert sentence in capsys.readouterr().err and len(Jobs(workspace / "runs").runs()) == before


def test_a_run_without_a_generator_cannot_go_on(workspace, tmp_path, capsys):
    Store.open(tmp_path).close()
    (tmp_path / "runs" / "r0001" / "output").mkdir(parents=True)
    (tmp_path / "runs" / "r0001" / "config.json").write_text(json.dumps(generator_run(GENERATOR).to_json()))
    assert main(("--workspace", str(tmp_path), "run", "sample", "--from", "r0001")) == 1
    assert "r0001 has no trained generator. Train one: `leaml run judge`" in capsys.readouterr().err


def test_a_local_model_is_no_server():
    with pytest.raises(ConfigError, match="server is"):
        SamplingConfig(server=TeacherConfig("local", "m"))
