"""Extract eGeMAPS functionals of every utterance."""

import pandas as pd

from job import job
from serflow.artifacts import write_parquet
from serflow.audio import from_int16
from serflow.features import functionals
from serflow.frames import FrameStore
from serflow.progress import track

with job(snakemake) as made:
    audio = FrameStore(snakemake.input.audio)
    rows = [functionals(from_int16(audio[name])) for name in track(audio.utterances, len(audio), "functionals")]
    table = pd.concat(rows, ignore_index=True)
    table.insert(0, "utterance", audio.utterances)
    write_parquet(snakemake.output.functionals, table, made)
