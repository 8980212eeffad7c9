"""What the finished run trained, in use: the numbers of its predictions, its final model and its cards."""

import json

import numpy as np
import pandas as pd
import pytest
import yaml
from safetensors.torch import load_file

import serflow
from serflow.frames import FrameStore
from serflow.recognition.trained import trained

SOME = 4  # utterances of each system


@pytest.fixture(scope="module")
def results(finished):
    return finished[0].folder / "results" / "demo"


def test_every_system_says_of_a_file_what_its_predictions_say(results):
    utterances = pd.read_parquet(results / "corpus/utterances.parquet").set_index("utterance")
    folders = sorted(results.glob("systems/*/fold-0/seed-0/model"))
    heads = {json.loads((folder / "config.json").read_text())["head"] for folder in folders}
    assert heads == {"pooled", "segments", "dsnet", "gemo-clap"}
    for folder in folders:
        expected = pd.read_parquet(folder.with_name("predictions.parquet")).iloc[:SOME]
        frames = FrameStore(folder.with_name("frames.arrow"))
        model = serflow.load(folder)
        found = model.files([results / "raw" / utterances.path[name] for name in expected.utterance], frames=True)
        for row, (_, (segment,)) in zip(expected.itertuples(), found, strict=True):
            told = [getattr(row, f"p_{name}") for name in model.classes]
            np.testing.assert_allclose(list(segment.probabilities.values()), told, atol=1e-5, err_msg=str(folder))
            assert segment.emotion == row.prediction and segment.end == pytest.approx(
                utterances.seconds[row.utterance]
            )
            both = np.column_stack([segment.weights, segment.posteriors])
            np.testing.assert_allclose(both, frames[row.utterance], atol=1e-3, err_msg=str(folder))


def test_the_final_model_heard_everybody_and_is_not_scored(results):
    (final,) = results.glob("systems/*/fold-final/seed-0")
    assert len(pd.read_parquet(final / "predictions.parquet")) == 0 and len(FrameStore(final / "frames.arrow")) == 0
    folds = pd.read_parquet(results / "corpus/folds.parquet")
    made = json.loads((final / "model/made.json").read_text())
    assert "results/demo/fold-final/seed-0/ssl/intense-spans/model.safetensors" in made["inputs"]
    fold = load_file(final.parents[1] / "fold-0/seed-0/model/model.safetensors")
    own = load_file(final / "model/model.safetensors")
    assert any(not np.array_equal(fold[name], own[name]) for name in fold)
    strengths = pd.read_parquet(results / "fold-final/intensity/strengths.parquet")
    assert set(strengths.utterance) == set(folds.utterance)
    assert not serflow.load(final.parents[1]).models[0].training and len(serflow.load(final.parents[1]).models) == 2
    (known,) = [one for one in trained(results.parent) if one.final]
    assert known.final == final / "model" and known.models == 2 and known.table == "emotional"


def test_every_trained_system_of_a_table_has_its_card(results):
    paths = [path for path in results.glob("tables/*.csv") if not path.stem.endswith("-scores")]
    tables = pd.concat(map(pd.read_csv, paths))
    folders = {folder.parents[2] for folder in results.glob("systems/*/fold-0/seed-0/model")}
    scored = {folder for folder in folders if folder.name in set(tables.get("system", []))}
    cards = {path.parent: path.read_text() for path in results.glob("systems/*/README.md")}
    assert set(cards) == scored and scored
    for folder, text in cards.items():
        _, header, body = text.split("---\n", 2)
        told = yaml.safe_load(header)
        (entry,) = told["model-index"]
        (result,) = entry["results"]
        row = tables[(tables.system == folder.name) & tables.WA.notna()].iloc[0]
        assert told["license"] == "unknown" and told["library_name"] == "serflow"
        assert {one["name"]: one["value"] for one in result["metrics"]} == {
            "UA": row.UA, "WA": row.WA, "macro-F1": row.macro_F1
        }  # fmt: skip
        assert (
            entry["name"] == row["name"]
            and f"serflow predict <files or folders> --model results/demo/systems/{folder.name}" in body
        )
        for line in (r"\| Emotion anger +\|", r"\| Gender female +\|", f"UA {100 * row.UA:.1f}"):
            assert pd.Series([body]).str.contains(line).all(), line
        assert (
            body.count("| Speaker ") == 2 and "is labelled wrongly (EDER)" in body and "altered: Noise 0 dB" in body
        )
        assert ("is the final model" in body) == (folder / "fold-final").is_dir()


def test_a_final_model_of_the_longest_chain_is_planned(finished):
    planned = finished[0].planned(final="hubert-frame-labels-attention")
    chain = {"cluster": 3, "pretrain": 3, "finetune": 2}
    assert {rule: planned[rule] for rule in chain} == chain and planned["cards"] == 1
