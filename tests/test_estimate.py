"""How much longer pairs take, estimated before a model is loaded."""

from leaml.config import GeneratorConfig
from leaml.estimate import TEXT_TOKENS, estimate, with_pairs
from leaml.records import QuestionType
from tests.test_choices import LARGE

FEW = QuestionType("side", "On which side is the dot?", ("left", "right"))
MANY = QuestionType("finding", "What is found?", tuple(f"finding of the kind {n}, with its extent" for n in range(20)))


def test_many_long_options_take_more_memory_and_time():
    assert with_pairs(LARGE, [FEW]) == LARGE and LARGE.text_tokens == TEXT_TOKENS
    longer = with_pairs(LARGE, [FEW, MANY])
    assert 250 < longer.text_tokens < 400  # 850 letters
    usual, more = (estimate(facts, GeneratorConfig(), images=9, saves_memory=False) for facts in (LARGE, longer))
    ratio = (longer.image_tokens + longer.text_tokens) / (LARGE.image_tokens + LARGE.text_tokens)
    activations = usual.memory_bytes - usual.saving_bytes, more.memory_bytes - more.saving_bytes
    assert activations[1] / activations[0] == ratio and more.seconds > ratio * usual.seconds


def test_a_question_that_takes_several_answers_may_get_all_of_them():
    several = QuestionType("all", "What is found? Choose all that apply.", MANY.options)
    assert with_pairs(LARGE, [several]).text_tokens > 1.5 * with_pairs(LARGE, [MANY]).text_tokens
