"""Build a paper's table from the predictions of its systems."""

import pandas as pd

from job import job
from serflow.artifacts import write_text
from serflow.evaluation.results import read_predictions
from serflow.evaluation.tables import build_table, to_latex, to_markdown

with job(snakemake) as made:
    settings = snakemake.params.settings
    predictions = read_predictions(snakemake.input.predictions)
    utterances = pd.read_parquet(snakemake.input.utterances)
    rows = [
        {"system": system, "name": settings["titles"][system], "baseline": baseline}
        for system, baseline in settings["rows"].items()
    ]
    table = build_table(rows, predictions, utterances, sorted(utterances.emotion.unique()))
    folds, protocol = settings["folds"], settings["protocol"]
    heard = "heard unlabelled test audio (transductive)" if protocol["transductive"] else "heard no test speaker"
    notes = [
        f"{folds['count']} folds by speaker, {folds['validation_speakers']} validation speaker(s) each, "
        f"fold seed {folds['seed']}, seeds {', '.join(map(str, settings['seeds']))}; "
        f"scored step: {protocol['selection']}; what was pretrained and clustered {heard}; classical systems, for "
        "which nothing is chosen on them, train on the validation speakers too."
    ]
    write_text(snakemake.output.csv, table.to_csv(index=False))
    write_text(snakemake.output.markdown, f"# {settings['title']}\n\n{to_markdown(table, notes)}")
    write_text(snakemake.output.latex, to_latex(table, notes))
