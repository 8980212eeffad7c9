"""Draw a confusion matrix for every system and a training curve for every trained one."""

from pathlib import Path

import pandas as pd

from job import job
from serflow.evaluation import figures
from serflow.evaluation.metrics import confusion
from serflow.evaluation.results import read_histories, read_predictions

with job(snakemake) as made:
    classes = sorted(pd.read_parquet(snakemake.input.utterances).emotion.unique())
    predictions = read_predictions(snakemake.input.predictions)
    histories = read_histories(snakemake.input.histories)
    for path in map(Path, snakemake.output.figures):
        system, _, kind = path.stem.rpartition("-")
        title = snakemake.params.titles[system]
        if kind == "confusion":
            counts = confusion(predictions[system].label, predictions[system].prediction, classes)
            figure = figures.confusion_matrix(counts, classes, title)
        else:
            figure = figures.training_curves(histories[system], title)
        figures.save(figure, path)
