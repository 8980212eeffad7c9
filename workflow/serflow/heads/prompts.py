"""The words for emotions, and a RoBERTa (Liu et al. 2019, arXiv 1907.11692) that reads them."""

from pathlib import Path

import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers
from transformers import AutoTokenizer, PreTrainedTokenizerBase, PreTrainedTokenizerFast, RobertaConfig, RobertaModel

from serflow.errors import UserError
from serflow.models import description_of, pretrained

SPECIAL = ("<s>", "<pad>", "</s>", "<unk>")  # RoBERTa's, by their numbers
# Ours. At the usual .02 a first token of random weights is the same, to three digits, whatever follows it.
SMALL = {
    "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 128,
    "max_position_embeddings": 66, "initializer_range": 0.125,
}  # fmt: skip
# Dropout would hide what little tells one prompt from another.
WITHOUT_DROPOUT = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}


def written_prompts(prompts: dict | None, classes: list[str]) -> dict[str, list[str]]:
    """{class: its prompts}: as they are given, else "emotion is <class>". UserError for what is no class."""
    given = prompts or {}
    for name in given:
        if name not in classes:
            raise UserError(f"prompts names '{name}', which is no class: there are {', '.join(classes)}.")
    return {name: given.get(name, [f"emotion is {name}"]) for name in classes}


def text_tower(text: str | None, prompts: dict[str, list[str]]) -> tuple[RobertaModel, PreTrainedTokenizerBase, dict]:
    """A RoBERTa, its tokenizer, and {config, tokens: {class: the numbers of each prompt}}, which is all that its
    classes need later.

    It is trained without dropout. `text`: folder or hub id, of which safetensors alone are read; None makes a small
    one of random weights, with a tokenizer of the prompts' words. UserError, naming it, for what cannot be loaded.
    """
    if text is None:
        tokenizer = small_tokenizer([one for own in prompts.values() for one in own])
        model = RobertaModel(
            RobertaConfig(**SMALL, **WITHOUT_DROPOUT, vocab_size=len(tokenizer)), add_pooling_layer=False
        )
    else:
        tokenizer, model = _loaded(text)
    tokens = {name: [tokenizer(one)["input_ids"] for one in own] for name, own in prompts.items()}
    check_tokens(tokens, model.config, f"'{text}'")
    return model, tokenizer, {"config": model.config.to_diff_dict(), "tokens": tokens}


def check_tokens(tokens: dict[str, list[list[int]]], config: RobertaConfig, text: str) -> None:
    """UserError unless the prompts of every class differ, and a text encoder, called `text`, can read them."""
    seen = {}
    room = config.max_position_embeddings - config.pad_token_id - 1
    for name, own in tokens.items():
        other = seen.setdefault(str(sorted(own)), name)
        if other != name:
            raise UserError(
                f"prompts.{name} and prompts.{other} are the same to the text encoder: give words that its tokenizer "
                "knows, and a folder that has its tokenizer."
            )
        if max(max(one) for one in own) >= config.vocab_size:
            raise UserError(f"The text encoder {text} is smaller than its tokenizer: give a folder of one model.")
        if max(map(len, own)) > room:
            raise UserError(f"prompts.{name}: one is longer than the {room} tokens that the text encoder reads.")


def further_prompts(head: torch.nn.Module, folder: Path, classes: list[str]) -> None:
    """Let a trained head that reads prompts know more `classes`, by the prompts of `written_prompts`, with the
    tokenizer that was saved in its `folder`, of which tokenizer.json alone is read. Raises UserError."""
    try:
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    except Exception as error:  # tokenizers raises this class itself
        raise UserError(
            f"{folder} has no tokenizer.json that can be read ({error}): copy all of its files."
        ) from error
    unknown = tokenizer.token_to_id(SPECIAL[3])
    told = {
        name: [tokenizer.encode(text).ids for text in texts] for name, texts in written_prompts(None, classes).items()
    }
    for name, own in told.items():
        if any(unknown in one for one in own):
            raise UserError(f"{folder}: its text encoder does not know the words of '{name}': name another class.")
    trained = {f"<{number}>": own for number, own in enumerate(head.tokens)}
    check_tokens(trained | told, head.text.config, f"of {folder}")
    head.tokens = [*head.tokens, *told.values()]


def small_tokenizer(texts: list[str]) -> PreTrainedTokenizerFast:
    """A tokenizer of words, RoBERTa's way of beginning and ending a text, for `texts` and what has their words."""
    tokenizer = Tokenizer(models.WordLevel(unk_token=SPECIAL[3]))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.train_from_iterator(sorted(texts), trainers.WordLevelTrainer(special_tokens=list(SPECIAL)))
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    named = dict(zip(("bos_token", "pad_token", "eos_token", "unk_token"), SPECIAL, strict=True))
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **named)


def _loaded(text):
    if Path(text).exists() and not (Path(text) / "config.json").is_file():
        raise UserError(f"text: {text} has no config.json: give a RoBERTa's folder made by save_pretrained.")
    try:
        tokenizer = AutoTokenizer.from_pretrained(text, trust_remote_code=False)
        told = description_of(text) | WITHOUT_DROPOUT
        model, missing = pretrained(RobertaModel, text, told, add_pooling_layer=False)
    except Exception as error:  # hub, JSON, safetensors and shape errors share no class of their own
        reason = " ".join(str(error).split())[:200]
        raise UserError(
            f"The text encoder '{text}' cannot be loaded ({reason}): give a RoBERTa's folder made by "
            "save_pretrained, with its tokenizer and safetensors weights, or a hub id this machine can reach or has "
            "cached."
        ) from error
    if model.config.model_type != "roberta" or missing:
        raise UserError(f"The text encoder '{text}' is no complete RoBERTa: give one.")
    return tokenizer, model
