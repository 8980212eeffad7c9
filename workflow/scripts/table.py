"""Build a paper's table from the predictions of its systems."""

import json
from pathlib import Path

import pandas as pd

from job import job
from serflow.artifacts import read_csv, write_csv, write_json, write_text
from serflow.evaluation.groups import group_columns
from serflow.evaluation.intensity import intensity_notes
from serflow.evaluation.probes import probe_notes
from serflow.evaluation.register import note_seen
from serflow.evaluation.results import read_predictions
from serflow.evaluation.tables import (
    build_table,
    cautions,
    escaped,
    masking_notes,
    scores_of_parts,
    to_latex,
    to_markdown,
    to_metrics,
)
from serflow.protocol import sentences

with job(snakemake) as made:
    settings = snakemake.params.settings
    predictions = read_predictions(snakemake.input.predictions)
    validations = read_predictions(snakemake.input.validations)
    utterances, folds = pd.read_parquet(snakemake.input.utterances), pd.read_parquet(snakemake.input.folds)
    tested = utterances[utterances.utterance.isin(folds.utterance[folds.part == "test"])]
    rows = [
        {
            "system": name,
            "name": settings["titles"][name],
            "baseline": baseline,
            "claim": name in settings["claims"],
            "published": settings["published"].get(name),
            "zero_shot": settings["zero_shot"].get(name),
        }
        for name, baseline in settings["rows"].items()
    ]
    classes = sorted(utterances.emotion.unique())
    table = build_table(rows, predictions, tested, classes, validations)
    if settings["groups"]:
        groups = group_columns(predictions, tested, table["block"].iloc[0], classes, settings["groups"])
        table = table.join(groups, on="system")
    maskings = {}
    for path in map(Path, snakemake.input.maskings):
        name = f"{path.parent.name}{' (transductive)' * path.parts[-5].startswith('all')}"
        maskings.setdefault(name, []).append(json.loads(path.read_text(encoding="utf-8")))
    card = json.loads(Path(snakemake.input.protocol).read_text(encoding="utf-8"))
    for marked in ("heard unlabelled test audio", "normalised by speaker"):  # those of other tables are told there
        card[marked] = [title for title in card[marked] if title in settings["titles"].values()]
    audit = json.loads(Path(snakemake.input.audit).read_text(encoding="utf-8"))["findings"]
    warned = [finding["text"] for finding in audit if finding["warning"]]
    warned += cautions(table, settings["controls"], 1 / len(classes))
    notes = [*sentences(card), *(finding["text"] for finding in audit if not finding["warning"])]
    notes += [*settings["recipe"], *masking_notes(maskings)]
    notes += probe_notes(predictions, settings["titles"])
    if snakemake.input.intensity:
        notes += intensity_notes(read_csv(snakemake.input.intensity))
    notes += [settings["stamp"]]
    name = snakemake.wildcards.table
    note_seen(Path(snakemake.output.csv).with_name(f"{name}-seen.csv"), name, settings["configuration"], table)
    write_csv(snakemake.output.csv, table)
    title = escaped(settings["title"])
    write_text(snakemake.output.markdown, f"# {title}\n\n{to_markdown(table, notes, warned)}")
    write_text(snakemake.output.latex, to_latex(table, notes, warned))
    write_json(snakemake.output.metrics, to_metrics(table))
    write_csv(snakemake.output.scores, scores_of_parts(predictions, tested, classes))
