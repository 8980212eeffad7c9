"""Draw a confusion matrix for every system of a table, a training curve for every trained one, and what a sweep
changes."""

import pandas as pd

from job import job
from serflow.artifacts import read_csv, replacing
from serflow.evaluation import figures
from serflow.evaluation.metrics import confusion
from serflow.evaluation.probes import projected, vector_names
from serflow.evaluation.results import read_histories, read_predictions
from serflow.evaluation.units import sweep_points

with job(snakemake) as made:
    classes = sorted(pd.read_parquet(snakemake.input.utterances).emotion.unique())
    predictions = read_predictions(snakemake.input.predictions)
    histories = read_histories(snakemake.input.histories)
    with replacing(snakemake.output.figures) as folder:
        folder.mkdir()
        for system, own in predictions.items():
            title = snakemake.params.titles[system]
            counts = confusion(own.emotion, own.prediction, classes)
            drawn = {"confusion": figures.confusion_matrix(counts, classes, title)}
            named = {name: projected(own, name) for name in vector_names(own)}
            if named:
                places, rows = ({name: pair[end] for name, pair in named.items()} for end in (0, 1))
                drawn["vectors"] = figures.vector_map(places, rows, title)
            if system in histories:
                drawn["training"] = figures.training_curves(histories[system], title)
            for kind, figure in drawn.items():
                for form in ("png", "svg"):
                    figures.save(figure, folder / f"{system}-{kind}.{form}")
        if snakemake.input.units:
            known = snakemake.params.sweep, snakemake.params.titles, predictions, histories
            points = sweep_points(*known, read_csv(snakemake.input.units), classes)
            for form in ("png", "svg"):
                figures.save(figures.sweep_curves(points, snakemake.params.title), folder / f"sweep.{form}")
