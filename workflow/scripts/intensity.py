"""Score every frame of every utterance by how emotional it sounds."""

from pathlib import Path

import pandas as pd

from job import job
from serflow.folds import heard_by
from serflow.frames import FrameStore, writing_frames
from serflow.intensity import check_unheard, load, score
from serflow.padding import batch_seconds
from serflow.progress import track

with job(snakemake) as made:
    method, audio = snakemake.params.settings["method"], FrameStore(snakemake.input.audio)
    model, smoothing = None, snakemake.params.settings["smoothing"]
    if snakemake.input.get("heard_folds"):
        elsewhere = pd.read_parquet(snakemake.input.heard_utterances).set_index("utterance")
        heard, _ = heard_by(
            pd.read_parquet(snakemake.input.heard_folds), "fold-0", snakemake.params.settings["selection"]
        )
        check_unheard(pd.read_parquet(snakemake.input.utterances), elsewhere.loc[heard], snakemake.input.model)
    if snakemake.input.model:
        model = load(method, Path(snakemake.input.model).parent)
    scores = score(method, model, audio, audio.utterances, batch_seconds(), smoothing)
    with writing_frames(snakemake.output.frames, 0, hop=0.01, made=made) as writer:
        for utterance, curve in track(scores, len(audio), "utterances"):
            writer.append(utterance, curve)
