"""The whole chain on the demo corpus at its smallest, and what a change makes run again."""

import contextlib
import json

import numpy as np
import pandas as pd
import pytest

UPSTREAM = {"demo_speech", "corpus", "folds", "frame_features", "utterance_features"}
LEARNED = {"cluster", "pretrain", "finetune", "splice_frames", "stress"}
INTENSITY = {"train_intensity", "intensity", "intensity_table"}
EVALUATION = {"table", "cards", "units_table", "frames_table", "stress_table", "figures", "all"}


@contextlib.contextmanager
def edited(project, path, old, new):
    before = (project.folder / path).read_text()
    project.edit(path, old, new)
    try:
        yield
    finally:
        (project.folder / path).write_text(before)


def test_a_run_from_nothing_ends_in_tables_and_figures(finished):
    project, printed = finished
    results = project.folder / "results" / "demo"
    table = pd.read_csv(results / "tables" / "flea.csv")
    assert table.system.tolist() == [
        "majority", "nuisance", "egemaps-svm", "statistics", "hubert-scratch", "hubert-mean", "hubert-twin",
        "hubert-frame-labels", "hubert-frame-labels-attention",
    ]  # fmt: skip
    assert table.UA[0] == pytest.approx(1 / 3, abs=1e-4)
    assert (table.utterances == 36).all() and (table.speakers == 6).all()
    assert (table.UA_low <= table.UA).all() and (table.UA_high >= table.UA).all()
    metrics = json.loads((results / "tables" / "flea.json").read_text())
    assert metrics["majority"]["UA"] == table.UA[0]
    for name in ("majority-confusion.png", "hubert-mean-training.svg", "hubert-mean-confusion.svg"):
        assert (results / "figures" / "flea" / name).stat().st_size > 1000
    assert not list(project.folder.rglob("*.partial-*")) and not list(project.folder.rglob("*checkpoint*"))
    assert "results/demo/tables" in printed and "results/demo/figures" in printed
    assert "finetune hubert-mean fold 1 seed 0: done in" in printed


def test_a_second_run_has_nothing_to_do(finished):
    assert finished[0].planned() == {}


def test_who_was_heard_is_written_beside_what_was_fitted(finished):
    results = finished[0].folder / "results" / "demo"
    folds = pd.read_parquet(results / "corpus" / "folds.parquet")
    from serflow.frames import FrameStore

    for fold in (0, 1):
        tested = set(folds.utterance[(folds.fold == fold) & (folds.part == "test")])
        pool = results / f"fold-{fold}" / "seed-0"
        stores = list(pool.glob("units/*/*.arrow"))
        assert len(stores) == 5 and not list(pool.rglob("embeddings/**/*.arrow"))
        for store in stores:
            assert not tested & set(FrameStore(store).utterances)
        made = json.loads((pool / "ssl" / "first" / "made.json").read_text())
        assert set(made) == {"rule", "settings", "inputs", "code"}


def test_hidden_states_are_there_for_who_asks_and_are_what_was_clustered(finished):
    from serflow.clustering import Clustering
    from serflow.frames import FrameStore

    project, pool = finished[0], "results/demo/fold-0/seed-0"
    asked = project.folder / pool / "embeddings" / "hubert-mean" / "layer-1" / "frames.arrow"
    code, printed = project.run("--", str(asked.relative_to(project.folder)))
    assert code == 0 and "1 of 1 steps" in printed, printed
    frames, own = FrameStore(asked), project.folder / pool / "units" / "emotion"
    units, kmeans = FrameStore(own / "units.arrow"), Clustering(np.load(own / "centroids.npy"), 0.0)
    assert set(frames.utterances) == set(units.utterances) and frames.hop == units.hop
    assert all(np.array_equal(kmeans.assign(frames[name]), units[name]) for name in units.utterances)
    asked.unlink()
    assert project.planned() == {}


def test_frames_of_tested_utterances_have_shares_and_posteriors(finished):
    folder = finished[0].folder / "results/demo/systems/hubert-frame-labels-attention/fold-0/seed-0"
    from serflow.frames import FrameStore

    store, predictions = FrameStore(folder / "frames.arrow"), pd.read_parquet(folder / "predictions.parquet")
    assert set(store.utterances) == set(predictions.utterance) and "frame_weights" not in predictions
    assert store.columns == ["weight", "p_anger", "p_neutral", "p_sadness"] and store.hop == 0.02
    for utterance in store.utterances:
        assert store[utterance][:, 0].astype(float).sum() == pytest.approx(1, abs=0.01)
        assert store[utterance][:, 1:].astype(float).sum(1) == pytest.approx(1, abs=0.01)


def test_the_units_are_described(finished):
    quality = json.loads((finished[0].folder / "results/demo/fold-0/seed-0/units/emotion/quality.json").read_text())
    assert quality["k"] == 5 and quality["objective"] > 0
    told = [quality[column] for column in ("emotion", "speaker", "intensity")]
    assert all(0 <= one["pnmi"] <= one["purity"] <= 1 for one in told)
    table = pd.read_csv(finished[0].folder / "results/demo/tables/units.csv").set_index("units")
    assert table.index.tolist() == ["mfcc", "generic", "again", "emotion", "emotion-k8"]
    assert table.emotion_pnmi.between(0, 1).all()
    assert table.loc["generic", ["frames", "layer", "k"]].tolist() == ["first", 1, 10]
    assert "| generic " in (finished[0].folder / "results/demo/tables/units.md").read_text()


def test_a_list_of_k_is_a_sweep_with_a_table_and_a_figure(finished):
    results = finished[0].folder / "results" / "demo"
    table, flea = (pd.read_csv(results / "tables" / f"{name}.csv") for name in ("emotion-sweep", "flea"))
    table = table.set_index("system")
    assert set(table.index) == {f"hubert-frame-labels{end}" for end in ("", "-k8", "-attention", "-attention-k8")}
    assert table.loc["hubert-frame-labels-k8", "baseline"] == "hubert-frame-labels"
    assert not [row for row in table.index if "k8" in row and row in set(flea.system)]
    for measure in ("UA, test speakers", "Emotion PNMI", "Speaker purity", "True intensity PNMI"):
        assert measure in (results / "figures" / "emotion-sweep" / "sweep.svg").read_text()


def test_a_change_of_evaluation_reruns_tables_only(finished):
    project, _ = finished
    with edited(
        project, "workflow/serflow/evaluation/metrics.py", "import numpy", "import math  # noqa\nimport numpy"
    ):
        assert set(project.planned()) == EVALUATION | {"intensity_table", "planned"}


def test_emotional_masking_has_its_tables(finished):
    results = finished[0].folder / "results" / "demo"
    assert pd.read_csv(results / "tables/emotional.csv").system.tolist() == ["mockingjay-emotional", "npc-emotional"]
    assert "Frames masked in pretraining: intense-spans" in (results / "tables/emotional.md").read_text()
    truth = pd.read_csv(results / "tables/intensity.csv")
    assert truth.intensity.tolist() == ["strengthnet", "rank-model", "energy", "level", "ranker"]
    assert truth.spearman[:3].between(-1, 1).all() and truth.auc_anger.between(0, 1).all()
    masking = json.loads((results / "fold-0/seed-0/ssl/intense-spans/masking.json").read_text())
    assert 0.1 < masking["share"] < 0.18 and masking["inside"] > masking["outside"]


def test_what_is_said_of_frames_is_measured_where_the_truth_is_known(finished):
    results = finished[0].folder / "results" / "demo"
    folds = pd.read_parquet(results / "corpus/folds.parquet")
    for fold in (0, 1):
        pieces = pd.read_parquet(results / f"fold-{fold}/seed-0/splices/segments.parquet")
        tested = set(folds.utterance[(folds.fold == fold) & (folds.part == "test")])
        assert set(pieces.utterance) <= tested and set(pieces.pattern) == {"ne", "nen", "nn"}
    table = pd.read_csv(results / "tables/frames.csv").set_index(["kind", "name", "measure"]).value
    rows = pd.read_csv(results / "tables/frames.csv").groupby("kind").name.agg(set)
    carded = {card.parent.name for card in results.glob("systems/*/README.md")}
    assert rows["system"] == rows["posterior"] | {"nowhere"} == carded | {"reference", "nowhere"}
    assert rows["intensity"] == {"strengthnet", "rank-model", "energy", "level"}
    assert rows["units"] == {"mfcc", "generic", "again", "emotion", "emotion-k8"}
    assert table["system", "nowhere", "UA"] == pytest.approx(1 / 3, abs=1e-4)
    text = (results / "tables/frames.md").read_text()
    assert "Neutral everywhere" in text and "- Seams: a detector" in text
    assert (results / "figures/frames/timeline-nen.png").stat().st_size > 1000


def test_trained_systems_are_asked_in_other_sound(finished):
    results = finished[0].folder / "results" / "demo"
    carded = {card.parent.name for card in results.glob("systems/*/README.md")}
    for fold in (0, 1):
        told = pd.read_parquet(results / f"fold-{fold}/seed-0/stress.parquet")
        assert set(told.system) == carded and list(dict.fromkeys(told.condition)) == ["clean", "noise-0", "gain-up"]
        for name, own in told.groupby("system"):
            expected = pd.read_parquet(results / f"systems/{name}/fold-{fold}/seed-0/predictions.parquet")
            expected = expected[[column for column in told if column != "condition"]]
            clean = own[own.condition == "clean"].drop(columns="condition").reset_index(drop=True)
            pd.testing.assert_frame_equal(clean, expected, check_dtype=False, atol=1e-5, rtol=0)
            noisy = own[own.condition == "noise-0"].reset_index(drop=True)
            assert (noisy.utterance == clean.utterance).all() and not noisy.filter(like="p_").equals(
                clean.filter(like="p_")
            )
    table, flea = (pd.read_csv(results / "tables" / f"{name}.csv") for name in ("stress", "flea"))
    clean = table[table.condition == "clean"].drop_duplicates("system").set_index("system")
    assert set(clean.index) == carded and (clean.change == 0).all()
    shared = flea.set_index("system").loc[[name for name in flea.system if name in carded]]
    assert clean.UA[shared.index].tolist() == shared.UA.tolist()
    twin = table[(table.table == "flea") & (table.system == "hubert-frame-labels")].set_index("condition")
    assert twin.difference["clean"] == shared.difference["hubert-frame-labels"]
    assert "## What ideas add" in (results / "tables/stress.md").read_text()
    assert (results / "figures/stress/flea.png").stat().st_size > 1000


def test_what_learns_from_spectrograms_has_a_table_and_probes(finished):
    results = finished[0].folder / "results" / "demo"
    assert pd.read_csv(results / "tables/scratch.csv").system.tolist() == ["tf-full", "dsnet", "clap-sl"]
    assert "of whom a fold tests 3 (guessing the speaker has 33)" in (results / "tables/scratch.md").read_text()
    assert (results / "figures" / "scratch" / "dsnet-vectors.png").stat().st_size > 1000


def test_prompts_have_a_table_too_against_chance(finished):
    results = finished[0].folder / "results" / "demo"
    assert pd.read_csv(results / "tables/scratch.csv").baseline.tolist()[-1] == "chance"
    history = pd.read_csv(results / "systems/clap-sl/fold-0/seed-0/model/history.csv")
    assert "train soft" in set(history.quantity)
    assert (results / "systems/clap-sl/fold-0/seed-0/model/tokenizer.json").is_file()


def test_a_change_of_the_model_retrains_what_uses_it_and_nothing_before(finished):
    project, _ = finished
    with edited(project, "workflow/serflow/models/waveforms.py", "self.temperature = 0.1", "self.temperature = 0.2"):
        planned = set(project.planned())
    assert planned == LEARNED | EVALUATION


def test_a_change_of_the_trainer_keeps_corpus_features_and_classical_systems(finished):
    project, _ = finished
    with edited(project, "workflow/serflow/training.py", "seed=seed,", "seed=seed + 1,"):
        assert set(project.planned()) == LEARNED | INTENSITY | EVALUATION


@pytest.mark.parametrize(
    ("path", "old", "new"),
    [
        ("workflow/serflow/models/waveforms.py", "class WaveFrontEnd", "# a remark\nclass WaveFrontEnd"),
        ("workflow/serflow/models/hubert.py", '"""HuBERT (', '"""HuBERT, explained otherwise ('),
        ("workflow/serflow/corpora/emodb.py", "EMOTIONS = ", "OTHERS = EMOTIONS = "),
    ],
)
def test_comments_docstrings_and_other_corpora_rerun_nothing(finished, path, old, new):
    with edited(finished[0], path, old, new):
        assert finished[0].planned() == {}


def test_a_changed_k_touches_what_stands_behind_it(finished):
    project, _ = finished
    planned = project.planned(units={"emotion": {"k": 6}})
    assert planned["cluster"] == planned["pretrain"] == 2  # the emotion units of two folds, not the others
    assert planned["finetune"] == 4
    assert not set(planned) & (UPSTREAM | {"classical"})


def test_a_seed_more_is_a_chain_more_and_what_draws_nothing_stays(finished):
    project, _ = finished
    chain, systems = (project.planned(seeds=[0, 1], seeds_of=of) for of in ("chain", "systems"))
    learned = {"cluster": 10, "pretrain": 14, "finetune": 24, "splice_frames": 2, "stress": 2}
    assert {rule: chain[rule] for rule in LEARNED} == learned
    assert chain["train_intensity"] == 4 and not set(chain) & (UPSTREAM | {"classical", "strengths", "loudness"})
    assert systems["finetune"] == chain["finetune"]
    assert not set(systems) & {"cluster", "pretrain", "train_intensity"}


def test_transductive_pretraining_stands_in_pools_of_its_own(finished):
    project, _ = finished
    code, printed = project.run("--dry-run", "--quiet", "host", protocol={"transductive": True}, final=None)
    assert code == 0
    assert "results/demo/all/seed-0/ssl/first/model.safetensors" in printed
    assert "results/demo/all-fold-1/seed-0/ssl/emotion/model.safetensors" in printed
    assert "results/demo/systems/hubert-frame-labels-transductive/fold-1/seed-0/predictions.parquet" in printed
