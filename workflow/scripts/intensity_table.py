"""Compare every intensity with what is known of the speakers that a fold tests: emotions, and the demo's truth."""

from pathlib import Path

import numpy as np
import pandas as pd

from job import job
from serflow.artifacts import write_csv, write_text
from serflow.evaluation.intensity import agreement, levels, levels_markdown, separation, to_markdown
from serflow.frames import FrameStore, centres, on_grid

with job(snakemake) as made:
    utterances, folds = (pd.read_parquet(snakemake.input[key]) for key in ("utterances", "folds"))
    tested = folds[folds.part == "test"].merge(utterances, on="utterance")[
        ["utterance", "fold", "speaker", "emotion", "level"]
    ]
    scored, curves = {}, {}
    for path, told in zip(snakemake.input.frames, snakemake.params.scored, strict=True):
        store, name = FrameStore(path), told["intensity"]
        own = tested[tested.fold == told["fold"]] if told["fold"] is not None else tested
        scores = [store[utterance].astype(np.float32) for utterance in own.utterance]
        means, deviations = ([measure(curve) for curve in scores] for measure in (np.mean, np.std))
        own = own.assign(seed=told["seed"] or 0, score=means, deviation=deviations)
        scored.setdefault(name, []).append(own)
        if snakemake.params.truth:
            for speaker, rows in own.assign(scores=scores).query("emotion != 'neutral'").groupby("speaker"):
                tables = [pd.read_csv(Path(snakemake.params.truth, f"{name}.csv")) for name in rows.utterance]
                true = [
                    on_grid(table.intensity, table.time, centres(len(curve)))
                    for table, curve in zip(tables, rows.scores, strict=True)
                ]
                pair = np.concatenate(list(rows.scores)), np.concatenate(true)
                curves.setdefault(name, {}).setdefault(speaker, {})[told["seed"]] = pair
    for path, fold in zip(snakemake.input.ranked, snakemake.params.ranked, strict=True):
        ranked = pd.read_parquet(path).set_index("utterance").add_prefix("score_").reset_index()
        own = tested[tested.fold == fold].merge(ranked, on="utterance").assign(seed=0, deviation=np.nan)
        scored.setdefault("ranker", []).append(own)
    scored = {name: pd.concat(parts, ignore_index=True) for name, parts in scored.items()}
    table = separation(scored)
    if curves:
        table = table.merge(agreement(curves), on="intensity", how="left")
    if snakemake.output.levels:
        control = snakemake.params.control
        followed = levels(scored, control)
        write_csv(snakemake.output.levels, followed)
        write_text(snakemake.output.levels_markdown, levels_markdown(followed, control, tested.speaker.nunique()))
    write_csv(snakemake.output.csv, table)
    write_text(snakemake.output.markdown, to_markdown(table, tested.speaker.nunique()))
