"""Nothing fitted for a fold hears its test speakers: their audio becomes noise, and every fit stays as it was."""

import shutil

import numpy as np
import pandas as pd
import soundfile
from safetensors.numpy import load_file

from serflow.frames import FrameStore

MODELS = ["fold-0/seed-0/intensity/*/model", "fold-0/seed-0/ssl/*", "systems/*/fold-0/seed-0/model"]
FITTED = [f"{model}/model.safetensors" for model in MODELS] + ["fold-0/seed-0/units/*/centroids.npy"]
FITTED += [f"{model}/history.csv" for model in MODELS]

# Another k, and a twin, of what is asked.
ALIKE = {"emotion-k8", "hubert-frame-labels-k8", "hubert-frame-labels-attention-k8", "again", "hubert-twin"}


def test_noise_for_test_speakers_changes_no_fit(finished, checkout):
    results = finished[0].folder / "results" / "demo"
    utterances = pd.read_parquet(results / "corpus/utterances.parquet")
    folds = pd.read_parquet(results / "corpus/folds.parquet")
    tested = set(folds.utterance[(folds.fold == 0) & (folds.part == "test")])
    corpus = checkout.folder.parent / "corpus"
    shutil.copytree(results / "raw", corpus)
    noise = np.random.default_rng(0)
    for row in utterances[utterances.utterance.isin(tested)].itertuples():
        samples = int(row.seconds * row.sample_rate * noise.uniform(0.5, 1.5))  # lengths must not leak either
        soundfile.write(corpus / row.path, noise.normal(0, 0.1, samples).clip(-1, 1), row.sample_rate)

    found = (path.relative_to(results) for pattern in FITTED for path in results.glob(pattern))
    fitted = sorted(path for path in found if not ALIKE & {*path.parts})
    assert len(fitted) == 4 + 10 + 3 + 18  # intensity, pretrainings, units, systems
    assert any("dsnet" in path.parts for path in fitted)  # whose partners are drawn from the fold
    stores = (path.relative_to(results) for path in results.glob("fold-0/seed-0/**/*.arrow"))
    stores = [path for path in stores if not ALIKE & {*path.parts}]
    other = "systems/hubert-scratch/fold-1/seed-0/model/model.safetensors"
    predictions = "systems/hubert-mean/fold-0/seed-0/predictions.parquet"
    strengths = "fold-0/intensity/strengths.parquet"
    targets = [f"results/demo/{path}" for path in [*fitted, *stores, strengths, predictions, other]]
    code, printed = checkout.run("--", *targets, root=str(corpus))
    assert code == 0, printed

    noisy = checkout.folder / "results" / "demo"
    pd.testing.assert_frame_equal(folds, pd.read_parquet(noisy / "corpus/folds.parquet"))
    for path in fitted:
        assert (results / path).read_bytes() == (noisy / path).read_bytes(), path
    for path in stores:
        clean, heard = FrameStore(results / path), FrameStore(noisy / path)
        names, others = ([name for name in store.utterances if name not in tested] for store in (clean, heard))
        assert names == others, path
        assert "intensity" in path.parts or names == list(clean.utterances), path  # all are scored, few are heard
        assert all(np.array_equal(clean[name], heard[name]) for name in names), path
    ranked = [pd.read_parquet(folder / strengths) for folder in (results, noisy)]
    pd.testing.assert_frame_equal(*ranked)
    assert not tested & set(ranked[0].utterance)
    # And the noise was heard where it may be: by the fold that trains on those speakers, and by the test itself.
    before, after = (load_file(folder / other) for folder in (results, noisy))
    assert any(not np.array_equal(before[name], after[name]) for name in before)
    assert not pd.read_parquet(results / predictions).equals(pd.read_parquet(noisy / predictions))
