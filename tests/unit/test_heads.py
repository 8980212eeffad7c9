"""Heads and the encoders that were made for them: what padding, order and length may change, and losses by hand."""

import subprocess
import sys
from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from serflow import heads
from serflow.batches import COLUMNS, Inputs, LabelledBatches, NeutralPartners
from serflow.errors import UserError
from serflow.evaluation.probes import probe_notes, probes, projected
from serflow.features import WIDTHS
from serflow.folds import labelled_parts
from serflow.frames import FrameStore, writing_frames
from serflow.heads.classifier import EmotionClassifier
from serflow.heads.dsnet import DSNet
from serflow.heads.segments import Segments
from serflow.models import build, described, models, token_hop, token_times
from serflow.padding import padded
from serflow.registry import keywords

CLASSES = ["anger", "neutral", "sadness"]
BRANCHES = ["time", "frequency", "time+frequency", "full"]
SCHEDULE = {"steps": 3, "batch_size": 6, "crop_seconds": 0.5}


def tf_classifier(branches, **options):
    encoder = build("tf-transformer", {"size": "tiny", "branches": branches, **options}, seed=0)
    return EmotionClassifier.around(encoder, CLASSES, {"head": "segments"}, seed=0)


def mel_classifier(head):
    return EmotionClassifier.around(build("mel-hubert", {"size": "tiny"}, seed=0), CLASSES, {"head": head}, seed=0)


NETWORKS = {f"tf-transformer {branches}": partial(tf_classifier, branches) for branches in BRANCHES}
NETWORKS |= {f"mel-hubert {head}": partial(mel_classifier, head) for head in ("pooled", "dsnet")}


@pytest.mark.parametrize("head", heads.heads().values(), ids=heads.heads())
def test_what_planning_reads_of_a_head_is_what_it_is(head):
    made = heads.head_class(head.name)
    arguments = made.__init__.__kwdefaults__
    fixed = getattr(sys.modules[made.__module__], "FIXED", ())
    assert arguments == {name: option.default for name, option in head.options.items()} | dict.fromkeys(fixed)
    assert set(head.columns) <= set(COLUMNS) and set(head.columns.values()) <= set(head.options)


def test_planning_reads_models_and_heads_without_torch():
    seen = (
        "import sys; from serflow import heads, models; [models.described(name) for name in models.models()];"
        "[heads.described(name) for name in heads.heads()]; print({'torch', 'transformers'} & set(sys.modules))"
    )
    ran = subprocess.run([sys.executable, "-c", seen], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "set()"


def test_a_head_needs_columns_only_where_its_options_want_them():
    assert heads.described("dsnet").needs({}) == ["partner", "paired"]
    assert heads.described("dsnet").needs({"calibration": 0}) == heads.described("pooled").needs({}) == []


@pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS)
@settings(max_examples=5, deadline=None)
@given(frames=st.lists(st.integers(28, 700), min_size=2, max_size=4), seed=st.integers(0, 99))
def test_padding_and_order_change_no_utterance_s_logits(network, frames, seed):
    generator = torch.Generator().manual_seed(seed)
    model, utterances = network().eval(), [torch.randn(count, 80, generator=generator) for count in frames]
    with torch.no_grad():
        together = model(**padded(utterances))
        turned = model(**padded(utterances[::-1])).logits.flip(0)
        alone = [model(one[None], torch.tensor([len(one)])).logits for one in utterances]
    torch.testing.assert_close(together.logits, torch.cat(alone), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(together.logits, turned, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("branches", BRANCHES)
def test_the_mean_of_segments_is_a_posterior(branches):
    frames = [28, 129, 700]
    with torch.no_grad():
        found = tf_classifier(branches).eval()(**padded([torch.randn(count, 80) for count in frames]))
    torch.testing.assert_close(found.logits.exp().sum(1), torch.ones(3), atol=1e-4, rtol=1e-4)
    assert found.lengths.tolist() == [1 + max(0, -(-(count - 128) // 64)) for count in frames]


@pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS)
@pytest.mark.parametrize("frames", [28, 5998])
def test_a_third_of_a_second_and_a_minute_can_be_scored(network, frames):
    with torch.no_grad():
        logits = network().eval()(torch.randn(1, frames, 80), torch.tensor([frames])).logits
    assert logits.isfinite().all()


@pytest.mark.parametrize("branches", BRANCHES)
def test_a_segment_hears_its_own_frames_alone(branches):
    model, frames = tf_classifier(branches).eval(), torch.randn(1, 320, 80)
    other = torch.cat([frames[:, :256], torch.randn(1, 64, 80)], dim=1)
    with torch.no_grad():
        first, second = (model.encoder(values).hidden_states[0][0] for values in (frames, other))
    assert torch.equal(first[:3], second[:3]) and not torch.equal(first[3], second[3])  # the fourth has frames 192 on


def test_training_hides_spans_of_frames_and_of_bands_and_tests_none():
    model = build("tf-transformer", {"size": "tiny", "masked_frames": 20, "masked_bands": 8}, seed=0)
    torch.manual_seed(0)
    hidden = (model._hide(torch.ones(200, 128, 80)) == 0).float()
    frames, bands = hidden.min(2).values.sum(1), hidden.min(1).values.sum(1)
    assert 0 < frames.mean() < 40 and frames.max() <= 40 and 0 < bands.mean() < 16 and bands.max() <= 16
    values, lengths = torch.randn(2, 128, 80), torch.tensor([128, 100])
    with torch.no_grad():
        assert torch.equal(*(model.eval()(values, lengths).hidden_states[0] for _ in range(2)))


@pytest.mark.parametrize("wrong", [{"segment": 126}, {"hop": 0}, {"segment": 64, "hop": 65}])
def test_segments_that_cannot_be_cut_are_told(wrong):
    with pytest.raises(UserError, match="give a segment that is a multiple of 4, and a hop from 1 to it"):
        build("tf-transformer", {"size": "tiny", "hop": 32} | wrong, 0)


def test_segments_know_their_times():
    config = build("tf-transformer", {"size": "tiny", "segment": 128, "hop": 64}, 0).config
    assert token_hop(config) == 0.64
    np.testing.assert_allclose(token_times(config, 3, 2.5), [0.64, 1.28, 1.86])  # the last ends at 2.5 s
    np.testing.assert_allclose(token_times(config, 1, 0.5), [0.25])
    np.testing.assert_allclose(token_times(build("mel-hubert", {"size": "tiny"}, 0).config, 2, 1.0), [0.0125, 0.0325])


def test_segments_loss_is_the_smoothed_entropy_of_every_segment():
    torch.manual_seed(0)
    head, frames = Segments(8, CLASSES, smoothing=0.1).eval(), torch.randn(2, 3, 8)
    valid, emotions = torch.tensor([[True, True, False], [True, True, True]]), torch.tensor([2, 0])
    with torch.no_grad():
        found, logits = head(frames, valid, emotions), head.classify(frames).numpy()
    shares = np.exp(logits) / np.exp(logits).sum(2, keepdims=True)
    losses = []
    for row, count, truth in ((0, 2, 2), (1, 3, 0)):
        target = np.full(3, 0.1 / 3) + 0.9 * np.eye(3)[truth]
        losses += [-(target * np.log(shares[row, number])).sum() for number in range(count)]
        np.testing.assert_allclose(found.logits[row].exp(), shares[row, :count].mean(0), atol=1e-5)
    assert float(found.loss) == pytest.approx(np.mean(losses), abs=1e-5)


def cosine(a, b):
    return (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)


def entropy(logits, truth):
    return float(
        np.mean([np.log(np.exp(row).sum()) - row[number] for row, number in zip(logits, truth, strict=True)])
    )


def test_dsnet_s_terms_are_those_of_its_equations():
    torch.manual_seed(0)
    head = DSNet(6, CLASSES, dimension=4, orthogonal=0.5, calibration=2.0).eval()  # running statistics: mean 0, sd 1
    frames, valid, emotions = torch.randn(3, 5, 6), torch.ones(3, 5, dtype=torch.bool), torch.tensor([0, 1, 2])
    partner, paired = (torch.randn(2, 4, 6), torch.ones(2, 4, dtype=torch.bool)), torch.tensor([True, False, True])
    with torch.no_grad():
        found = head(frames, valid, emotions, partner, paired)
        shared = [head.pooling(*pair)[0] / np.sqrt(1 + 1e-5) for pair in ((frames, valid), partner)]
        emotional, identity = ([layer(one).numpy() for one in shared] for layer in (head.emotion, head.identity))
        logits = [head.classify(head.emotion(one)).numpy() for one in shared]
    expected = {
        "emotion": entropy(logits[0], [0, 1, 2]),
        "orthogonal": 0.5 * (cosine(emotional[0], identity[0]) ** 2).mean(),
        "calibration": 2.0 * (1 - cosine(identity[0][[0, 2]], identity[1])).mean(),
        "neutral": 2.0 * entropy(logits[1], [1, 1]),
    }
    assert {name: float(value) for name, value in found.terms.items()} == pytest.approx(expected, abs=1e-5)
    assert float(found.loss) == pytest.approx(sum(expected.values()), abs=1e-4)
    with torch.no_grad():
        torch.testing.assert_close(head(frames, valid).logits, found.logits)  # one branch at test, the same scores
        assert set(head(frames, valid, emotions).terms) == {"emotion", "orthogonal"}  # where nobody is paired


def test_dsnet_s_cosines_are_as_fine_in_bfloat16():
    torch.manual_seed(0)
    head, emotions = DSNet(64, CLASSES, dimension=128), torch.arange(16) % 3
    frames, valid = torch.randn(16, 20, 64), torch.ones(16, 20, dtype=torch.bool)
    pair = (frames + 0.02 * torch.randn_like(frames), valid), torch.ones(16, dtype=torch.bool)
    with torch.no_grad():
        fine = head(frames, valid, emotions, *pair).terms
        with torch.autocast("cpu", torch.bfloat16):
            found = head(frames, valid, emotions, *pair).terms
    assert 0 < fine["calibration"] < 0.001
    for name, value in fine.items():
        assert float(found[name]) == pytest.approx(float(value), rel=0.1), name


def test_without_neutral_speech_one_sentence_says_what_to_do():
    with pytest.raises(UserError, match="no class neutral: give calibration 0"):
        DSNet(6, ["anger", "sadness"])
    assert DSNet(6, ["anger", "sadness"], calibration=0.0).neutral is None


ROWS = st.lists(
    st.tuples(
        st.sampled_from("abc"), st.sampled_from(["anger", "neutral", "sadness"]), st.sampled_from(["x", "y", ""])
    ),
    min_size=1,
    max_size=12,
)


@given(rows=ROWS, seed=st.integers(0, 99))
def test_a_partner_is_a_neutral_utterance_of_the_same_speaker_and_of_another_sentence(rows, seed):
    frame = pd.DataFrame(rows, columns=["speaker", "emotion", "text"])
    partners, rng = NeutralPartners(frame, texts=True), np.random.default_rng(seed)
    for number in range(len(rows)):
        fitting = [
            other
            for other, (speaker, emotion, text) in enumerate(rows)
            if other != number and emotion == "neutral" and speaker == rows[number][0]
            if not rows[number][2] or text != rows[number][2]
        ]
        assert partners.known[number] == bool(fitting)
        if fitting:
            assert partners.of(rng, number) in fitting


@given(rows=ROWS, tested=st.sampled_from("abc"), selection=st.sampled_from(["last", "validation"]))
def test_a_partner_is_of_a_training_speaker(rows, tested, selection):
    frame = pd.DataFrame(rows, columns=["speaker", "emotion", "text"])
    frame["utterance"] = [f"u{number}" for number in range(len(rows))]
    of_speakers = dict(zip("abc", np.roll(["test", "validation", "train"], "abc".index(tested)), strict=True))
    folds = frame[["utterance"]].assign(fold=0, part=frame.speaker.map(of_speakers))
    fitted = labelled_parts(frame, folds, 0, selection)[0]["train"]
    assume(len(fitted))
    partners = NeutralPartners(fitted, texts=True)
    for number in np.flatnonzero(partners.known):
        assert fitted.speaker[partners.of(np.random.default_rng(0), number)] == fitted.speaker[number] != tested


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    """Frames that say which utterance they are of."""
    path = tmp_path_factory.mktemp("fbank") / "fbank.arrow"
    with writing_frames(path, 80) as store:
        for number in range(8):
            store.append(f"u{number}", np.full((60 + 10 * number, 80), number) + np.eye(80)[:1])
    own = FrameStore(path)
    return Inputs(own, 1, {name: (np.float32(0), np.float32(1)) for name in own.utterances})


def labelled(inputs, speakers, emotions, **more):
    frame = pd.DataFrame(
        {"utterance": inputs.store.utterances, "speaker": list(speakers), "emotion": emotions, **more}
    )
    needs = heads.described("dsnet").needs({})
    frame = frame if "text" in more else frame.assign(text=frame.utterance)
    return LabelledBatches(inputs, frame, CLASSES, SCHEDULE, seed=0, needs=needs)


def test_batches_bring_the_partners_of_those_that_have_one(inputs):
    emotions = ["neutral", "anger", "sadness", "neutral", "anger", "sadness", "anger", "sadness"]
    batches = labelled(inputs, "aaabbbcc", emotions)
    for item in (batches[step] for step in range(3)):
        who = item["input_values"][:, 0, 1].int().tolist()
        partners = item["columns"]["partner"]["input_values"][:, 0, 1].int().tolist()
        assert item["columns"]["paired"].tolist() == [number not in (0, 3, 6, 7) for number in who]
        assert partners == [0 if number < 3 else 3 for number in who if number not in (0, 3, 6, 7)]
    repeated = labelled(inputs, "aaabbbcc", emotions)[2]
    assert torch.equal(repeated["columns"]["partner"]["input_values"], item["columns"]["partner"]["input_values"])


def test_a_corpus_without_a_neutral_partner_for_anybody_is_told(inputs):
    with pytest.raises(UserError, match="No speaker to fit on has a neutral utterance of another sentence"):
        labelled(inputs, "aaaabbbb", ["anger", "sadness"] * 4)


def test_without_texts_any_neutral_utterance_of_the_speaker_is_a_partner(inputs, capsys):
    batches = labelled(inputs, "aaaabbbb", ["neutral", "anger"] * 4, text="")
    assert "what is said in 8 of 8 utterances is not known" in capsys.readouterr().err
    assert batches[0]["columns"]["paired"].all()


def test_a_column_that_no_batch_has_is_told(inputs):
    rows = pd.DataFrame({"utterance": inputs.store.utterances, "emotion": ["anger", "neutral"] * 4})
    with pytest.raises(UserError, match="a head needs the column 'speakers': did you mean 'speaker'"):
        LabelledBatches(inputs, rows, CLASSES, SCHEDULE, seed=0, needs=["speakers"])


def test_gender_is_a_column_too():
    column = COLUMNS["gender"](pd.DataFrame({"gender": ["female", "male", "unknown"]}), None)
    assert column(None, np.array([2, 1, 0])).tolist() == [-1, 1, 0]


@pytest.mark.parametrize("name", models())
def test_every_encoder_and_head_go_together(name):
    kind = described(name)
    shapes = [(8000,), (6000,)] if kind.reads == "audio" else [(60, WIDTHS[kind.reads]), (40, WIDTHS[kind.reads])]
    batch = padded([torch.randn(shape) for shape in shapes])
    sizes = [size for size in ("tiny", "small", *kind.sizes) if size in kind.sizes]
    size = {"size": sizes[0]} if sizes else {}
    two = {"partner": batch, "paired": torch.ones(2, dtype=bool)}
    for head, told in heads.heads().items():
        model = EmotionClassifier.around(build(name, size, 0), CLASSES, {"head": head}, 0)
        columns = {column: two.get(column, torch.tensor([0, 1])) for column in told.needs({})}
        loss = model(**batch, emotions=torch.tensor([0, 1]), columns=columns).loss
        loss.backward()
        with torch.no_grad():
            output = model.eval()(**batch, window=1000)
        assert loss.isfinite() and output.logits.shape == (2, 3)
        for logits, around, length in zip(output.logits, output.frame_logits, output.lengths, strict=True):
            torch.testing.assert_close(
                around[:length].softmax(-1), logits.softmax(-1).expand(length, -1)
            )  # all of it


def test_labels_and_columns_reach_a_head_in_training_alone():
    model, given = mel_classifier("dsnet"), []
    model.head.register_forward_pre_hook(
        lambda _, frames, more: given.append((len(frames), {*more})), with_kwargs=True
    )
    batch, emotions = padded([torch.randn(60, 80), torch.randn(40, 80)]), torch.tensor([0, 1])
    columns = {"partner": batch, "paired": torch.ones(2, dtype=bool)}
    model(**batch, emotions=emotions, columns=columns)
    watched = model.eval()(**batch, emotions=emotions)
    assert given == [(3, {"partner", "paired"}), (2, set())]
    torch.testing.assert_close(watched.loss, torch.nn.functional.cross_entropy(watched.logits, emotions))


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"layers": 3}, "layers is 3, and the encoder has 2"),
        ({"head": "segments", "options": {"dropout": 1.5}}, "dropout and smoothing from 0 to below 1"),
        ({"head": "segments", "options": {"smoothing": -0.5}}, "dropout and smoothing from 0 to below 1"),
        ({"head": "dsnet", "options": {"orthogonal": -3.0}}, "not -3.0"),
        ({"head": "dsnet", "options": {"dimension": 0}}, "dimension of 1 on"),
        ({"head": "pooled", "options": {"projection": -1}}, "Head pooled cannot have these options"),
    ],
)
def test_a_head_that_cannot_be_is_told(settings, told):
    with pytest.raises(UserError, match=told):
        EmotionClassifier.around(build("mel-hubert", {"size": "tiny"}, 0), CLASSES, settings, 0)


@pytest.mark.parametrize("option", ["channels", "layers"])
def test_a_transformer_without_layers_or_channels_is_told(option):
    with pytest.raises(UserError, match="of 1 on"):
        build("tf-transformer", {"size": "tiny", option: 0}, 0)


@pytest.mark.parametrize(
    "text",
    ["class Own(DSNet):\n    pass\n", "class Between(DSNet):\n    pass\n\n\nclass Own(Between):\n    pass\n"],
)
def test_a_head_has_the_options_of_the_one_that_it_extends(tmp_path, text):
    (tmp_path / "own.py").write_text(f"from serflow.heads.dsnet import DSNet\n\n\n{text}")
    assert keywords(tmp_path / "own.py", "Own") == heads.described("dsnet").options
    assert keywords(tmp_path / "own.py", "DSNet") == heads.described("dsnet").options


@pytest.mark.parametrize("keyword", ["weight", "weight: float", "weight: list[int] = 3", "weight: float = 1 / 3"])
def test_what_is_no_option_of_a_head_is_told_with_its_line(tmp_path, keyword):
    (tmp_path / "own.py").write_text(
        f"class Own:\n    def __init__(self, width, classes, *, {keyword}):\n        pass"
    )
    with pytest.raises(UserError, match="own.py, line 2: an option needs a literal"):
        keywords(tmp_path / "own.py", "Own")


def test_probes_tell_what_a_vector_holds():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        [(f, s, e) for f in range(2) for s in "ab" for e in ("calm", "angry") for _ in range(30)],
        columns=["fold", "speaker", "emotion"],
    ).assign(seed=0)
    told = {"speaker": frame["speaker"] == "a", "emotion": frame["emotion"] == "calm"}
    for name, truth in told.items():
        frame[f"vector_{name}"] = list(truth.to_numpy()[:, None] * 3.0 + rng.normal(size=(len(frame), 5)))
    found = probes(frame)
    assert found["speaker"]["speaker"] > 0.9 > 0.65 > found["speaker"]["emotion"]
    assert found["emotion"]["emotion"] > 0.9 > 0.65 > found["emotion"]["speaker"]
    (note,) = probe_notes({"ours": frame, "none": frame[["fold"]]}, {"ours": "Ours", "none": "None"})
    assert note.startswith(
        "Linear probes of Ours, UA % for unheard speakers, of whom a fold tests 2 (guessing the speaker has 50): "
    )
    places, rows = projected(frame, "emotion")
    assert places.shape == (120, 2) and set(rows["fold"]) == {0}
