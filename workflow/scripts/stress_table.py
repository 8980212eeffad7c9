"""What is left of trained systems' scores in other sound: the table, and a figure for every paper's rows."""

from pathlib import Path

import pandas as pd

from job import job
from serflow.artifacts import read_csv, replacing, write_csv, write_text
from serflow.evaluation import figures
from serflow.evaluation.statistics import block_of
from serflow.evaluation.stress import TITLES, blocks_of, scores_of, stress_table, to_markdown

READ = ["condition", "fold", "speaker", "emotion", "prediction"]

with job(snakemake) as made:
    utterances, folds = pd.read_parquet(snakemake.input.utterances), pd.read_parquet(snakemake.input.folds)
    tested = folds[folds.part == "test"]
    own = utterances[utterances.utterance.isin(tested.utterance)]
    counts = {"fold": tested.fold.nunique(), "speaker": own.speaker.nunique()}
    block, classes = block_of(*counts.values()), sorted(utterances.emotion.unique())
    blocks = {}
    for name in snakemake.params.titles:  # one at a time: all of a large corpus' would fill the memory
        asked = {"columns": READ, "filters": [("system", "==", name)]}
        told = [pd.read_parquet(path, **asked) for path in snakemake.input.predictions]
        blocks[name] = blocks_of(pd.concat(told, ignore_index=True), block, classes)
    tables = {Path(path).stem: read_csv(path) for path in snakemake.input.tables}
    table = stress_table(blocks, snakemake.params.titles, tables)
    write_csv(snakemake.output.csv, table)
    write_text(snakemake.output.markdown, to_markdown(table, f"{counts[block]} {block}s" if block else ""))
    with replacing(snakemake.output.figures) as folder:
        folder.mkdir()
        for name, known in tables.items():
            shown = scores_of(table)[scores_of(table).system.isin(known.system)]
            if len(shown):
                drawn = figures.stress_curves(shown, TITLES, snakemake.params.headings[name], 1 / len(classes))
                for form in ("png", "svg"):
                    figures.save(drawn, folder / f"{name}.{form}")
