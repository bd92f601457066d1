"""The choice of a model and a teacher: what was typed, what is kept, what it would take, and how it is tested."""

import json
import sys
from dataclasses import replace
from functools import partial

import pytest

from app import choice_text
from app.choice_form import Told, choices_card, typed_choices
from app.choice_text import SAVED
from app.errors import InputError
from app.person import RIGHTS, Person
from app.project import decide_choice, try_teacher
from app.services import Services
from app.settings import Settings
from app.train import observe
from app.train_html import generator_card
from leaml.apart import call_apart
from leaml.choices import CHOICES_FILE, Choices, generator_of, model_of, read_choices, trained, write_choices
from leaml.cli import main
from leaml.config import BUNDLED_MODEL, GeneratorConfig, SelectionConfig, TrainConfig, generator_run
from leaml.data.video import FRAMES
from leaml.errors import ConfigError, ModelError, TeacherError, UserError
from leaml.estimate import ModelFacts, check_room, estimate, facts_here, model_facts, reading_bytes, with_clips
from leaml.jobs import Jobs
from leaml.models.backbone import BUNDLED_PATH
from leaml.recipes import generator_recipe, model_recipe
from leaml.store import Store
from leaml.teacher.book import FAILURES_FILE, append_line
from leaml.teacher.config import TeacherConfig
from leaml.teacher.probe import probe
from tests.conftest import draw
from tests.drawn import fill
from tests.teacher.servers import KEY, RealServer, completion, failing, small_server
from tests.test_worker import make_run

TYPED = {"choice_model_kind": "bundled", "choice_source": "server", "choice_served": "m"}
LARGE = ModelFacts(
    parameters=2_200_000_000, decoder=1_500_000_000, layers=28, hidden=1536, key_width=256, vocabulary=151_936,
    image_tokens=256, here=False, device="cpu", memory_bytes=64 * 2**30, flops=1e12,
)  # fmt: skip


@pytest.fixture
def person(tmp_path):
    fill(tmp_path / "work", pool=4, test=1)
    with Services.open(Settings(workspace=tmp_path / "work", sample=False)) as services:
        yield Person(services, "expert", RIGHTS["admin"])


def types(url, *, act="", **more):
    return {"act": act, **TYPED, "choice_url": url, **{f"choice_{name}": value for name, value in more.items()}}


# What is kept


def test_nothing_needs_to_be_chosen(person):
    assert person.services.choosing.choices() == Choices(BUNDLED_MODEL, TeacherConfig())
    assert person.services.choosing.generator() == generator_recipe()
    assert not (person.services.settings.workspace / CHOICES_FILE).exists()


def test_a_choice_is_kept_and_used_by_the_next_runs(person, tmp_path, monkeypatch):
    monkeypatch.setenv("TEACHER_KEY", KEY)
    data = types("https://host/v1", key_env="TEACHER_KEY", concurrency="3", memory="yes", act="save_choices")
    data |= {"choice_precision": "bfloat16", "choice_flips": "both"}
    data |= {"choice_model_kind": "own", "choice_model": str(BUNDLED_PATH)}
    shown, told = decide_choice(person, data)
    saved = read_choices(tmp_path / "work")
    teacher = TeacherConfig("server", "m", "https://host/v1", key_env="TEACHER_KEY", concurrency=3)
    assert saved == shown == Choices(str(BUNDLED_PATH), teacher, "bfloat16", saves_memory=True, flips="both")
    assert "Models trained from the one before stay" in told.sentence
    assert KEY not in (tmp_path / "work" / CHOICES_FILE).read_text()
    used = person.services.choosing.generator()
    assert (used.teacher, used.model, used.train.accumulation) == (teacher, str(BUNDLED_PATH), used.train.batch_size)
    assert used.precision == "bfloat16" and used.judge_update == "lora"
    assert used.judge.checkpoint_activations and person.services.asking.model_path("base") == str(BUNDLED_PATH)
    monkeypatch.delenv("TEACHER_KEY")
    with pytest.raises(ConfigError, match="TEACHER_KEY holds no key for host"):
        person.services.choosing.generator()


def test_other_images_to_learn_from_ask_for_training_anew(person):
    shown, told = decide_choice(person, types("", source="recorded", flips="both", act="save_choices"))
    assert shown == Choices(flips="both") and "Train the models again before you compare" in told.sentence
    assert decide_choice(person, types("", source="recorded", flips="both", act="save_choices"))[1].sentence == SAVED


def test_an_estimate_leaves_what_was_typed(person):
    shown, told = decide_choice(person, types("https://host/v1", concurrency="3", act="estimate"))
    assert (shown.teacher.url, shown.teacher.concurrency, told) == ("https://host/v1", 3, None)
    assert person.services.choosing.choices().teacher == TeacherConfig(), "nothing is saved"
    other = {"choice_model_kind": "own", "choice_model": "/no/such/model"}
    shown, told = decide_choice(person, types("https://host/v1", act="estimate") | other)
    assert (shown.model, told.sentence) == ("/no/such/model", choice_text.SAVE_FIRST), "of the saved model alone"


def test_a_choice_that_cannot_work_is_not_kept(person, tmp_path):
    data = types("https://host/v1", key_env="NO_SUCH_KEY", act="save_choices")
    assert "NO_SUCH_KEY holds no key" in decide_choice(person, data)[1].sentence
    (tmp_path / "empty").mkdir()
    data = {**TYPED, "choice_source": "recorded", "choice_model_kind": "own", "choice_model": str(tmp_path / "empty")}
    assert "holds no config.json" in decide_choice(person, {**data, "act": "save_choices"})[1].sentence
    assert not (tmp_path / "work" / CHOICES_FILE).exists()


@pytest.mark.parametrize("content", ["{", '{"teacher": {"source": "oracle"}}', '{"colour": 1}', "[]", '{"model": " "}'])
def test_broken_settings_are_said(content, tmp_path):
    (tmp_path / CHOICES_FILE).write_text(content)
    with pytest.raises(ConfigError, match=r"Cannot read the project's settings.*Remove that file and choose anew"):
        read_choices(tmp_path)


def test_settings_survive_the_disk(tmp_path):
    teacher = TeacherConfig("local", "n", prompt="What?")
    choices = Choices("m", teacher, "bfloat16", saves_memory=True, flips="horizontal")
    write_choices(tmp_path, choices)
    assert read_choices(tmp_path) == choices and [path.name for path in tmp_path.iterdir()] == [CHOICES_FILE]
    with pytest.raises(ConfigError, match="What was chosen before still holds"):
        write_choices(tmp_path / "nowhere", choices)


def test_saving_memory_changes_how_a_batch_is_computed_and_not_what_it_is():
    config, choices = TrainConfig(steps=5, batch_size=6), Choices(saves_memory=True)
    assert trained(config, choices) == replace(config, accumulation=6, checkpoint_activations=True)
    assert trained(config, Choices()) == config and generator_of(Choices(), GeneratorConfig()) == GeneratorConfig()


def test_answers_and_captions_are_learnt_from_mirrored_pictures():
    generator, model = generator_of(Choices(flips="both")), model_of(Choices(flips="both"), model_recipe("lora"))
    assert (generator.train.flips, generator.judge.flips, model.train.flips) == ("both", "both", "both")
    with pytest.raises(ConfigError, match="flips is 'upside down', but must be one of none, horizontal, both"):
        Choices(flips="upside down")


def test_the_command_line_uses_the_projects_choice_unless_told_otherwise(person, capsys):
    workspace = person.services.settings.workspace
    write_choices(workspace, Choices(teacher=TeacherConfig("server", "m", "https://host/v1", key_env="NO_SUCH_KEY")))
    person.services.close()
    assert main(("--workspace", str(workspace), "run", "captions")) == 1
    assert "NO_SUCH_KEY holds no key for host" in capsys.readouterr().err
    both = ("run", "captions", "--recorded-captions", "--teacher-model", "n")
    assert main(("--workspace", str(workspace), *both)) == 1
    assert "given without options of another teacher" in capsys.readouterr().err
    own = ("run", "captions", "--recorded-captions", "--precision", "bfloat16", "--detach")
    assert main(("--workspace", str(workspace), *own)) == 0
    assert Jobs(workspace / "runs").runs()[0].config()["generator"]["precision"] == "bfloat16"
    person.services.store = Store.open(workspace)  # the fixture closes it


# What is typed


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"choice_model_kind": "own"}, "Say which model is to learn"),
        ({"choice_url": ""}, "Say the server's address"),
        ({"choice_served": " "}, "Say the server's address and the name of its model"),
        ({"choice_source": "local"}, "Say which model describes the images"),
        ({"choice_concurrency": "many"}, "“Questions at once” is 'many', but must be a whole number"),
        ({"choice_concurrency": "0"}, "concurrency is 0"),
        ({"choice_url": "http://10.0.0.7:8000/v1"}, "unencrypted"),
    ],
)
def test_what_is_missing_or_wrong_is_said(changes, sentence):
    with pytest.raises((InputError, ConfigError), match=sentence):
        typed_choices({**types("https://host/v1"), **changes})


def test_a_key_that_was_typed_is_refused_without_showing_it():
    with pytest.raises(ConfigError) as error:
        typed_choices(types("https://host/v1", key_env=KEY.lower()))
    assert KEY.lower() not in str(error.value)


def test_http_to_another_computer_is_a_choice_of_its_own():
    assert typed_choices(types("http://10.0.0.7:8000/v1", http="yes")).teacher.allow_http


@pytest.mark.parametrize(("typed", "bits"), [("", None), ("16", 16), ("8", 8), ("4", 4)])
def test_a_teacher_on_this_computer_may_have_smaller_weights(typed, bits):
    choices = typed_choices(types("", source="local", local="n", bits=typed))
    assert choices.teacher.bits == bits and f'<option value="{typed}" selected>' in card(choices)
    assert typed_choices(types("https://host/v1", bits=typed)).teacher.bits is None  # a server's are its own business


# The test of a teacher


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    server = RealServer(tmp_path_factory.mktemp("server"))
    server.start()
    yield server
    server.kill()


def test_a_real_server_describes_one_image(real, person):
    data = types(real.url, served=str(BUNDLED_PATH), max_tokens="16", act="test_teacher")
    before = real.asked
    shown, told = decide_choice(person, data)
    assert told.kind == "" and told.sentence.startswith(f"The server at 127.0.0.1, model {BUNDLED_PATH}, first caption")
    assert "Describing 4 images would take about a minute." in told.sentence
    assert real.asked == before + 1 and shown.teacher.max_tokens == 16
    assert person.services.choosing.choices() == Choices(), "a test changes nothing"


def test_a_real_server_without_the_model_says_so(real, person):
    _, told = decide_choice(person, types(real.url, served="nobody/nothing", act="test_teacher"))
    assert told.kind == "bad" and "requested 'nobody/nothing'" in told.sentence
    assert told.sentence.endswith(f"It has no model 'nobody/nothing'. It lists: {BUNDLED_PATH}. Name one of these.")


def test_a_local_model_describes_one_image_in_a_process_of_its_own(tmp_path):
    found = probe(TeacherConfig("local", BUNDLED_MODEL, max_tokens=12), draw(tmp_path / "a.png", 0))
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"], "something was left beside the image"
    assert found.by == "This computer (CPU)" and found.caption and 0 < found.seconds < 60
    with pytest.raises(ModelError, match="Cannot use the model 'no such model'"):
        probe(TeacherConfig("local", "no such model"), tmp_path / "a.png")
    (tmp_path / "a.png").write_bytes(b"no picture")
    with pytest.raises(ModelError, match="gave no caption: Cannot read the image"):
        probe(TeacherConfig("local", BUNDLED_MODEL), tmp_path / "a.png")


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (failing("bad key", 401), r"answered 401: bad key\. Check its key"),
        (failing("overloaded", 503), r"answered 503: overloaded\. It is busy or broken"),
        (failing("no", 404), r"answered 404: no\. Is the address right\? It usually ends in /v1"),
        (failing("no model m", 404), r"answered 404: no model m\. Check the name of its model: 'm'\."),
        (failing("not multimodal", 400), r"answered 400: not multimodal\. Does the model take images\?"),
        (
            failing("At most 1 image(s) may be provided in one prompt.", 400),
            r"in one prompt\. A clip is sent as 8 images\. `python -m leaml serve-command MODEL --images 8 "
            r"--max-model-len 16384` prints the line",
        ),
        (failing("At most 0 image(s) may be provided in one prompt.", 400), r"Does the model take images\?"),
        ((200, {}, "hello"), r"no chat completion: hello\. Does the model take images\?"),
        (completion(" "), r"an empty caption\. Does the model take images\?"),
    ],
)
def test_what_a_server_says_instead_comes_with_what_to_do_next(answer, sentence, tmp_path):
    with small_server(lambda *_: answer) as (url, requests), pytest.raises(TeacherError, match=sentence):
        probe(TeacherConfig("server", "m", url), draw(tmp_path / "a.png", 0))
    assert len(requests) == 1, "a test asks once"


def test_a_list_of_models_that_cannot_be_read_is_none(tmp_path):
    broken = (200, {"Content-Encoding": "gzip"}, "no gzip")
    with small_server(lambda *_: failing("no", 404), get=lambda _: broken) as (url, _):
        with pytest.raises(TeacherError, match=r"answered 404: no\. Is the address right\?"):
            probe(TeacherConfig("server", "m", url), draw(tmp_path / "a.png", 0))


def test_a_server_that_is_not_there_is_said(tmp_path):
    with pytest.raises(TeacherError, match=r"127\.0\.0\.1 cannot be reached.*Is it running, and is the address right"):
        probe(TeacherConfig("server", "m", "http://127.0.0.1:9/v1"), draw(tmp_path / "a.png", 0))


def test_an_image_leaves_this_computer_only_by_consent_to_that_very_host(person, monkeypatch):
    asked = []
    monkeypatch.setattr(type(person), "test_teacher", lambda self, teacher: asked.append(teacher.host) or 1 / 0)
    choices = typed_choices(types("https://api.example.org/v1"))
    for consent in ("", "other.example.org"):
        told = try_teacher(person, choices, consent=consent)
        assert told.host == "api.example.org" and "api.example.org, which is another computer. May it?" in told.sentence
    assert asked == []
    with pytest.raises(ZeroDivisionError):
        try_teacher(person, choices, consent="api.example.org")
    assert asked == ["api.example.org"]


def test_only_those_who_may_train_choose(person):
    reader = replace(person, rights=RIGHTS["expert"])
    for act in ("save_choices", "test_teacher"):
        told = decide_choice(reader, types("http://localhost:9/v1", act=act))[1]
        assert told.kind == "bad" and "expert" in told.sentence
    with pytest.raises(UserError):
        reader.save_choices(Choices())


# The card


def card(saved, **more):
    settings = {"outlook": None, "missing": 4, "told": None, "may_change": True, "has_captions": True}
    return choices_card(saved, saved, **{**settings, **more})


def test_the_card_says_where_nobody_describes_the_images():
    assert "the descriptions that came with the images" in card(Choices())
    alone = card(Choices(), has_captions=False)
    assert "learns from your answers alone" in alone and "came with the images." not in alone


def test_the_card_says_that_images_leave_and_never_shows_a_script():
    plain = card(Choices())
    assert "mirrored images too:" not in plain
    mirrored = card(Choices(flips="both"))
    assert "Learns from mirrored images too: left to right, and top to bottom." in mirrored
    assert "Nothing needs to be chosen" in mirrored
    assert "Nothing needs to be chosen" in plain and "leave this computer:" not in plain
    away = Choices("<b>", TeacherConfig("server", "<i>m", "https://api.example.org/v1"))
    shown = card(away, told=Told("<script>"))
    assert "Up to 4 images leave this computer: they go to api.example.org (encrypted)" in shown
    assert "<b>" not in shown.replace("<b></b>", "") and "<i>m" not in shown and "<script>" not in shown
    assert "data-act" not in card(away, may_change=False)


def test_failed_captions_are_seen_on_the_train_screen_in_the_teachers_words(tmp_path):
    run = make_run(tmp_path, config=generator_run(GeneratorConfig()).to_json())
    assert observe(run, locked=False).failures == ""
    for number in range(2):
        append_line(run.path / "output" / FAILURES_FILE, {"image": f"i{number}", "error": f"out of <memory> {number}"})
    seen = observe(run, locked=False)
    assert seen.failures == "2 images have no description. The teacher said at last: out of <memory> 1"
    shown = generator_card(
        seen, round_number=1, why_not=None, waiting=0, report={}, message="", sending="They go to X."
    )
    assert "out of &lt;memory&gt; 1" in shown and "They go to X." in shown


# What it would take


def test_the_facts_of_a_model_are_found_without_its_weights(tmp_path):
    for name in ("config.json", "processor_config.json"):
        (tmp_path / name).write_text((BUNDLED_PATH / name).read_text())
    with pytest.raises(ModelError, match=r"Its folder holds no weights"):
        facts_here(str(tmp_path))
    (tmp_path / "model.safetensors").write_bytes(b"")  # never read
    facts = facts_here(str(tmp_path))
    assert facts == replace(model_facts(BUNDLED_MODEL), flops=facts.flops) and facts.here
    assert 0 < facts.decoder < facts.parameters and facts.memory_bytes > 2**30 and facts.flops > 1e8


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        ({"model_type": "llama"}, "does not answer questions about images"),
        ({"model_type": "no such family"}, "Cannot use the model"),
    ],
)
def test_what_is_no_vision_model_is_refused(config, sentence, tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match=sentence):
        facts_here(str(tmp_path))


def test_an_unknown_name_is_refused():
    with pytest.raises(ModelError, match="Check the name and the connection"):
        facts_here("nobody/nothing")


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        (
            "GatedRepo",
            "It is gated: accept its licence on its page at Hugging Face first, then .* `hf auth login`",
        ),
        ("RepoNotFound", "Check the name and the connection"),
    ],
)
def test_a_gated_model_is_told_from_an_unknown_one(code, sentence, monkeypatch):
    said = "Access to model owner/model is restricted." if code == "GatedRepo" else "Invalid username or password."
    refused = (401, {"X-Error-Code": code, "X-Error-Message": said}, "")
    monkeypatch.setattr("leaml.apart.RUN", (sys.executable, "-m"))  # a warm one has looked at the variables
    with small_server(None, get=lambda _: refused) as (url, _):
        monkeypatch.setenv("HF_HUB_OFFLINE", "0")
        monkeypatch.setenv("HF_ENDPOINT", url.removesuffix("/v1"))
        with pytest.raises(ModelError, match=f"Cannot use the model 'owner/model'. .*{sentence}"):
            model_facts("owner/model")


@pytest.mark.parametrize(("asked", "proposed"), [(None, 16), (None, 8), (16, 8), (16, 4), (8, 4)])
def test_a_teacher_that_does_not_fit_is_offered_the_largest_weights_that_do(asked, proposed, monkeypatch):
    needed = reading_bytes(LARGE, bits=proposed)
    small = replace(LARGE, memory_bytes=int(needed / 0.9) + 1000)
    monkeypatch.setattr("leaml.estimate.facts_here", lambda _: small)
    way = rf"With weights of {proposed} bits \(--teacher-bits {proposed}, or on the Project screen\) it needs about "
    with pytest.raises(ModelError, match=way + rf"{needed / 2**30:.1f} GB\.$"):
        check_room("m", bits=asked)
    check_room("m", bits=proposed)


def test_a_teacher_is_offered_no_weights_that_do_not_fit_either(monkeypatch):
    monkeypatch.setattr("leaml.estimate.facts_here", lambda _: replace(LARGE, memory_bytes=2**30))
    with pytest.raises(ModelError, match="Run it on a larger computer, or serve it there"):
        check_room("m", bits=16)


def test_a_large_model_fits_when_memory_is_saved_or_says_what_would():
    config = GeneratorConfig()
    plain = estimate(LARGE, config, images=100, saves_memory=False)
    weights_and_training = 4 * LARGE.parameters + 16 * LARGE.decoder
    assert plain.memory_bytes > plain.saving_bytes > weights_and_training
    saving = estimate(LARGE, config, images=100, saves_memory=True)
    assert saving.memory_bytes == plain.saving_bytes and saving.seconds > plain.seconds
    middle = (plain.memory_bytes + plain.saving_bytes) / 2
    fitting = estimate(replace(LARGE, memory_bytes=int(middle / 0.9)), config, images=100, saves_memory=False)
    assert not fitting.fits and fitting.fits_when_saving
    small = estimate(replace(LARGE, memory_bytes=16 * 2**30), config, images=100, saves_memory=False)
    assert not small.fits_when_saving and 0 < small.largest < LARGE.parameters / 2
    assert "model of up to about" in choice_text.too_large(None, None, small.largest)
    assert estimate(LARGE, config, images=200, saves_memory=False).seconds > plain.seconds


def test_weights_of_16_bits_and_a_second_opinion_by_lora_take_less():
    config = GeneratorConfig(judge_update="lora")

    def least(config):
        return estimate(LARGE, config, images=100, saves_memory=True).memory_bytes

    scored = 4 * LARGE.decoder  # the largest stages then: a float32 score for each weight, or its value as it was
    about = partial(pytest.approx, abs=0.4e9)
    assert least(GeneratorConfig()) - least(config) == about(16 * LARGE.decoder - scored)
    assert least(config) - least(replace(config, precision="bfloat16")) == about(2 * LARGE.parameters)
    bounded = replace(config, precision="bfloat16", selection=SelectionConfig(0.05, score_memory_mb=100))
    assert least(replace(config, precision="bfloat16")) - least(bounded) == about(scored - 2 * LARGE.decoder)
    by_all = replace(config, selection=None)
    assert least(by_all) - least(config) == about(16 * LARGE.decoder - scored)
    fitting = estimate(replace(LARGE, memory_bytes=13 * 2**30), config, images=100, saves_memory=True)
    assert not fitting.fits_when_saving and fitting.fits_at_last
    assert "its weights have 16 bits (" in choice_text.too_large(None, fitting.least_bytes, fitting.largest)


def test_the_estimate_of_the_bundled_model_is_near_what_a_round_takes():
    facts = replace(facts_here(BUNDLED_MODEL), memory_bytes=8 * 2**30)
    found = estimate(facts, GeneratorConfig(), images=245, saves_memory=False)
    assert found.fits and 1.2 < found.memory_bytes / 2**30 < 2.2  # measured: 1.55 GiB


def test_a_module_that_breaks_is_said(tmp_path):
    with pytest.raises(ModelError, match=r"No module named leaml\.nothing"):
        call_apart("leaml.nothing", {}, timeout_s=60)
    with pytest.raises(ModelError, match=r"did not answer within 0\.01 s"):
        call_apart("leaml.estimate", {"model": BUNDLED_MODEL}, timeout_s=0.01)


def test_check_tells_both(person, capsys):
    workspace = person.services.settings.workspace
    person.services.close()
    command = ("--workspace", str(workspace), "check", "--teacher-model", BUNDLED_MODEL, "--teacher-max-tokens", "8")
    assert main(command) == 0
    said = capsys.readouterr().out
    assert "leaml-mini: " in said and "Training needs about 1." in said
    assert "no image leaves it." in said and "This computer (CPU), model leaml-mini, first caption in" in said
    person.services.store = Store.open(workspace)


def test_a_clip_counts_as_its_frames():
    config = GeneratorConfig()
    clips = with_clips(LARGE, ["images/a.png", "images/b.mp4"])
    assert clips.image_tokens == FRAMES * LARGE.image_tokens and with_clips(LARGE, ["images/a.png"]) == LARGE
    more, fewer = (estimate(facts, config, images=9, saves_memory=False) for facts in (clips, LARGE))
    assert more.memory_bytes > fewer.memory_bytes and more.seconds > fewer.seconds
