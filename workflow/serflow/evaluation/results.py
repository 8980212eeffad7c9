"""What the systems left behind, by system: `systems/<system>/fold-<k>/seed-<s>/` -> frames with fold and seed."""

from pathlib import Path

import pandas as pd


def read_predictions(paths):
    """{system: frame of all its predictions, with columns fold and seed} from `predictions.parquet` files."""
    return _by_system(paths, pd.read_parquet)


def read_histories(paths):
    """{system: frame fold, seed, step, quantity, value} from `history.csv` files."""
    return _by_system(paths, pd.read_csv)


def _by_system(paths, read):
    frames = {}
    for path in map(Path, paths):
        system, fold, seed = path.parts[-4:-1]
        numbers = {"fold": int(fold.removeprefix("fold-")), "seed": int(seed.removeprefix("seed-"))}
        frames.setdefault(system, []).append(read(path).assign(**numbers))
    return {system: pd.concat(parts, ignore_index=True) for system, parts in frames.items()}
