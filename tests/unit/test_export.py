"""What leaves serflow: the same numbers without it, from transformers' own classes and from ONNX Runtime."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from transformers import AutoFeatureExtractor, AutoModel, AutoModelForAudioClassification

from serflow import graphs
from serflow.audio import from_int16
from serflow.batches import Inputs
from serflow.cli import main
from serflow.errors import UserError
from serflow.export import export
from serflow.features import WIDTHS
from serflow.frames import FrameStore, writing_frames
from serflow.heads.classifier import EmotionClassifier
from serflow.models import build, described, encoder_class, pretraining_class
from serflow.padding import padded

CLASSES = ["anger", "neutral", "sadness"]
WAVES = ["hubert", "wavlm", "wav2vec2"]
LARGE = {"feat_extract_norm": "layer", "do_stable_layer_norm": True, "conv_bias": True}
MEAN = {"pooling": "mean"}


def encoder(name, large=False):
    if not large:
        return build(name, {"size": "tiny" if "tiny" in described(name).sizes else "small"}, 0).eval()
    made = encoder_class(name)
    torch.manual_seed(0)
    return made(made.config_class(**{**described(name).sizes["tiny"], **LARGE})).eval()


def classifier(name, large=False, head="pooled", layers="last", **options):
    """One whose running statistics and shares of layers are no longer what they start with."""
    told = {"head": head, "layers": layers, "options": options}
    model = EmotionClassifier.around(encoder(name, large), CLASSES, told, 0).eval()
    with torch.no_grad():
        model.layer_weights.normal_()
        if isinstance(getattr(model.head, "standardise", None), torch.nn.BatchNorm1d):
            model.head.standardise.running_mean.normal_()
            model.head.standardise.running_var.uniform_(0.01, 0.1)
    return model


def saved(model, folder, normalisation="utterance"):
    if isinstance(model, EmotionClassifier):
        model.config.inputs |= {"normalisation": normalisation, "mean": 0.0, "deviation": 1.0}
    model.save_pretrained(folder)
    (folder / "made.json").write_text(json.dumps({"settings": {"settings": {"normalisation": normalisation}}}))
    return folder


@pytest.mark.parametrize("large", [False, True], ids=["base", "large"])
@pytest.mark.parametrize("name", WAVES)
def test_an_encoder_is_one_of_transformers(name, large, tmp_path):
    model = pretraining_class(name).around(encoder(name, large), 5, seed=0, frozen=False).eval()
    export(saved(model, tmp_path / "ours"), tmp_path / "theirs")
    theirs, told = AutoModel.from_pretrained(tmp_path / "theirs", output_loading_info=True)
    assert type(theirs).__module__.startswith("transformers.") and not any(told.values())
    described_there = json.loads((tmp_path / "theirs" / "config.json").read_text())
    assert not {"units", "unit_width"} & described_there.keys()
    wave = torch.randn(2, 6000)
    with torch.no_grad():
        torch.testing.assert_close(theirs.eval()(wave).last_hidden_state, model.base_model(wave).hidden_states[-1])


@settings(max_examples=40)
@given(
    name=st.sampled_from(WAVES),
    large=st.booleans(),
    layers=st.sampled_from(["last", "weighted", 0, 1, 2]),
    standardise=st.booleans(),
    projection=st.sampled_from([None, 24]),
)
def test_a_classifier_is_one_of_transformers(name, large, layers, standardise, projection):
    options = {**MEAN, "projection": projection, "standardise": standardise}
    model, wave = classifier(name, large, layers=layers, **options), torch.randn(2, 6000)
    with tempfile.TemporaryDirectory() as folder:
        export(saved(model, Path(folder) / "ours"), f"{folder}/theirs")
        theirs = AutoModelForAudioClassification.from_pretrained(f"{folder}/theirs").eval()
    assert type(theirs).__module__.startswith("transformers.") and theirs.config.id2label == dict(enumerate(CLASSES))
    with torch.no_grad():
        expected = model(wave, torch.tensor([6000, 6000])).logits
        torch.testing.assert_close(theirs(wave).logits, expected, atol=1e-4, rtol=1e-4)


def test_a_pipeline_without_serflow_gives_serflow_s_probabilities(tmp_path):
    model = classifier("hubert", **MEAN)
    assert main(["export", str(saved(model, tmp_path / "ours")), str(tmp_path / "theirs")]) is None
    samples = stored(tmp_path, [9000])
    np.save(tmp_path / "wave.npy", from_int16(samples.store[0]))
    program = (
        "import json, sys, numpy as np; from transformers import pipeline; "
        "found = pipeline('audio-classification', 'theirs')(np.load('wave.npy')); "
        "assert not any(name.split('.')[0] == 'serflow' for name in sys.modules); print(json.dumps(found))"
    )
    run = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True)
    found = {one["label"]: one["score"] for one in json.loads(run.stdout.splitlines()[-1])}
    with torch.no_grad():
        expected = model(**padded([samples.read(0)])).logits.softmax(1)[0]
    assert [found[name] for name in CLASSES] == pytest.approx(expected.tolist(), abs=1e-4)


def stored(folder, lengths, width=0, seed=0):
    """`Inputs` of noise whose level and mean differ, waveforms or frames of `width`."""
    rng = np.random.default_rng(seed)
    with writing_frames(folder / f"{width}-{seed}.arrow", width, "int16" if width == 0 else "float16") as store:
        for number, length in enumerate(lengths):
            shape = (length, width) if width else (length,)
            values = rng.normal(3, 2, shape) if width else rng.normal(20, 300 + 900 * number, shape)
            store.append(f"u{number}", values.astype(np.float16 if width else np.int16))
    return Inputs(FrameStore(folder / f"{width}-{seed}.arrow"))


GRAPHS = {
    "hubert": (encoder, "hubert", {}),
    "large wavlm": (encoder, "wavlm", {"large": True}),
    "wav2vec2 and attention": (classifier, "wav2vec2", {"pooling": "attention+std", "layers": "weighted"}),
    "mel-hubert and dsnet": (classifier, "mel-hubert", {"head": "dsnet", "layers": 1}),
    "mel-hubert and gemo-clap": (classifier, "mel-hubert", {"head": "gemo-clap"}),
    "npc and segments": (classifier, "npc", {"head": "segments"}),
}


@pytest.fixture(scope="module", params=GRAPHS, ids=str)
def graph(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("graph")
    make, name, options = GRAPHS[request.param]
    model = make(name, **options)
    export(saved(model, folder / "ours"), folder / "theirs", onnx=True)
    return model, described(name).reads, onnxruntime.InferenceSession(folder / "theirs" / "model.onnx")


@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lengths=st.lists(st.integers(10, 150), min_size=1, max_size=5), seed=st.integers(0, 99))
def test_a_graph_gives_what_serflow_gives_whatever_the_batch(lengths, seed, graph, tmp_path):
    model, reads, session = graph
    audio = reads == "audio"
    lengths = [160 * length if audio else length for length in lengths]
    inputs = stored(tmp_path, lengths, 0 if audio else WIDTHS[reads], seed)
    raw = [from_int16(inputs.store[row]) if audio else np.float32(inputs.store[row]) for row in range(len(lengths))]
    found = session.run(None, {name: values.numpy() for name, values in padded(raw).items()})
    with torch.no_grad():
        expected = model(**padded([inputs.read(row) for row in range(len(lengths))]))
    if isinstance(model, EmotionClassifier):
        np.testing.assert_allclose(found[0], expected.logits, atol=1e-4, rtol=1e-4)
        assert json.loads(session.get_modelmeta().custom_metadata_map["classes"]) == CLASSES
        return
    assert found[1].tolist() == expected.lengths.tolist()
    for row, tokens in enumerate(found[1]):
        np.testing.assert_allclose(
            found[0][row, :tokens], expected.hidden_states[-1][row, :tokens], atol=1e-4, rtol=1e-4
        )


def test_what_transformers_has_no_class_for_is_told(tmp_path):
    models = {
        "has attention or deviations.*--onnx": classifier("hubert", pooling="attention"),
        "attention or deviations in its pooling.*--onnx": classifier("hubert"),
        "has the head dsnet.*--onnx": classifier("hubert", head="dsnet"),
        "reads features that serflow extracts.*mel_hubert.*--onnx": classifier("mel-hubert", **MEAN),
    }
    for number, (sentence, model) in enumerate(models.items()):
        with pytest.raises(UserError, match=sentence):
            export(saved(model, tmp_path / str(number)), tmp_path / "target")
    assert not (tmp_path / "target").exists()


@pytest.mark.parametrize("name", ["mockingjay", "tf-transformer"])
def test_a_network_that_cannot_become_a_graph_is_told_and_nothing_is_left(name, tmp_path):
    model = EmotionClassifier.around(build(name, {"size": min(described(name).sizes)}, 0), CLASSES, {}, 0)
    folder = saved(model, tmp_path / "ours")
    with pytest.raises(UserError, match="under the head pooled cannot become a graph"):
        export(folder, tmp_path / "target", onnx=True)
    assert list(tmp_path.iterdir()) == [folder]


def test_missing_packages_are_named(tmp_path, monkeypatch):
    monkeypatch.setattr(graphs, "PACKAGES", ("onnx", "no_such_package"))
    with pytest.raises(UserError, match="--onnx needs no_such_package"):
        export(saved(encoder("hubert"), tmp_path / "ours"), tmp_path / "target", onnx=True)


def test_no_folder_a_broken_folder_and_a_target_that_exists_are_refused(tmp_path):
    with pytest.raises(UserError, match="is no model folder"):
        export(tmp_path / "none", tmp_path / "target")
    folder = saved(classifier("hubert", **MEAN), tmp_path / "ours")
    with pytest.raises(UserError, match="exists already"):
        export(folder, folder)
    (folder / "model.safetensors").write_bytes(b"nothing")
    with pytest.raises(UserError, match="holds no trained system"):
        export(folder, tmp_path / "target")
    assert list(tmp_path.iterdir()) == [folder]


@pytest.mark.parametrize("note", [b"[]", b"{", b'{"settings": 3}', b"\xff"])
def test_a_note_that_does_not_tell_the_normalisation_is_told(tmp_path, note):
    build("hubert", {"size": "tiny"}, 0).save_pretrained(tmp_path / "ours")
    (tmp_path / "ours/made.json").write_bytes(note)
    with pytest.raises(UserError, match="made.json does not tell what made the model .*: copy the folder again"):
        export(tmp_path / "ours", tmp_path / "theirs")
    assert not (tmp_path / "theirs").exists()


@pytest.mark.parametrize("kind", ["training", "speaker"])
def test_a_normalisation_that_no_folder_holds_is_told_and_not_replaced(kind, tmp_path, capsys):
    export(saved(classifier("hubert", **MEAN), tmp_path / "ours", kind), tmp_path / "theirs")
    told = {"training": "of the speakers it was trained on (", "speaker": "of all utterances of their speaker"}
    assert told[kind] in capsys.readouterr().out
    assert not AutoFeatureExtractor.from_pretrained(tmp_path / "theirs").do_normalize
