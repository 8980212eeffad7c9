"""k-means on FAISS: frames -> units, and how much the units know."""

from dataclasses import dataclass

import faiss
import numpy as np

START_SAMPLE = 20_000  # frames among which k-means++ looks for its start


@dataclass
class Clustering:
    """`centroids` float32 `[k, D]` and `objective`, the summed squared distance of the training frames to them."""

    centroids: np.ndarray
    objective: float

    def assign(self, frames: np.ndarray) -> np.ndarray:
        """Nearest centroid of each frame: `[T, D]` -> int32 `[T]`."""
        return self._search(frames)[1]

    def distances(self, frames: np.ndarray) -> np.ndarray:
        """Squared distance of each frame to its centroid: `[T, D]` -> float32 `[T]`."""
        return self._search(frames)[0]

    def _search(self, frames):
        index = faiss.IndexFlatL2(self.centroids.shape[1])
        index.add(self.centroids)
        distances, units = index.search(np.ascontiguousarray(frames, dtype=np.float32), 1)
        return distances[:, 0], units[:, 0].astype(np.int32)


def fit_kmeans(
    frames: np.ndarray, k: int, seed: int = 0, inits: int = 1, iterations: int = 100, tolerance: float = 1e-5
) -> Clustering:
    """Best of `inits` runs of k-means over all `frames` `[N, D]`, on GPU where FAISS sees one.

    FAISS by default samples 256 points a centroid and starts from random points; both lose separated clusters. Its
    own k-means++ draws one candidate a centroid and still loses some, so scikit-learn's greedy k-means++ draws the
    start on a sample. A run stops when an iteration gains less than `tolerance` of the objective.

    Returns a `Clustering`. Raises ValueError for fewer frames than clusters. Source: ours, on FAISS.
    """
    from sklearn.cluster import kmeans_plusplus

    frames = np.ascontiguousarray(frames, dtype=np.float32)
    if len(frames) < k:
        raise ValueError(f"{len(frames)} frames are too few for {k} clusters")
    best = None
    for init in range(inits):
        rng = np.random.RandomState([seed, init])  # what scikit-learn takes
        size = min(len(frames), max(START_SAMPLE, 50 * k))
        start, _ = kmeans_plusplus(frames[rng.choice(len(frames), size, replace=False)], k, random_state=rng)
        kmeans = faiss.Kmeans(
            frames.shape[1],
            k,
            niter=iterations,
            seed=seed + 1,  # FAISS reads 0 as "any"
            gpu=faiss.get_num_gpus() > 0,
            max_points_per_centroid=len(frames),
            min_points_per_centroid=1,
            early_stop_threshold=tolerance,
        )
        kmeans.train(frames, init_centroids=start)
        fitted = Clustering(kmeans.centroids, 0.0)
        fitted.objective = float(fitted.distances(frames).sum(dtype=np.float64))
        if best is None or fitted.objective < best.objective:
            best = fitted
    return best


def unit_quality(units: np.ndarray, classes: np.ndarray, k: int) -> dict[str, float]:
    """What the units say about the classes of their frames: purity and PNMI.

    `units` and `classes` int `[N]`. Purity is the share of frames whose class is their unit's commonest; PNMI is
    the mutual information of unit and class over the entropy of the class (HuBERT, Hsu et al. 2021, V-B).
    """
    joint = np.zeros((k, classes.max() + 1))
    np.add.at(joint, (units, classes), 1 / len(units))
    by_unit, by_class = joint.sum(1), joint.sum(0)
    seen = joint > 0
    independent = np.outer(by_unit, by_class)
    information = (joint[seen] * np.log(joint[seen] / independent[seen])).sum()
    entropy = -(by_class[by_class > 0] * np.log(by_class[by_class > 0])).sum()
    return {"purity": float(joint.max(1).sum()), "pnmi": float(information / entropy) if entropy else 0.0}
