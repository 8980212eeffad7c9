"""Compare every intensity with the true curves of the demo corpus, on the speakers that each fold tests."""

from pathlib import Path

import numpy as np
import pandas as pd

from job import job
from serflow.artifacts import write_text
from serflow.evaluation.intensity import agreement, to_markdown
from serflow.frames import FrameStore
from serflow.intensity import centres, on_grid

with job(snakemake) as made:
    utterances = pd.read_parquet(snakemake.input.utterances).set_index("utterance")
    folds = pd.read_parquet(snakemake.input.folds)
    truth, curves = Path(snakemake.params.truth), {}
    for path in map(Path, snakemake.input.frames):
        intensity, fold = path.parts[-2], int(path.parts[-4].removeprefix("fold-"))
        store, tested = FrameStore(path), folds.utterance[(folds.fold == fold) & (folds.part == "test")]
        emotional = utterances.loc[tested].query("emotion != 'neutral'")
        for speaker, own in emotional.groupby("speaker"):
            scores = [store[name].astype(np.float32) for name in own.index]
            tables = [pd.read_csv(truth / f"{name}.csv") for name in own.index]
            true = [
                on_grid(table.intensity, table.time, centres(len(curve)))
                for table, curve in zip(tables, scores, strict=True)
            ]
            curves.setdefault(intensity, {})[speaker] = np.concatenate(scores), np.concatenate(true)
    table = agreement({name: curves[name] for name in snakemake.params.names})
    write_text(snakemake.output.csv, table.to_csv(index=False))
    write_text(snakemake.output.markdown, to_markdown(table, len(next(iter(curves.values())))))
