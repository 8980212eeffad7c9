"""A trained system in use: one answer for a recording however it comes, a sentence for what cannot be heard, and
nothing but data read from a model folder."""

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
import torch
from safetensors.torch import load_file, save_file

import serflow
from serflow import audio
from serflow.audio import RATE, AudioFault
from serflow.cli import main
from serflow.errors import UserError
from serflow.features import extracted
from serflow.frames import FrameStore, writing_frames
from serflow.heads.classifier import EmotionClassifier, load_classifier
from serflow.models import build
from serflow.normalisation import kept, shared_moments
from serflow.recognition.annotations import shown
from serflow.recognition.recogniser import LONGEST
from serflow.recognition.trained import best, trained

CLASSES = ["anger", "neutral", "sadness"]


def saved(folder, name="frames", head="pooled", seed=0, normalisation=None, **options):
    """A model folder of a network that tells recordings apart, though it was trained on none: by attention, since the
    mean and deviation of frames that are normalised over the utterance are the same for all."""
    options = ({"pooling": "attention"} if head == "pooled" else {}) | options
    size = {} if name == "frames" else {"size": "tiny" if name != "mel-hubert" else "small"}
    model = EmotionClassifier.around(
        build(name, size, seed), CLASSES, {"head": head, "options": options}, seed
    ).eval()
    with torch.no_grad():
        for weights in model.head.parameters():
            weights.normal_(0, 0.3)
    model.config.inputs |= normalisation or {}
    model.save_pretrained(folder)
    return folder


def voice(seconds=1.5, rate=RATE, seed=0):
    """Noise up to 7 kHz that rises and falls, the same sound at any rate that holds it."""
    rng, time = np.random.default_rng(seed), np.arange(round(seconds * rate)) / rate
    tones = zip(rng.uniform(50, 7000, 200), rng.uniform(0, 2 * np.pi, 200), strict=True)
    sound = sum(np.sin(2 * np.pi * pitch * time + phase) for pitch, phase in tones)
    return (0.008 * sound * (1.2 + np.sin(2 * np.pi * 1.5 * time))).astype(np.float32)


def stereo(samples, rate=RATE):
    """Two channels that differ, whose mean is `samples`."""
    apart = 0.3 * voice(len(samples) / rate, rate, seed=1)
    return np.stack([samples + apart, samples - apart], 1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return saved(tmp_path_factory.mktemp("model") / "one")


def python(program, *arguments):
    """A program run by itself, with the library that is tested."""
    command, library = [sys.executable, "-c", program, *map(str, arguments)], str(Path(serflow.__file__).parents[1])
    environment = {**os.environ, "PYTHONPATH": library}
    return subprocess.run(command, capture_output=True, text=True, env=environment)


def probabilities(found):
    return np.array([list(segment.probabilities.values()) for segment in found])


def test_a_waveform_is_heard_as_its_file_is(folder, tmp_path):
    model, samples = serflow.load(folder), voice()
    integers = audio.to_int16(samples)
    soundfile.write(tmp_path / "a.wav", integers, RATE)
    ((path, from_file),) = model.files([tmp_path / "a.wav"])
    both = stereo(samples)
    for waveform in (samples, integers, integers.astype(np.int32) << 16, both, both.T, torch.from_numpy(samples)):
        np.testing.assert_allclose(probabilities(model(waveform, RATE)), probabilities(from_file), atol=1e-5)
    assert np.abs(probabilities(model(both[:, 0], RATE)) - probabilities(from_file)).max() > 0.01
    assert path == tmp_path / "a.wav" and from_file[0].emotion in CLASSES and from_file[0].start == 0
    assert sum(from_file[0].probabilities.values()) == pytest.approx(1, abs=1e-6)
    for wrong in (samples.astype(np.uint8), np.zeros((2, 2, 2)), "voice"):
        with pytest.raises(UserError, match="is none: give floats between -1 and 1, or signed integers"):
            model(wrong, RATE)
    with pytest.raises(AudioFault, match="not finite"):
        model(np.full(RATE, np.nan), RATE)


@pytest.mark.parametrize(
    ("rate", "name", "how", "tolerance"),
    [
        (22050, "a.wav", {}, 0.05),
        (44100, "a.flac", {"subtype": "PCM_24"}, 0.05),
        (48000, "a.wav", {"subtype": "FLOAT"}, 0.05),
        (48000, "a.ogg", {"format": "OGG", "subtype": "OPUS"}, 0.1),
        (44100, "a.mp3", {}, 0.1),
    ],
)
def test_other_rates_channels_and_formats_change_little(rate, name, how, tolerance, folder, tmp_path):
    model = serflow.load(folder)
    soundfile.write(tmp_path / name, stereo(voice(rate=rate), rate), rate, **how)
    ((_, found),) = model.files([tmp_path / name])
    np.testing.assert_allclose(probabilities(found), probabilities(model(voice(), RATE)), atol=tolerance)


def test_a_segment_is_what_it_would_be_alone(folder, tmp_path):
    model, samples = serflow.load(folder), voice(13.0)
    soundfile.write(tmp_path / "a.wav", audio.to_int16(samples), RATE)
    ((_, found),) = model.files([tmp_path / "a.wav"], segment=5)
    assert [(one.start, one.end) for one in found] == [(0, 5), (5, 10), (10, 13)]
    for one in found:
        alone = model(samples[round(one.start * RATE) : round(one.end * RATE)], RATE)
        np.testing.assert_allclose(probabilities([one]), probabilities(alone), atol=1e-6)
    assert len(model(samples, RATE)) == 1 and len(model(np.resize(samples, int((LONGEST + 4) * RATE)), RATE)) == 6
    found = model(np.concatenate([samples[: 5 * RATE], np.zeros(5 * RATE)]), RATE, segment=5)
    assert [(one.start, one.end) for one in found] == [(0, 5)]  # silence has no emotion
    with pytest.raises(AudioFault, match="silent"):
        model(np.zeros(RATE), RATE)
    with pytest.raises(AudioFault, match="too short: 0.050 s"):
        model(voice(0.05), RATE)


def test_folds_and_seeds_are_averaged(tmp_path):
    system = tmp_path / "systems" / "ours"
    own = [saved(system / f"fold-{fold}/seed-0/model", seed=fold) for fold in (0, 1)]
    final = saved(system / "fold-final/seed-0/model", seed=2)
    single = [probabilities(serflow.load(path)(voice(), RATE)) for path in own]
    np.testing.assert_allclose(probabilities(serflow.load(system)(voice(), RATE)), np.mean(single, 0), atol=1e-6)
    assert np.abs(single[0] - single[1]).max() > 0.01
    assert serflow.load(system / "fold-final").models[0].config.id2label == load_classifier(final).config.id2label
    saved(system / "fold-1/seed-0/model", name="hubert")
    with pytest.raises(UserError, match="are of different systems"):
        serflow.load(system)
    with pytest.raises(UserError, match="holds no model: give results/"):
        serflow.load(tmp_path / "nowhere")


def test_what_was_fitted_on_goes_with_the_model(tmp_path):
    names, rows = ["a", "b"], pd.DataFrame({"utterance": ["a", "b"], "speaker": ["x", "x"]})
    spoken = [audio.to_int16(level * voice(seed=number)) for number, level in enumerate((1, 2))]
    with writing_frames(tmp_path / "frames.arrow", 240) as writer:
        for number, name in enumerate(names):
            writer.append(name, extracted("fbank_deltas", audio.from_int16(spoken[number])))
    store = FrameStore(tmp_path / "frames.arrow")
    told = kept("training", shared_moments("training", store, rows, names))
    by_training = saved(tmp_path / "training", normalisation=told)
    by_speaker = saved(tmp_path / "speaker", normalisation=kept("speaker", None))
    (tmp_path / "x").mkdir()
    for number, name in enumerate(names):
        soundfile.write(tmp_path / "x" / f"{name}.wav", spoken[number], RATE)
    files = sorted((tmp_path / "x").glob("*"))
    found = [probabilities(one) for _, one in serflow.load(by_training).files(files)]
    same = [probabilities(one) for _, one in serflow.load(by_speaker).files(files)]  # both heard the same two
    np.testing.assert_allclose(same, found, atol=1e-5)
    alone = saved(tmp_path / "utterance")
    assert np.abs(found - np.array([probabilities(one) for _, one in serflow.load(alone).files(files)])).max() > 1e-4
    speakers = serflow.load(by_speaker)
    np.testing.assert_allclose(probabilities(speakers(spoken[0], RATE, speaker=[spoken[1]])), same[0], atol=1e-5)
    ((_, fault),) = speakers.files(files[:1])
    assert str(fault).startswith("alone: the model normalises what it hears by all recordings of a speaker")
    with pytest.raises(UserError, match="give others of this one, as speaker="):
        speakers(voice(), RATE)


def test_classes_are_chosen_and_prompts_may_be_new(folder, tmp_path, capsys):
    every = serflow.load(folder)(voice(), RATE)[0].probabilities
    two = serflow.load(folder, ["sadness", "anger"])(voice(), RATE)[0].probabilities
    assert list(two) == ["sadness", "anger"]
    assert two["anger"] / two["sadness"] == pytest.approx(every["anger"] / every["sadness"], rel=1e-4)
    with pytest.raises(UserError, match="reads no prompts, and was not trained on the class 'sadnes': did you mean"):
        serflow.load(folder, ["anger", "sadnes"])
    with pytest.raises(UserError, match="are no two or more different ones"):
        serflow.load(folder, ["anger", "anger"])
    prompted = saved(tmp_path / "clap", head="gemo-clap", prompts={"anger": ["so angry"], "sadness": ["so calm"]})
    heard = serflow.load(prompted, ["anger", "so calm", "neutral"])(voice(), RATE)[0].probabilities
    known = serflow.load(prompted, ["anger", "neutral"])(voice(), RATE)[0].probabilities
    assert list(heard) == ["anger", "so calm", "neutral"] and set(known) == {"anger", "neutral"}
    with pytest.raises(UserError, match="does not know the words of 'weary'"):
        serflow.load(prompted, ["anger", "weary"])
    soundfile.write(tmp_path / "a.wav", audio.to_int16(voice()), RATE)
    asked = ["predict", str(tmp_path / "a.wav"), "--model", str(prompted), "--classes"]
    assert main([*asked, "anger, so calm,neutral"]) == 0
    (row,) = csv.DictReader(io.StringIO(capsys.readouterr().out), delimiter="\t")
    assert row["emotion"] == max(heard, key=heard.get)
    assert {name: float(row[f"p_{name}"]) for name in heard} == pytest.approx(heard, abs=1e-5)
    assert [name for name in row if name.startswith("p_")] == ["p_anger", "p_so calm", "p_neutral"]
    with pytest.raises(SystemExit, match="does not know the words of 'weary'"):
        main([*asked, "anger,weary"])
    (prompted / "tokenizer.json").write_text("[]")
    with pytest.raises(UserError, match="has no tokenizer.json that can be read"):
        serflow.load(prompted, ["anger", "so calm"])


def broken(folder):
    """{name: the beginning of what is wrong} of seven files that cannot be heard, made in `folder`."""
    whole = voice(1.0)
    soundfile.write(folder / "whole.wav", whole, RATE)
    content = (folder / "whole.wav").read_bytes()
    (folder / "whole.wav").unlink()
    (folder / "empty.wav").touch()
    (folder / "text.mp3").write_text("no audio at all")
    (folder / "cut.wav").write_bytes(content[: len(content) // 2])
    soundfile.write(folder / "silent.flac", np.zeros(RATE), RATE)
    soundfile.write(folder / "nan.wav", np.full(RATE, np.nan), RATE, subtype="FLOAT")
    soundfile.write(folder / "short.wav", whole[:800], RATE)
    soundfile.write(folder / "\x1b[31mloud\n.wav", 10 * whole, RATE, subtype="FLOAT")
    return {
        "empty.wav": "empty", "text.mp3": "unreadable", "cut.wav": "truncated", "silent.flac": "silent",
        "nan.wav": "not finite", "short.wav": "too short", "\\x1b[31mloud\\n.wav": "overdriven",
    }  # fmt: skip


def test_a_broken_file_is_named_and_stops_no_other(folder, tmp_path, capsys):
    for number in range(93):
        soundfile.write(tmp_path / f"{number}.wav", voice(0.3, seed=number % 5), RATE)
    faults = broken(tmp_path)
    assert main(["predict", str(tmp_path), "--model", str(folder)]) == 1
    printed = capsys.readouterr()
    table = pd.read_csv(io.StringIO(printed.out), sep="\t")
    assert len(table) == 93 == table.file.nunique() and set(table.emotion) <= set(CLASSES)
    assert list(table) == ["file", "start", "end", "emotion", *(f"p_{name}" for name in CLASSES)]
    lines = printed.err.splitlines()
    for name, fault in faults.items():
        assert sum(line.startswith(f"serflow: {tmp_path / name}: {fault}") for line in lines) == 1, printed.err
    assert lines[-1] == "serflow: 7 of 100 recordings cannot be heard."
    assert main(["predict", str(tmp_path / "1.wav"), str(tmp_path / "gone.wav"), "--model", str(folder)]) == 1
    printed = capsys.readouterr()
    assert "gone.wav: missing: no such file" in printed.err and len(printed.out.splitlines()) == 2
    (tmp_path / "none").mkdir()
    with pytest.raises(SystemExit, match="none has no recordings: name a folder with wav, flac"):
        main(["predict", str(tmp_path / "none"), "--model", str(folder)])


def test_names_that_are_no_text_or_no_names_are_heard_or_told(folder, tmp_path, capsys):
    strange = os.fsdecode(os.fsencode(tmp_path) + b"/\xff.wav")
    soundfile.write(tmp_path / "a.wav", voice(1.0), RATE)
    os.rename(tmp_path / "a.wav", strange)
    assert main(["predict", strange, "x" * 300 + ".wav", "--model", str(folder)]) == 1
    printed = capsys.readouterr()
    assert len(printed.out.splitlines()) == 2 and "\\udcff.wav" in printed.out
    assert "x.wav: missing: no such file" in printed.err


@pytest.mark.parametrize(
    ("recordings", "output", "sentence"),
    [
        (["a.wav"], "a.wav", "a.wav is no folder"),
        (["1/a.wav", "2/a.wav"], "out", "2 of the recordings are called a.wav"),
    ],
)
def test_what_cannot_be_written_is_told_before_anything_is_heard(tmp_path, monkeypatch, recordings, output, sentence):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.wav").touch()
    with pytest.raises(SystemExit, match=sentence):
        main(["predict", *recordings, "--output", output])


def test_every_form_says_the_same(folder, tmp_path, capsys):
    samples, name = audio.to_int16(voice(4.0)), "a b\u00e4.wav"
    soundfile.write(tmp_path / name, samples, RATE)
    asked = ["predict", str(tmp_path / name), "--model", str(folder), "--segment", "2"]
    found = serflow.load(folder)(samples, RATE, frames=True, segment=2)

    def printed(*more):
        assert main([*asked, *more]) == 0
        return capsys.readouterr().out

    table = pd.read_csv(io.StringIO(printed()), sep="\t")
    assert table.emotion.tolist() == [one.emotion for one in found]
    np.testing.assert_allclose(table[[f"p_{name}" for name in CLASSES]], probabilities(found), atol=1e-5)
    (entry,) = json.loads(printed("--format", "json", "--frames"))
    assert entry["file"] == str(tmp_path / name)
    for told, one in zip(entry["segments"], found, strict=True):
        assert (told["start"], told["end"], told["emotion"]) == (one.start, one.end, one.emotion)
        np.testing.assert_allclose(told["posteriors"], one.posteriors, atol=1e-5)
        assert len(told["times"]) == len(told["weights"]) == len(one.times)
    labels = pd.read_csv(io.StringIO(printed("--format", "audacity")), sep="\t", header=None)
    assert labels.to_numpy().tolist() == [[0, 2, found[0].emotion], [2, 4, found[1].emotion]]
    turns = [line.split(" ") for line in printed("--format", "rttm").splitlines()]
    assert [turn[7] for turn in turns] == labels[2].tolist() and {len(turn) for turn in turns} == {10}
    assert turns[0][1].endswith("a_b\u00e4.wav") and [turn[3:5] for turn in turns] == [
        ["0.000", "2.000"],
        ["2.000"] * 2,
    ]
    frames = pd.read_csv(io.StringIO(printed("--frames")), sep="\t")
    np.testing.assert_allclose(frames.time, np.concatenate([one.times for one in found]), atol=1e-4)
    assert frames.groupby(frames.time < 2).weight.sum().tolist() == pytest.approx([1, 1], abs=0.01)
    runs = pd.read_csv(io.StringIO(printed("--frames", "--format", "audacity")), sep="\t", header=None)
    assert (
        runs[0].iloc[0] == 0 and runs[1].iloc[-1] == 4 and (runs[0].iloc[1:].array == runs[1].iloc[:-1].array).all()
    )
    with pytest.raises(SystemExit, match="a track of labels a recording: name one recording, or a folder"):
        main(["predict", str(tmp_path), "gone.wav", *asked[2:], "--format", "audacity"])
    printed("--format", "audacity", "--output", str(tmp_path / "labels"))
    assert (tmp_path / "labels" / f"{name}.txt").is_file()


def test_an_hour_needs_little_memory(folder, tmp_path):
    minute = np.resize(audio.to_int16(voice(6.0)), 60 * RATE)
    with soundfile.SoundFile(tmp_path / "hour.wav", "w", RATE, 1) as file:
        for _ in range(60):
            file.write(minute)
    program = (
        "import re, sys; from serflow.cli import main; from serflow.progress import LINE\n"
        "LINE |= {'mininterval': 0.2, 'delay': 0.1}; main(sys.argv[1:])\n"
        "print(re.search(r'VmHWM:\\s+(\\d+)', open('/proc/self/status').read())[1], file=sys.stderr)"
    )
    asked = ["predict", str(tmp_path / "hour.wav"), "--model", str(folder)]
    run = python(program, *asked)
    assert len(run.stdout.splitlines()) == 361
    *lines, kilobytes = run.stderr.splitlines()
    assert any(line.startswith("segments:") and line.endswith("left") for line in lines), run.stderr
    assert int(kilobytes) < 2**20  # 1 GB, most of it torch's and transformers' code


def damaged(folder, target, **changes):
    """A copy of a model folder with `changes` of its config.json."""
    target.mkdir()
    for path in folder.iterdir():
        (target / path.name).write_bytes(path.read_bytes())
    told = json.loads((target / "config.json").read_text())
    (target / "config.json").write_text(json.dumps(told | changes))
    return target


class Bomb:
    def __reduce__(self):
        return print, ("unpickled",)


def test_a_model_folder_is_read_as_data(folder, tmp_path, capsys):
    told = json.loads((folder / "config.json").read_text())
    named = {"auto_map": {"AutoModel": "bomb.Bomb"}, "_attn_implementation": "nobody/kernel", "_name_or_path": "x"}
    harmless = damaged(folder, tmp_path / "code", **named, adapter="x", encoder=told["encoder"] | named)
    (harmless / "bomb.py").write_text("print('executed')")
    torch.save({"weights": Bomb()}, harmless / "pytorch_model.bin")
    (harmless / "model.safetensors.index.json").write_text(
        json.dumps({"metadata": {}, "weight_map": dict.fromkeys(load_file(folder / "model.safetensors"), "x.bin")})
    )
    torch.save({"weights": Bomb()}, harmless / "x.bin")
    np.testing.assert_array_equal(
        probabilities(serflow.load(harmless)(voice(), RATE)), probabilities(serflow.load(folder)(voice(), RATE))
    )
    (harmless / "model.safetensors").unlink()
    cases = {
        "pickled": (harmless, "holds no trained system"),
        "deep": (damaged(folder, tmp_path / "deep", options={"layers": 10**6}), "layers is 1000000, more than"),
        "head": (damaged(folder, tmp_path / "head", head="bomb"), "holds no trained system .There is no head 'bomb'"),
        "option": (damaged(folder, tmp_path / "option", options={"bomb": 1}), "holds no trained system.*bomb"),
        "layer": (damaged(folder, tmp_path / "layer", layers="third"), "layers is third"),
        "class": (damaged(folder, tmp_path / "class", id2label={"0": "a", "1": "b"}), "are of different models"),
        "names": (damaged(folder, tmp_path / "names", id2label={"0": "a", "1": "a", "2": "b"}), "no different names"),
        "type": (damaged(folder, tmp_path / "type", model_type="bert"), "holds no trained system .it is a 'bert'"),
        "inputs": (damaged(folder, tmp_path / "inputs", inputs={"sampling_rate": 8000}), "does not say that its"),
        "statistics": (
            damaged(folder, tmp_path / "kept", inputs=told["inputs"] | kept("training", {0: _moments(np.nan)})),
            "the mean of its inputs is no fbank_deltas",
        ),
        "wide": (
            damaged(folder, tmp_path / "wide", encoder=told["encoder"] | {"hidden_size": 10**9}),
            "are of different models",
        ),
    }
    weights = load_file(folder / "model.safetensors")
    for name, value in {"nan": torch.nan, "cut": None}.items():
        cases[name] = (damaged(folder, tmp_path / name), "not all numbers" if value else "holds no trained system")
        path = tmp_path / name / "model.safetensors"
        if value is None:
            path.write_bytes(path.read_bytes()[:-9])
        else:
            save_file(
                {key: tensor * value if tensor.is_floating_point() else tensor for key, tensor in weights.items()},
                path,
            )
    (tmp_path / "list").mkdir()
    (tmp_path / "list" / "config.json").write_text("[1")
    cases["json"] = (tmp_path / "list", "is no model description")
    for name, (path, sentence) in cases.items():
        with pytest.raises(UserError, match=sentence):
            serflow.load(path)
        with pytest.raises(SystemExit, match=sentence):
            main(["predict", "a.wav", "--model", str(path)])
        printed = capsys.readouterr()
        assert "unpickled" not in printed.out and "executed" not in printed.out, name


def _moments(value):
    return np.float32([value] * 240), np.float32([1.0] * 240)


def test_names_of_files_are_one_line_of_text():
    assert (
        shown("a\tb\x1b[2Jc\udcff\u202e.wav") == "a\\tb\\x1b[2Jc\\udcff\\u202e.wav"
        and shown("\u00e4 b.wav") == "\u00e4 b.wav"
    )


def table(results, corpus, **scores):
    (results / corpus / "tables").mkdir(parents=True, exist_ok=True)
    rows = [
        {"system": name, "name": name.title(), "UA": ua, "UA_low": ua - 0.1, "UA_high": ua + 0.1}
        for name, ua in scores.items()
    ]
    pd.DataFrame(rows).to_csv(results / corpus / "tables" / "ours.csv", index=False)


def model_of(results, corpus, system, fold="0", **settings):
    folder = results / corpus / "systems" / system / f"fold-{fold}" / "seed-0" / "model"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    made(folder, **settings)


def made(folder, **settings):
    settings = {"zero_shot": None, "transductive": False, "normalisation": "utterance"} | settings
    (folder / "made.json").write_text(json.dumps({"settings": {"settings": settings}}))


@pytest.mark.parametrize(
    "content",
    [b"system,name,UA,UA_low,UA_high\ns,S,0.5,0.", b"system,UA_low\ns,1\n", b"\xff\xfe", b'"' + b"x" * 2**18],
)
def test_a_damaged_table_is_named(tmp_path, monkeypatch, content):
    monkeypatch.chdir(tmp_path)
    model_of(tmp_path / "results", "one", "s")
    (tmp_path / "results/one/tables").mkdir()
    (tmp_path / "results/one/tables/ours.csv").write_bytes(content)
    for asked in (["models"], ["predict", "a.wav"]):
        with pytest.raises(SystemExit, match="ours.csv is damaged .*: run snakemake again, or remove it"):
            main(asked)


def test_the_best_of_a_corpus_is_taken_and_told(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    results = tmp_path / "results"
    with pytest.raises(SystemExit, match="results/ has no trained system with a score: run snakemake first"):
        main(["predict", "a.wav"])
    table(results, "one", svm=0.95, plain=0.5, good=0.7, cheat=0.9, other=0.8)
    for system in ("plain", "good"):
        model_of(results, "one", system)
    model_of(results, "one", "good", "1")
    model_of(results, "one", "cheat", normalisation="speaker")
    model_of(results, "one", "other", zero_shot=["anger", "fear"])
    assert best(results).folder.name == "good" and best(results).models == 2
    assert main(["models"]) is None
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[-1] for line in lines[1:]] == ["Cheat", "Other", "Good", "Plain"]
    model_of(results, "one", "good", "final")
    assert best(results).final.parts[-3:] == ("fold-final", "seed-0", "model") and best(results).models == 2
    table(results, "two", plain=0.3)
    model_of(results, "two", "plain")
    with pytest.raises(
        UserError, match="of 2 corpora, whose scores cannot be compared: name one by --model; the best"
    ):
        best(results)
    assert {one.corpus for one in trained(results)} == {"one", "two"}


def test_without_a_model_the_best_answers_and_is_named(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    systems = Path("results/one/systems")
    soundfile.write("a.wav", audio.to_int16(voice()), RATE)
    table(Path("results"), "one", plain=0.5, good=0.7)
    for seed, name in enumerate(("plain/fold-0", "good/fold-0", "good/fold-1", "good/fold-final")):
        if "final" in name:
            best_folds = printed(capsys, "a.wav")
            assert best_folds.out == printed(capsys, "a.wav", "--model", str(systems / "good")).out
            assert f"{systems}/good: Good, UA 70.0 [60.0, 80.0] % in ours, the best of results/\n" in best_folds.err
        made(saved(systems / name / "seed-0/model", seed=seed))
    final = printed(capsys, "a.wav")
    assert final.out == printed(capsys, "a.wav", "--model", str(systems / "good/fold-final")).out != best_folds.out
    assert f"{systems}/good/fold-final/seed-0/model: Good, UA 70.0" in final.err


def printed(capsys, *asked):
    capsys.readouterr()
    assert main(["predict", *asked]) == 0
    return capsys.readouterr()


def test_a_model_that_transformers_loads_leaves_features_as_they_are(tmp_path):
    program = (
        "import sys, numpy\n"
        "from serflow.features import fbank; from serflow.heads.classifier import EmotionClassifier\n"
        "EmotionClassifier.from_pretrained(sys.argv[1]); print(fbank(numpy.ones(1600, 'float32')).shape)"
    )
    run = python(program, saved(tmp_path / "model", "mel-hubert"))
    assert run.stdout == "(8, 80)\n", run.stderr
