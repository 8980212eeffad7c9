"""Gather what is known of the frames of splices in one table, and draw a few splices."""

from collections.abc import Iterable

import pandas as pd

from job import job
from serflow.artifacts import replacing, write_csv, write_text
from serflow.evaluation.figures import save, sweep_curves, timeline
from serflow.evaluation.splices import frames_table, layer_points, to_markdown


def gathered(paths: Iterable[str]) -> pd.DataFrame:
    """All rows; folds without splices, and seeds of which nothing is asked, have none."""
    parts = [part for part in map(pd.read_parquet, paths) if len(part)]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=["speaker"])


with job(snakemake) as made:
    scores, emotions, units = (gathered(snakemake.input[part]) for part in ("scores", "emotions", "units"))
    titles, control = snakemake.params.titles, snakemake.params.control
    table = frames_table(scores, emotions, units, control)
    speakers = pd.concat([scores, emotions]).query("speaker != ''")["speaker"].nunique()
    write_csv(snakemake.output.csv, table)
    write_text(snakemake.output.markdown, to_markdown(table, titles, control, speakers))
    shown = pd.read_parquet(snakemake.input.timelines[0])  # empty where no pattern that is drawn was joined
    with replacing(snakemake.output.figures) as folder:
        folder.mkdir()
        for _, rows in shown.groupby("splice", sort=False) if len(shown) else ():
            for form in ("png", "svg"):
                save(timeline(rows, titles), folder / f"timeline-{rows['pattern'].iloc[0]}.{form}")
        points = layer_points(units)
        for form in ("png", "svg") if len(points) else ():
            save(sweep_curves(points, "What layers know of frames"), folder / f"layers.{form}")
