import itertools
import json
import re
import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score

from serflow.errors import UserError
from serflow.evaluation import figures, tables
from serflow.evaluation.metrics import confusion, macro_f1, unweighted_accuracy, weighted_accuracy
from serflow.evaluation.statistics import holm, interval, paired_test

CLASSES = ["angry", "happy", "neutral", "sad"]
METRICS = [unweighted_accuracy, weighted_accuracy, macro_f1]
scored = st.lists(st.tuples(*[st.sampled_from(CLASSES)] * 2), min_size=1, max_size=40)


@given(st.lists(scored, min_size=1, max_size=4))
def test_metrics_are_those_of_sklearn_for_each_of_a_stack(corpora):
    corpora = [tuple(zip(*pairs, strict=True)) for pairs in corpora]
    stack = np.stack([confusion(*pairs, CLASSES) for pairs in corpora])
    for index, (true, predicted) in enumerate(corpora):
        occur = sorted({*true, *predicted})
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # a class predicted but never true
            expected = [balanced_accuracy_score(true, predicted), accuracy_score(true, predicted)]
        expected.append(f1_score(true, predicted, average="macro", labels=occur, zero_division=0))
        assert [metric(stack)[index] for metric in METRICS] == pytest.approx(expected)


def test_confusion_has_true_rows_and_refuses_a_class_it_does_not_know():
    counts = confusion(["sad", "sad", "happy"], ["sad", "angry", "happy"], CLASSES)
    assert counts.tolist() == [[0, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 0], [1, 0, 0, 1]]
    with pytest.raises(UserError, match="prediction 'calm' is none of the classes"):
        confusion(["sad"], ["calm"], CLASSES)


def simulate(rng, recall, speakers, utterances=10):
    """Two systems' confusions `[2, S, C, C]` that differ by chance alone; speakers' recalls scatter."""
    own = rng.beta(recall * 10, (1 - recall) * 10, (speakers, len(CLASSES)))
    hits = rng.binomial(utterances, own, (2, *own.shape))[..., None]
    identity = np.eye(len(CLASSES), dtype=int)
    return hits * identity + (utterances - hits) * np.roll(identity, 1, axis=1)


@pytest.mark.parametrize("speakers", [6, 8, 10, 24])
def test_the_interval_covers_as_often_as_it_says(speakers):
    rng = np.random.default_rng(1)
    bounds = [interval(simulate(rng, 0.6, speakers)[0], unweighted_accuracy, resamples=1000) for _ in range(500)]
    assert 0.925 < np.mean([low <= 0.6 <= high for low, high in bounds]) < 0.975  # 2.5 standard errors


def test_the_paired_test_is_level_under_the_null_and_sees_a_real_difference():
    rng = np.random.default_rng(2)
    null = [paired_test(*simulate(rng, 0.6, 8), unweighted_accuracy)[1] < 0.05 for _ in range(400)]
    assert 0.015 < np.mean(null) < 0.085

    pairs = [(simulate(rng, 0.75, 10)[0], simulate(rng, 0.5, 10)[0]) for _ in range(40)]
    differences, p_values = np.transpose([paired_test(*pair, unweighted_accuracy) for pair in pairs])
    assert np.mean(differences) == pytest.approx(0.25, abs=0.03)
    assert np.mean(p_values < 0.05) > 0.9


@pytest.mark.parametrize("metric", METRICS)
def test_p_counts_every_swap_of_speakers_even_where_they_tie_or_lack_classes(metric):
    rng = np.random.default_rng(3)
    swaps = np.array(list(itertools.product([False, True], repeat=6)))[..., None, None]
    for _ in range(100):
        a, b = simulate(rng, 0.6, 6) * (rng.random((6, 4, 1)) < 0.8)
        null = metric(np.where(swaps, b, a).sum(1)) - metric(np.where(swaps, a, b).sum(1))
        difference, p = paired_test(a, b, metric)
        assert difference == pytest.approx(metric(a.sum(0)) - metric(b.sum(0)))
        assert p == pytest.approx(np.mean(np.abs(null) >= abs(difference) - 1e-12))


def test_more_seeds_of_one_system_do_not_change_the_test():
    a, b = simulate(np.random.default_rng(4), 0.6, 7)
    assert paired_test(a, 3 * b, macro_f1) == pytest.approx(paired_test(a, b, macro_f1))
    assert paired_test(a, 3 * a, macro_f1) == pytest.approx((0, 1))


def test_resampling_is_seeded_and_one_speaker_is_no_sample():
    a, b = simulate(np.random.default_rng(5), 0.6, 30)
    assert paired_test(a, b, macro_f1) == paired_test(a, b, macro_f1)
    assert interval(a, macro_f1) == interval(a, macro_f1) != interval(a, macro_f1, seed=1)
    assert np.isnan([*interval(a[:1], macro_f1), paired_test(a[:1], b[:1], macro_f1)[1]]).all()


def test_holm_by_hand():
    corrected = holm([0.01, 0.04, np.nan, 0.03, 0.005])
    np.testing.assert_allclose(corrected, [0.03, 0.06, np.nan, 0.06, 0.02])
    assert holm([0.5, 0.6]).tolist() == [1, 1]


SPEAKERS = [f"speaker{index}" for index in range(8)]
SPOKEN = [(f"{who}-{what}-{take}", who, what) for who in SPEAKERS for what in CLASSES for take in range(5)]
UTTERANCES = pd.DataFrame(SPOKEN, columns=["utterance", "speaker", "emotion"])
ROWS = [
    {"system": "fbank", "name": "fbank", "baseline": None, "published": None},
    {"system": "same", "name": "fbank, again", "baseline": "fbank", "published": None},
    {"system": "ours", "name": "50 % better_& | so", "baseline": "fbank", "published": "81.43 / 83.16"},
]


def predict(accuracy, seeds, rng):
    parts = []
    for seed in range(seeds):
        part = UTTERANCES.rename(columns={"emotion": "label"})
        right = rng.random(len(part)) < accuracy
        part["prediction"] = np.where(right, part["label"], rng.choice(CLASSES, len(part)))
        parts.append(part.assign(fold=part.pop("speaker").map(SPEAKERS.index) // 2, seed=seed))
    return pd.concat(parts, ignore_index=True)


@pytest.fixture(scope="module")
def predictions():
    rng = np.random.default_rng(6)
    return {"fbank": predict(0.3, 1, rng), "same": predict(0.3, 3, rng), "ours": predict(0.7, 3, rng)}


@pytest.fixture(scope="module")
def table(predictions):
    return tables.build_table(ROWS, predictions, UTTERANCES, CLASSES)


def test_the_tables_numbers_are_sklearns(predictions, table):
    def over(keys, metric, **options):
        parts = predictions["ours"].groupby(keys)
        return pd.Series([metric(part["label"], part["prediction"], **options) for _, part in parts])

    ours = table.set_index("system").loc["ours"]
    by_fold = over(["fold", "seed"], balanced_accuracy_score)
    expected = {
        "UA": over("seed", balanced_accuracy_score).mean(),
        "WA": over("seed", accuracy_score).mean(),
        "macro_F1": over("seed", f1_score, average="macro").mean(),
        "UA_fold_mean": by_fold.mean(),
        "UA_fold_sd": by_fold.std(),
    }
    assert {key: ours[key] for key in expected} == pytest.approx(expected, abs=5e-5)
    assert json.loads(json.dumps(tables.to_metrics(table)))["ours"] == {
        key: ours[key] for key in ("UA", "WA", "macro_F1")
    }
    assert ours["UA_low"] < ours["UA"] < ours["UA_high"]
    assert ours["difference"] == pytest.approx(ours["UA"] - table["UA"][0], abs=1e-4)
    assert ours["p_holm"] == pytest.approx(2 * ours["p"], abs=1e-4)
    assert list(ours[["utterances", "speakers", "seeds"]]) == [160, 8, 3]
    assert table[["baseline", "difference", "p", "p_holm"]].iloc[0].isna().all()


@pytest.mark.parametrize("seed", range(3))
def test_no_order_of_rows_changes_a_number(predictions, table, seed):
    shuffled = {key: frame.sample(frac=1, random_state=seed) for key, frame in predictions.items()}
    again = tables.build_table(ROWS, shuffled, UTTERANCES.sample(frac=1, random_state=seed), CLASSES)
    assert again.to_csv() == table.to_csv()


BROKEN = {
    "ours, seed 0 .*speaker0-happy-2 0 times, not 1": lambda frame: frame.drop(index=7),
    "ours, seed 1 .*speaker0-happy-2 2 times, not 1": lambda frame: pd.concat([frame, frame.iloc[[167]]]),
    "ours, seed 0 .*ghost 1 times, not 0": lambda frame: frame.replace("speaker0-happy-2", "ghost"),
    "ours takes utterance speaker0-sad-0 for angry": lambda frame: frame.replace({"label": {"sad": "angry"}}),
}


@pytest.mark.parametrize("message", BROKEN)
def test_predictions_that_are_not_the_corpus_are_refused(predictions, message):
    with pytest.raises(UserError, match=message):
        broken = {**predictions, "ours": BROKEN[message](predictions["ours"])}
        tables.build_table(ROWS, broken, UTTERANCES, CLASSES)


def test_a_baseline_that_never_ran_is_named(predictions):
    with pytest.raises(UserError, match="system fbank is in a table but has no predictions"):
        tables.build_table(ROWS[2:], {"ours": predictions["ours"]}, UTTERANCES, CLASSES)


def test_markdown_reads_as_intended(table):
    *body, empty, protocol, note = tables.to_markdown(table, ["`ours` hears\ntest audio"]).splitlines()
    _, _, fbank, same, ours = body
    assert len({len(line) for line in body}) == 1 and empty == ""
    assert [cell.strip() for cell in fbank.split("|")][6:8] == ["-", "-"]
    assert re.search(r"\d vs fbank, not resolved", same) and "**" not in fbank + same
    assert re.match(r"\| 50 % better\\_& \\\| so +\| \*\*\d\d\.\d \[\d\d\.\d, \d\d\.\d\]\*\* +\| \d\d\.\d ± ", ours)
    assert re.search(r"\| \+\d\d\.\d vs fbank, p = \.0\d\d +\| 81\.43 / 83\.16 \|$", ours)
    assert "bootstrap over 8 speakers" in protocol and "(1 or 3 a system)" in protocol
    assert note == r"- \`ours\` hears test audio"


def test_the_score_as_published_is_the_mean_of_validation_and_test(predictions):
    perfect = predictions["ours"].assign(prediction=lambda frame: frame.label)
    table = tables.build_table(ROWS, predictions, UTTERANCES, CLASSES, {"ours": perfect})
    ours = table.set_index("system").loc["ours"]
    assert ours.UA_as_published == pytest.approx((1 + ours.UA_fold_mean) / 2, abs=1e-4)
    header, _, fbank, _, line = tables.to_markdown(table).splitlines()[:5]
    assert header.endswith("as published, not clean |") and fbank.rstrip(" |").endswith("| -")
    gap = 100 * (ours.UA_as_published - ours.UA_fold_mean)
    assert f"| {100 * ours.UA_as_published:.1f} (+{gap:.1f})" in line
    assert "As published: (validation UA + test UA) / 2" in tables.to_latex(table)


@given(st.text())
def test_no_name_breaks_a_table(table, name):
    table = table.assign(name=["fbank", "same", f"a{name}"])
    cells = re.findall(r"(?:\\.|[^\\|])+", tables.to_markdown(table).split("\n")[4])
    assert len(cells) == 7
    assert re.sub(r"\\([\\`*_|~$<])", r"\1", cells[0]).strip() == " ".join(f"a{name}".split())

    lines = tables.to_latex(table, [name]).split("\n")
    assert lines[0] == r"\begin{tabular}{lllllll}" and lines[-4] == r"\end{tabular}"
    plain = re.sub(r"\\([%&#_{}$]|\\$)", "", "\n".join(lines), flags=re.MULTILINE)
    assert [line.count("&") for line in plain.split("\n")[4:7]] == [6, 6, 6]
    assert plain.count("{") == plain.count("}") and plain.count("$") % 2 == 0
    assert not re.search(r"[%#^~_]", plain)


def test_four_speakers_are_told_that_they_cannot_resolve(predictions):
    few = UTTERANCES[UTTERANCES["speaker"].isin(SPEAKERS[:4])]
    own = {key: frame[frame["utterance"].isin(few["utterance"])] for key, frame in predictions.items()}
    table = tables.build_table(ROWS, own, few, CLASSES)
    assert table["p"].min() == 0.125
    assert "4 speakers allow no corrected p below 0.25" in tables.to_markdown(table)


COUNTS = np.array([[50, 3, 0, 7], [2, 40, 9, 1], [0, 0, 0, 0], [5, 5, 5, 90]])
RUNS = itertools.product(range(2), range(2), range(0, 60, 10), ("train loss", "validation loss", "validation UA"))
HISTORY = pd.DataFrame(RUNS, columns=["fold", "seed", "step", "quantity"])
HISTORY["step"] += HISTORY["fold"]
HISTORY["value"] = HISTORY["fold"] + 1 / (HISTORY["step"] + 1)


@pytest.mark.parametrize("suffix", ["png", "svg"])
def test_a_figure_is_the_same_bytes_twice(tmp_path, suffix):
    for name in ("first", "second"):
        figures.save(figures.confusion_matrix(COUNTS, CLASSES, "ours"), tmp_path / f"{name}-matrix.{suffix}")
        figures.save(figures.training_curves(HISTORY, "ours"), tmp_path / f"{name}-curves.{suffix}")
    curves, matrix, *again = (path.read_bytes() for path in sorted(tmp_path.iterdir()))
    assert again == [curves, matrix]
    assert curves.startswith({"png": b"\x89PNG", "svg": b"<?xml"}[suffix]) and b"Matplotlib" not in curves
    with pytest.raises(UserError, match=r"a.pdf: a figure is saved as .png or .svg, not '.pdf'"):
        figures.save(figures.training_curves(HISTORY, "ours"), tmp_path / "a.pdf")


def test_cells_show_the_share_of_their_row_and_the_count():
    texts = [text.get_text() for text in figures.confusion_matrix(COUNTS, CLASSES, "ours").axes[0].texts]
    assert texts[:8] == ["83", "50", "5", "3", "0", "0", "12", "7"]


def test_curves_have_a_thin_line_a_run_and_a_bold_mean_over_shared_steps():
    loss, ua = figures.training_curves(HISTORY, "ours").axes
    assert [axes.get_title(loc="left") for axes in (loss, ua)] == ["loss", "UA"]
    assert [len(loss.lines), len(ua.lines)] == [2 * (4 + 1), 4 + 1]
    bold = ua.lines[-1]
    assert bold.get_linewidth() > ua.lines[0].get_linewidth()
    assert (bold.get_xdata().min(), bold.get_xdata().max()) == (1, 50)
    between = np.interp(10, [1, 11], [1 + 1 / 2, 1 + 1 / 12])
    assert bold.get_ydata()[1] == pytest.approx((1 / 11 + between) / 2)
