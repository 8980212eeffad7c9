"""GEmo-CLAP's losses by hand, what may change them, and emotions that are told by their prompts."""

import copy
import subprocess
import sys
from collections import Counter

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer, RobertaModel

from serflow.batches import COLUMNS, Inputs, LabelledBatches
from serflow.config import complete
from serflow.errors import UserError
from serflow.evaluation.statistics import guessing, interval
from serflow.evaluation.tables import build_table, to_markdown
from serflow.folds import without_classes
from serflow.frames import FrameStore, writing_frames
from serflow.heads.classifier import EmotionClassifier
from serflow.heads.gemo_clap import GEmoCLAP, alike, contrast
from serflow.heads.prompts import text_tower, written_prompts
from serflow.inference import predict
from serflow.models import build, encoder_at
from serflow.training import fit, train

CLASSES = ["anger", "happiness", "neutral", "sadness"]
TARGETS = ["softmax", "normalised"]
NUMBERS = st.lists(st.tuples(st.integers(0, 3), st.integers(-1, 1)), min_size=2, max_size=8)


def rows_softmax(values):
    powers = np.exp(values - values.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)


def by_hand(together, similarities, target):
    """1/2 [KL(target(M) || S(C_a)) + KL(target(M) || S(C_t))] in float64, over the rows that have someone."""
    losses = []
    for one in similarities:
        for row in np.flatnonzero(together.sum(1)):
            goal = together[row] / together[row].sum() if target == "normalised" else rows_softmax(together)[row]
            found = rows_softmax(one)[row]
            losses.append(sum(p * np.log(p / q) for p, q in zip(goal, found, strict=True) if p > 0))
    return np.mean(losses)


@pytest.mark.parametrize("target", TARGETS)
@settings(max_examples=50)
@given(numbers=NUMBERS, seed=st.integers(0, 99), alpha=st.floats(0, 1))
def test_losses_are_those_of_the_equations(target, numbers, seed, alpha):
    emotions, genders = (torch.tensor(column) for column in zip(*numbers, strict=True))
    rng = np.random.default_rng(seed)
    similarities = [rng.normal(0, 5, (len(numbers), len(numbers))) for _ in range(2)]
    same = [
        np.array([[float(a == b and a >= 0) for b in column] for a in column])
        for column in (emotions.tolist(), genders.tolist())
    ]
    soft = alpha * same[0] + (1 - alpha) * same[1]
    tensors = tuple(torch.from_numpy(one) for one in similarities)
    for ours, together in [
        (alike(emotions).double(), same[0]),
        (alike(genders).double(), same[1]),
        (alpha * alike(emotions).double() + (1 - alpha) * alike(genders).double(), soft),
    ]:
        np.testing.assert_allclose(ours.numpy(), together, atol=1e-12)
        found = float(contrast(ours, tensors, target))
        assert found == pytest.approx(by_hand(together, similarities, target) if together.any() else 0, abs=1e-6)


def head(seed=0, **options):
    torch.manual_seed(seed)
    made = GEmoCLAP(8, CLASSES, dimension=16, **options)
    for module in made.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    return made


def batch(numbers, seed=0):
    generator = torch.Generator().manual_seed(seed)
    emotions, genders = (torch.tensor(column) for column in zip(*numbers, strict=True))
    return torch.randn(len(numbers), 5, 8, generator=generator), torch.ones(len(numbers), 5).bool(), emotions, genders


@settings(max_examples=10)
@given(numbers=NUMBERS, order=st.randoms(use_true_random=False))
def test_the_order_of_a_batch_changes_no_loss(numbers, order):
    values = batch(numbers)
    turned = list(range(len(numbers)))
    order.shuffle(turned)
    for kind in (None, "ml", "sl"):
        made = head(gender=kind)
        first, second = made(*values).loss, made(*(value[turned] for value in values)).loss
        torch.testing.assert_close(first, second, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("target", TARGETS)
def test_with_alpha_1_gender_counts_for_nothing(target):
    values = batch([(0, 1), (1, 0), (0, 0), (2, -1), (3, 1)])
    plain = head(target=target)(*values).loss
    for kind in ("ml", "sl"):
        torch.testing.assert_close(head(gender=kind, alpha=1.0, target=target)(*values).loss, plain)
        assert head(gender=kind, alpha=0.5, target=target)(*values).loss != plain


def test_scores_of_an_utterance_depend_on_nothing_else_and_prompts_stay_apart():
    frames, valid, emotions, _ = batch([(0, 1), (1, 0), (2, 0)])
    made = head(prompts={"anger": ["emotion is anger", "an angry voice"]}).eval()
    with torch.inference_mode():
        together = made(frames, valid)
        alone = [made(frames[row : row + 1], valid[row : row + 1]).logits for row in range(3)]
    torch.testing.assert_close(together.logits, torch.cat(alone), atol=1e-5, rtol=1e-5)
    made.train()
    assert made(frames, valid, emotions).loss.requires_grad  # what was kept for testing is not trained on
    assert [len(tokens) for tokens in made.tokens] == [2, 1, 1, 1]
    torch.testing.assert_close(made.class_vectors().norm(dim=1), torch.ones(4))


def test_temperatures_stay_within_bounds():
    made, values = head(), batch([(0, 1), (1, 0), (0, 0), (2, 1)])
    for start in (-50.0, 50.0):
        torch.nn.init.constant_(made.log_scales, start)
        optimiser = torch.optim.SGD(made.parameters(), lr=100.0)
        for _ in range(3):
            optimiser.zero_grad()
            made(*values).loss.backward()
            optimiser.step()
            assert ((made.scales() >= 1) & (made.scales() <= 100.001)).all()


@pytest.mark.parametrize("standardise", [True, False])
def test_classes_of_an_untrained_text_encoder_can_be_told_apart(standardise):
    words = head(standardise=standardise).eval().class_vectors()
    alikeness = (words @ words.T)[~torch.eye(len(CLASSES), dtype=torch.bool)]
    assert alikeness.max() < (0.9 if standardise else 0.999)


def test_shuffled_prompts_are_those_of_another_class():
    plain, shuffled = head(), head(shuffled=True)
    assert all(one != other for one, other in zip(plain.tokens, shuffled.tokens, strict=True))
    assert sorted(plain.tokens) == sorted(shuffled.tokens)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    path = tmp_path_factory.mktemp("fbank") / "fbank.arrow"
    rng = np.random.default_rng(0)
    with writing_frames(path, 80) as writer:
        for number in range(24):
            values = rng.normal(size=(40 + number, 80))
            values[:, 20 * (number % 4) : 20 * (number % 4 + 1)] += 1.5
            writer.append(f"u{number}", values)
    return FrameStore(path)


def rows(store, **more):
    names = store.utterances
    told = {"utterance": names, "speaker": "a", "emotion": [CLASSES[int(name[1:]) % 4] for name in names]}
    told |= {"gender": ["female" if int(name[1:]) % 3 else "male" for name in names], "text": "words"}
    return pd.DataFrame(told | more)


SCHEDULE = {
    "steps": 6, "batch_size": 8, "crop_seconds": 0.5, "learning_rate": 1e-3, "warmup": 0.1, "weight_decay": 0.0,
    "betas": [0.9, 0.999], "epsilon": 1e-8, "clip": 5.0, "checkpoint_steps": 100, "report_steps": 3,
}  # fmt: skip


def model(**settings):
    encoder = build("mel-hubert", {"size": "tiny", "hidden_dropout": 0.0}, 0)
    made = EmotionClassifier.around(encoder, CLASSES, {"head": "gemo-clap", **settings}, 0)
    for module in made.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    return made


@pytest.mark.parametrize("parts", [2, 3, 8])
def test_a_batch_in_parts_has_the_gradient_of_the_whole(store, parts):
    whole = model(options={"gender": "ml", "dimension": 32})
    parted = copy.deepcopy(whole)
    parted.parts = parts
    batches = LabelledBatches(Inputs(store, 2), rows(store), CLASSES, SCHEDULE, 0, ["gender"])
    losses = []
    for one in (whole, parted):
        loss = one.train()(**batches[0]).loss
        loss.backward()
        losses.append(loss.detach())
    torch.testing.assert_close(*losses, atol=1e-6, rtol=1e-6)
    for (name, first), second in zip(whole.named_parameters(), parted.parameters(), strict=True):
        if first.grad is not None:
            torch.testing.assert_close(first.grad, second.grad, atol=1e-5, rtol=1e-4, msg=name)


def test_parts_are_the_schedule_s_and_no_thing_of_the_saved_model():
    encoder = build("mel-hubert", {"size": "tiny"}, 0)
    made = EmotionClassifier.around(encoder, CLASSES, {"schedule": {"parts": 4}}, 0)
    assert made.parts == 4 and "parts" not in made.config.to_dict()


def test_transcripts_reach_no_model(store):
    batches = [
        LabelledBatches(Inputs(store, 2), rows(store, text=text), CLASSES, SCHEDULE, 0, ["gender"])
        for text in ("emotion is anger", "emotion is sadness")
    ]
    first, second = batches[0][0], batches[1][0]
    assert set(first) == {"input_values", "lengths", "emotions", "columns"} and set(first["columns"]) == {"gender"}
    assert torch.equal(first["input_values"], second["input_values"])


def test_genders_of_a_class_are_drawn_equally_often(store):
    schedule = SCHEDULE | {"steps": 200, "balanced": "emotion+gender"}
    batches = LabelledBatches(Inputs(store, 2), rows(store), CLASSES, schedule, 0, ["gender"])
    drawn = [batches[step] for step in range(200)]
    pairs = Counter(
        pair
        for item in drawn
        for pair in zip(item["emotions"].tolist(), item["columns"]["gender"].tolist(), strict=True)
    )
    assert len(pairs) == 8 and min(pairs.values()) > 150 and max(pairs.values()) < 250  # of 1600; expected 200 each


def test_a_corpus_without_genders_is_told():
    for known in ("unknown", "female"):
        genders = pd.DataFrame({"gender": ["unknown", "unknown", known]})
        with pytest.raises(UserError, match="does not tell women from men.*leave the head's option gender out"):
            COLUMNS["gender"](genders, None)


def test_a_head_may_ask_who_speaks_and_what_is_said():
    told = pd.DataFrame({"speaker": ["b", "a", "b"], "text": ["", "no", "yes"]})
    for column, numbers in {"speaker": [1, 0, 1], "text": [-1, 0, 1]}.items():
        assert COLUMNS[column](told, None)(None, np.array([0, 1, 2])).tolist() == numbers


def test_a_saved_model_needs_no_tokenizer_and_brings_its_own(store, tmp_path):
    made = model()
    inputs, names = Inputs(store, 2), store.utterances
    batches = LabelledBatches(inputs, rows(store), CLASSES, SCHEDULE, 0)
    fit(made, batches, tmp_path / "model", SCHEDULE, 0, {})
    expected, _ = predict(made, inputs, names, 0.0)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "model")
    assert tokenizer("emotion is anger")["input_ids"] == made.head.kept["tower"]["tokens"]["anger"][0]
    for file in (tmp_path / "model").glob("tokenizer*"):
        file.unlink()
    again = EmotionClassifier.from_pretrained(tmp_path / "model")
    np.testing.assert_allclose(predict(again, inputs, names, 0.0)[0], expected, atol=1e-6)


def test_local_wavlm_and_roberta_folders_are_fine_tuned_offline(tmp_path):
    prompts = {"anger": ["so angry", "fury"]}
    small, tokenizer, _ = text_tower(None, written_prompts(prompts, CLASSES))
    small.save_pretrained(tmp_path / "roberta")
    tokenizer.save_pretrained(tmp_path / "roberta")
    build("wavlm", {"size": "tiny"}, 0).save_pretrained(tmp_path / "wavlm")
    with writing_frames(tmp_path / "audio.arrow", 0, "int16", 1 / 16000) as writer:
        for number in range(8):
            writer.append(f"u{number}", np.random.default_rng(number).normal(0, 3000, 8000))
    audio = FrameStore(tmp_path / "audio.arrow")
    encoder = encoder_at({"model": "wavlm", "from": str(tmp_path / "wavlm"), "options": {}}, 0)
    options = {"text": str(tmp_path / "roberta"), "prompts": prompts, "gender": "sl"}
    made = EmotionClassifier.around(encoder, CLASSES, {"head": "gemo-clap", "options": options}, 0)
    theirs = RobertaModel.from_pretrained(tmp_path / "roberta", add_pooling_layer=False)
    for ours, loaded in zip(made.head.text.parameters(), theirs.parameters(), strict=True):
        assert torch.equal(ours, loaded)
    assert made.head.text.config.hidden_dropout_prob == made.head.text.config.attention_probs_dropout_prob == 0
    before = made.head.text.embeddings.word_embeddings.weight.clone()
    batches = LabelledBatches(Inputs(audio, 2), rows(audio), CLASSES, SCHEDULE | {"steps": 2}, 0, ["gender"])
    history = train(made, batches, tmp_path / "checkpoints", SCHEDULE, 0, {})
    assert history.value.notna().all() and not torch.equal(before, made.head.text.embeddings.word_embeddings.weight)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"prompts": {"joy": ["x"]}}, "prompts names 'joy', which is no class: there are anger, happiness"),
        ({"prompts": {"anger": ["emotion is sadness"]}}, "prompts.sadness and prompts.anger are the same"),
        ({"alpha": 8.0}, "alpha from 0 to 1"),
        ({"prompts": {"anger": ["very " * 90]}}, "prompts.anger: one is longer than the 64 tokens"),
        ({"text": "./nowhere"}, "The text encoder './nowhere' cannot be loaded"),
    ],
)
def test_wrong_texts_are_told(options, told):
    with pytest.raises(UserError, match=told):
        head(**options)


def test_a_folder_that_is_no_roberta_is_told(tmp_path):
    with pytest.raises(UserError, match="has no config.json"):
        head(text=str(tmp_path))


def test_a_tokenizer_is_the_same_in_every_process():
    code = (
        "from serflow.heads.prompts import *; print(small_tokenizer(['b a', 'c a', 'd e f'])('f a d b x').input_ids)"
    )
    run = [sys.executable, "-c", code]
    first, second = (subprocess.run(run, capture_output=True, text=True, check=True).stdout for _ in range(2))
    numbers = [int(number) for number in first.strip("[]\n").split(",")]
    assert first == second and (numbers[0], numbers[-2], numbers[-1]) == (0, 3, 2) and len(set(numbers)) == 7


def test_zero_shot_trains_without_classes_and_tests_on_them_alone():
    frame = pd.DataFrame({"utterance": range(8), "emotion": CLASSES * 2})
    parts = without_classes({"train": frame, "validation": frame[:0], "test": frame}, CLASSES, ["anger", "sadness"])
    assert set(parts["train"].emotion) == {"happiness", "neutral"}
    assert set(parts["test"].emotion) == {"anger", "sadness"} and len(parts["validation"]) == 0
    parts = without_classes({"train": frame, "validation": frame, "test": frame}, CLASSES, ["anger", "sadness"])
    assert set(parts["watched"].emotion) == {"happiness", "neutral"}  # which choose the step, and
    assert set(parts["validation"].emotion) == {"anger", "sadness"}  # which are scored
    with pytest.raises(UserError, match="no test speaker of this fold has anger or sadness: name other"):
        without_classes({"train": frame, "validation": frame, "test": frame[1:3]}, CLASSES, ["anger", "sadness"])
    with pytest.raises(UserError, match="no class 'angre': did you mean 'anger'"):
        without_classes({"train": frame}, CLASSES, ["angre", "sadness"])
    with pytest.raises(UserError, match="fewer than two classes"):
        without_classes({"train": frame}, CLASSES, CLASSES[:3])


def test_chosen_classes_share_all_probability(store):
    made = model()
    probabilities, _ = predict(made, Inputs(store, 2), store.utterances, 0.0, [0, 3])
    np.testing.assert_allclose(probabilities[:, [0, 3]].sum(1), 1, atol=1e-6)
    assert not probabilities[:, [1, 2]].any()


@given(st.integers(2, 5), st.integers(0, 99))
def test_guessing_is_right_as_often_as_there_are_choices(choices, seed):
    counts = np.random.default_rng(seed).integers(0, 9, (4, 5, 5)) + 1
    np.testing.assert_allclose(interval(guessing(counts, choices)).value, 1 / choices)
    np.testing.assert_allclose(guessing(counts, choices).sum(-1), counts.sum(-1))


def test_a_zero_shot_row_stands_beside_the_others_against_chance():
    utterances = pd.DataFrame(
        [(f"u{n}", f"s{n % 6}", CLASSES[n % 4]) for n in range(48)], columns=["utterance", "speaker", "emotion"]
    ).assign(fold=lambda frame: frame.speaker.str[1:].astype(int) // 2)
    rng = np.random.default_rng(0)

    def guessed(frame, among):
        told = frame.assign(prediction=rng.choice(among, len(frame)), seed=0)
        return told[["utterance", "speaker", "emotion", "prediction", "fold", "seed"]]

    unheard = ["anger", "sadness"]
    own = utterances[utterances.emotion.isin(unheard)]
    perfect = guessed(own, unheard).assign(prediction=own.emotion)
    table = build_table(
        [
            {"system": "all", "name": "All", "baseline": "chance"},
            {"system": "zero", "name": "Zero", "baseline": "chance", "zero_shot": unheard, "published": "81 there"},
        ],
        {"all": guessed(utterances, CLASSES), "zero": perfect},
        utterances,
        CLASSES,
    ).set_index("system")
    assert table.UA["zero"] == 1 and table.difference["zero"] == 0.5 and table.utterances["zero"] == 24
    assert (
        table.difference["all"] == pytest.approx(table.UA["all"] - 0.25, abs=1e-4) and table.utterances["all"] == 48
    )
    text = to_markdown(table.reset_index())
    assert "+50.0 vs chance" in text and "81 there" in text
    assert "**100.0" not in text and f"**{100 * table.UA['all']:.1f}" in text  # the best of those on all utterances
    with pytest.raises(UserError, match="zero, seed 0 predicts utterance u0 0 times, not 1"):
        build_table(
            [{"system": "zero", "name": "Zero", "baseline": None, "zero_shot": unheard}],
            {"zero": perfect[perfect.utterance != "u0"]},
            utterances,
            CLASSES,
        )


SYSTEM = {"title": "Zero", "method": "classifier", "encoder": "e", "head": "gemo-clap", "zero_shot": ["a", "b"]}
ENCODER = {"e": {"model": "mel-hubert", "options": {"size": "tiny"}}}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"systems": {"s": SYSTEM | {"head": "pooled"}}}, "head pooled reads no prompts"),
        ({"systems": {"chance": SYSTEM}}, "systems.chance: rows of tables call guessing so"),
        (
            {"systems": {"s": SYSTEM | {"options": {"text": "~/no-roberta"}}}},
            "options.text: ~/no-roberta has no config",
        ),
        (
            {
                "systems": {"s": SYSTEM, "o": SYSTEM | {"zero_shot": None}},
                "tables": {"t": {"title": "T", "rows": {"o": None, "s": "o"}}},
            },
            "it and o choose from other classes",
        ),
        ({"systems": {"s": SYSTEM | {"zero_shot": ["a"]}}}, "zero_shot"),
        ({"systems": {"s": SYSTEM | {"options": {"prompts": {"a": "angry"}}}}}, "prompts.a is 'angry': give a list"),
        ({"systems": {"s": {"title": "S", "method": "svm", "zero_shot": ["a", "b"]}}}, "method svm takes none"),
        (
            {"systems": {"s": SYSTEM}, "tables": {"t": {"title": "T", "rows": {"s": "chanse"}}}},
            "did you mean 'chance'",
        ),
        (
            {"systems": {"s": SYSTEM}, "tables": {"t": {"title": "T", "rows": {"s": None}, "published": {"x": "1"}}}},
            "tables.t.published names 'x'",
        ),
    ],
)
def test_wrong_configurations_are_told(change, told):
    with pytest.raises(UserError, match=told):
        complete({"encoders": ENCODER, **change})


def test_titles_say_what_is_zero_shot():
    config = complete({"encoders": ENCODER, "systems": {"s": SYSTEM}})
    assert config["systems"]["s"]["title"] == "Zero (zero-shot: a, b)"
