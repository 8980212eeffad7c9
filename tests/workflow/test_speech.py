"""Speech without labels -> an encoder that another corpus' chain starts from, unless it heard what that one tests."""

import shutil

import numpy as np
import soundfile
from transformers import AutoModel

from serflow.corpora.demo import synthesise
from serflow.models import mel_hubert  # noqa: F401 (which registers it)

SPEECH = "config/speech.yaml"
SHORT = {
    "encoders": {"hubert": {"options": {"size": "tiny"}}},
    "units": {"mfcc": {"k": 10}, "hidden": {"k": 8, "layer": 1}},
    "pretraining_schedule": {"steps": 6, "batch_seconds": 8, "report_steps": 3},
}
STARTED = {"encoders": {"hubert": {"corpus": "speech", "pretraining": "second", "options": None}}, "final": None}
FIRST = "results/demo/fold-0/seed-0/ssl/first/model.safetensors"


def test_an_encoder_of_speech_is_where_another_corpus_starts(checkout):
    code, printed = checkout.run("--dry-run", **STARTED)
    assert code != 0 and "there is no results/speech/fold-0/seed-0/ssl/second/model.safetensors" in printed

    speech, made = checkout.folder.parent / "speech", checkout.folder.parent / "made"
    synthesise(made, speakers=2, sentences=3, emotions=("neutral", "anger"), seed=5)
    for number, wav in enumerate(sorted((made / "wav").iterdir())):
        samples, rate = soundfile.read(wav)
        folder = speech / f"reader-{number % 3}" / f"chapter-{number % 2}"
        folder.mkdir(parents=True, exist_ok=True)
        soundfile.write(folder / f"{number}.{('flac', 'ogg', 'wav')[number % 3]}", samples, rate)
    soundfile.write(speech / "noise.flac", np.random.default_rng(0).uniform(-0.3, 0.3, 16000 * 70), 16000)
    config = {"configfile": checkout.folder / SPEECH, "root": str(speech), **SHORT}
    code, printed = checkout.run(**config)
    assert code == 0, printed
    assert "Nothing to be done" in checkout.run("--dry-run", **config)[1]
    folder = checkout.folder / "results/speech/fold-0/seed-0/ssl/second"
    assert AutoModel.from_pretrained(folder).config.num_hidden_layers == 2

    assert checkout.run("--", FIRST, **STARTED)[0] == 0
    assert checkout.planned(**STARTED)["pretrain"] == 13  # of fourteen
    (folder / "model.safetensors").touch()
    assert checkout.planned(**STARTED)["pretrain"] == 14

    wav = sorted((checkout.folder / "results/demo/raw/wav").iterdir())[0]
    samples, rate = soundfile.read(wav)
    soundfile.write(speech / "borrowed.flac", samples, rate)  # another format, the same samples
    code, printed = checkout.run("--", "results/speech/corpus/utterances.parquet", **config)
    assert code == 0, printed
    shutil.rmtree(checkout.folder / "results/demo/corpus")
    code, printed = checkout.run("--", FIRST, **STARTED)
    assert code != 0 and "were heard in the pretraining of corpus speech" in " ".join(printed.split())
