"""k-means of serflow against scikit-learn's MiniBatchKMeans with the setting that everyone copies.

Same frames, same machine, one after the other. Run: .venv/bin/python benchmarks/kmeans.py
"""

import argparse
import time

import numpy as np
from sklearn.cluster import MiniBatchKMeans

from serflow.clustering import Clustering, fit_kmeans


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=100_000)
    parser.add_argument("--width", type=int, default=768)
    parser.add_argument("--k", type=int, nargs="+", default=[50, 100, 500])
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    frames = overlapping_frames(chosen.frames, chosen.width, chosen.seed)
    print(f"{chosen.frames} frames x {chosen.width}")
    for k in chosen.k:
        compare(frames, k, chosen.seed)


def compare(frames, k, seed):
    def ours():
        return fit_kmeans(frames, k, seed)

    def scikit_learn():
        kmeans = MiniBatchKMeans(
            k, max_iter=100, batch_size=10_000, n_init=20, max_no_improvement=100, reassignment_ratio=0.0, tol=0.0,
            random_state=seed,
        )  # fmt: skip
        return Clustering(kmeans.fit(frames).cluster_centers_, 0.0)

    taken, objectives = {}, {}
    for name, fit in {"serflow": ours, "scikit-learn": scikit_learn}.items():
        started = time.perf_counter()
        fitted = fit()
        taken[name] = time.perf_counter() - started
        objectives[name] = float(fitted.distances(frames).sum(dtype=np.float64))  # the same measure for both
    more = 100 * (objectives["serflow"] / objectives["scikit-learn"] - 1)
    times = taken["scikit-learn"] / taken["serflow"]
    told = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in taken.items())
    print(f"k = {k}: {told}: serflow {times:.1f} times as fast, its objective {more:+.3f} %", flush=True)


def overlapping_frames(count, width, seed):
    """A mixture of 300 Gaussians whose spread is twice their distance's unit, as hidden states overlap."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(300, width)).astype(np.float32)
    return centres[rng.integers(300, size=count)] + 2 * rng.standard_normal((count, width), dtype=np.float32)


if __name__ == "__main__":
    main()
