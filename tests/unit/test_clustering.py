import faiss
import numpy as np
import pytest
from sklearn.metrics import mutual_info_score

from serflow.batches import Inputs
from serflow.clustering import fit_kmeans, unit_quality
from serflow.features import WIDTHS
from serflow.frames import FrameStore, writing_frames
from serflow.inference import HiddenStates
from serflow.models import build, described, models


@pytest.mark.parametrize("seed", range(4))
def test_separated_blobs_lose_no_cluster(seed):
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(60, 16)) * 20
    truth = rng.integers(60, size=6000)
    units = fit_kmeans(centres[truth] + rng.normal(size=(6000, 16)), 60, seed).assign(
        centres[truth] + rng.normal(size=(6000, 16))
    )
    assert len({*zip(truth, units, strict=True)}) == len(set(truth)) == len(set(units))


def test_more_inits_are_never_worse_and_the_seed_decides():
    frames = np.random.default_rng(0).normal(size=(3000, 8))
    one, five = fit_kmeans(frames, 40, seed=1, inits=1), fit_kmeans(frames, 40, seed=1, inits=5)
    assert five.objective <= one.objective
    assert np.array_equal(one.centroids, fit_kmeans(frames, 40, seed=1).centroids)


def test_the_objective_is_what_the_centroids_give():
    frames = np.random.default_rng(0).normal(size=(500, 4)).astype(np.float32)
    kmeans = fit_kmeans(frames, 7)
    distances = ((frames - kmeans.centroids[kmeans.assign(frames)]) ** 2).sum()
    assert np.isclose(kmeans.objective, distances, rtol=1e-4)


def test_all_frames_are_used_not_a_sample():
    frames = np.random.default_rng(0).normal(size=(20_000, 2)).astype(np.float32)
    kmeans = fit_kmeans(frames, 2, iterations=100, tolerance=0)
    index = faiss.IndexFlatL2(2)
    index.add(kmeans.centroids)
    units = index.search(frames, 1)[1][:, 0]
    means = np.stack([frames[units == unit].mean(0) for unit in range(2)])
    assert np.allclose(means, kmeans.centroids, atol=5e-3)  # a 512-point sample would miss by about .04


def test_too_few_frames_are_told():
    with pytest.raises(ValueError, match="3 frames are too few for 5 clusters"):
        fit_kmeans(np.zeros((3, 2)), 5)


def test_quality_of_known_units():
    units, classes = np.array([0, 0, 1, 1, 1, 3]), np.array([0, 0, 1, 1, 0, 1])
    quality = unit_quality(units, classes, 5)
    entropy = -np.log(0.5)
    assert np.isclose(quality["purity"], 5 / 6)
    assert np.isclose(quality["pnmi"], mutual_info_score(classes, units) / entropy)


@pytest.mark.parametrize("model", [name for name, model in models().items() if not model.in_segments])
def test_hidden_states_read_as_a_store_of_them_would(tmp_path, model):
    kind, rng, names = described(model), np.random.default_rng(0), ["long", "short", "middle"]
    width, a_second = WIDTHS.get(kind.reads, 0), 100 if kind.reads in WIDTHS else 16000
    with writing_frames(tmp_path / "read", width, "float32", 1 / a_second) as writer:
        for name, seconds in zip(names, (1.23, 0.31, 0.777), strict=True):
            writer.append(name, rng.normal(size=(int(seconds * a_second), *[width] * (width > 0))))
    sizes = [size for size in ("tiny", "small", *kind.sizes) if size in kind.sizes]
    encoder = build(model, {"size": sizes[0]} if sizes else {}, 0)
    layer = min(1, encoder.config.num_hidden_layers)
    states = HiddenStates(encoder, Inputs(FrameStore(tmp_path / "read"), kind.stack), layer)
    states.write(tmp_path / "written", names)
    store = FrameStore(tmp_path / "written")
    assert states.lengths_of(names).tolist() == store.lengths_of(names).tolist()
    assert np.array_equal(states.stack(["short", "long"]), store.stack(["short", "long"]))
    assert not list(states.items([]))
