"""What the systems left behind, by system."""

from collections.abc import Iterable

import pandas as pd

from serflow.artifacts import read_csv


def read_predictions(paths: Iterable[str]) -> dict[str, pd.DataFrame]:
    """{system: frame of all its predictions, whose columns tell fold and seed} from `predictions.parquet` files."""
    return _by_system(paths, pd.read_parquet)


def read_histories(paths: Iterable[str]) -> dict[str, pd.DataFrame]:
    """{system: frame fold, seed, step, quantity, value} from `history.csv` files."""
    return _by_system(paths, read_csv)


def _by_system(paths, read):
    frames = {}
    for frame in map(read, paths):
        frames.setdefault(frame["system"].iloc[0], []).append(frame)
    return {system: pd.concat(parts, ignore_index=True) for system, parts in frames.items()}
