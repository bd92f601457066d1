"""The bundled model's tokenizer: byte-level BPE with one chat template, trained on scene texts and English.

Three choices serve the prompt formats of `leaml.prompts`. The words before a list of options are one token instead of
seven, a quarter of a usual question. A colon keeps the space after it, so that the first option is written with the
same tokens as the others and as the answer. `<q>` and `<a>` can become single tokens.
"""

import re
from collections.abc import Iterable

import torch
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from leaml.prompts import OPTIONS_LEAD

PAD, IMAGE, USER, ASSISTANT, END = "<|pad|>", "<image>", "<|user|>", "<|assistant|>", "<|end|>"
SPECIAL = (PAD, IMAGE, USER, ASSISTANT, END)
VOCABULARY = 4096

_WORDS = Regex(rf" {re.escape(OPTIONS_LEAD)} |</?[qa]>|: | ?\p{{L}}+| ?\p{{N}}| ?[^\s\p{{L}}\p{{N}}|<]+|\||<|\s")

CHAT_TEMPLATE = (
    "{%- for message in messages -%}"
    "{{- '<|assistant|>' if message['role'] == 'assistant' else '<|user|>' -}}"
    "{%- if message['content'] is string -%}{{- message['content'] -}}"
    "{%- else -%}"
    "{%- for part in message['content'] if part['type'] != 'text' -%}{{- '<image>' -}}{%- endfor -%}"
    "{%- for part in message['content'] if part['type'] == 'text' -%}{{- part['text'] -}}{%- endfor -%}"
    "{%- endif -%}"
    "{%- if message['role'] == 'assistant' -%}{{- '<|end|>' -}}{%- endif -%}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{- '<|assistant|>' -}}{%- endif -%}"
)
"""Images come before the text, whatever the order of the parts: the model has only seen that."""


def train_tokenizer(texts: Iterable[str]) -> PreTrainedTokenizerFast:
    """Return a tokenizer of `VOCABULARY` tokens trained on the texts."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(_WORDS, behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=list(SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    wrapped = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        eos_token=END,
        additional_special_tokens=[IMAGE, USER, ASSISTANT],
        model_max_length=2048,
        clean_up_tokenization_spaces=False,
    )
    wrapped.chat_template = CHAT_TEMPLATE
    return wrapped


def carry_over(embeddings: Tensor, old: PreTrainedTokenizerFast, new: PreTrainedTokenizerFast) -> Tensor:
    """Return embeddings `[V, D]` for a new tokenizer: the mean of those with which the old one writes each token."""
    rows = []
    for number in range(len(new)):
        text = new.convert_ids_to_tokens(number)
        plain = text if text in new.all_special_tokens else new.decode([number])
        ids = old(plain, add_special_tokens=False)["input_ids"] or [old.pad_token_id]
        rows.append(embeddings[torch.tensor(ids)].mean(0))
    return torch.stack(rows)
