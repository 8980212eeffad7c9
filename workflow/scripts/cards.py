"""Write the model card of every trained system."""

import json
from pathlib import Path

import pandas as pd

from job import job
from serflow.artifacts import read_csv, write_text
from serflow.evaluation.cards import card
from serflow.evaluation.results import read_predictions
from serflow.evaluation.splices import of_system

with job(snakemake) as made:
    predictions = read_predictions(snakemake.input.predictions)
    utterances, folds = pd.read_parquet(snakemake.input.utterances), pd.read_parquet(snakemake.input.folds)
    tested = utterances[utterances.utterance.isin(folds.utterance[folds.part == "test"])]
    protocol = json.loads(Path(snakemake.input.protocol).read_text(encoding="utf-8"))
    measured = read_csv(snakemake.input.frames[0]) if snakemake.input.frames else None
    stress = read_csv(snakemake.input.stress[0]) if snakemake.input.stress else None
    for path, (name, settings) in zip(snakemake.output.cards, snakemake.params.settings.items(), strict=True):
        folder = Path(path).parent.as_posix()
        frames = None if measured is None else of_system(measured, name)
        altered = None if stress is None else stress[stress.system == name]
        write_text(path, card(folder, settings, predictions[name], tested, protocol, frames, altered))
