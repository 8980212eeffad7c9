import io
import itertools
import json
import re
import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score
from tests.conftest import PROJECT

from serflow.artifacts import write_csv
from serflow.errors import UserError
from serflow.evaluation import figures, tables
from serflow.evaluation.metrics import confusion, macro_f1, unweighted_accuracy, weighted_accuracy
from serflow.evaluation.statistics import (
    MIN_BLOCKS,
    block_of,
    compare,
    holm,
    interval,
    planned_error,
    pseudo_values,
    resolvable,
)

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


def simulate(rng, corpora, blocks, seeds=1, network=0.08, systems=2, difference=0.0):
    """Confusions `[corpora, systems, blocks, C, C]`, seeds summed; every block and seed has a network of its own.

    Blocks have unequal counts and may lack a class; the first system is better by `difference`."""
    counts = rng.integers(10, 30, (blocks, len(CLASSES)))
    counts[0, 1] = 0
    right = [0.4, 0.5, 0.5, 0.6] + rng.normal(0, network, (corpora, systems, seeds, blocks, 1))
    right += rng.normal(0, 0.05, (corpora, 1, 1, blocks, len(CLASSES)))
    right[:, 0] += difference
    hits = rng.binomial(counts, np.clip(right, 0, 1)).sum(2)
    identity = np.eye(len(CLASSES), dtype=int)
    return hits[..., None] * identity + (seeds * counts - hits)[..., None] * np.roll(identity, 1, axis=1)


@pytest.mark.parametrize(("blocks", "seeds"), [(5, 3), (10, 1)])
def test_intervals_and_tests_are_right_as_often_as_they_say_though_folds_have_networks_of_their_own(blocks, seeds):
    corpora = simulate(np.random.default_rng(1), 4000, blocks, seeds)
    ua, difference = interval(corpora[:, 0]), compare(corpora[:, 0], corpora[:, 1])
    assert 0.935 < np.mean((ua.low <= 0.5) & (ua.high >= 0.5)) < 0.965  # 4 standard errors
    assert 0.935 < np.mean((difference.low <= 0) & (difference.high >= 0)) < 0.965
    assert 0.035 < np.mean(difference.p < 0.05) < 0.065


def test_values_are_those_of_leaving_each_block_out_around_the_pooled_score():
    blocks = simulate(np.random.default_rng(4), 1, 6)[0, 0]
    without = np.array([unweighted_accuracy(np.delete(blocks, index, 0).sum(0)) for index in range(6)])
    values = pseudo_values(blocks)
    assert values.mean() == pytest.approx(unweighted_accuracy(blocks.sum(0)))
    assert values - values.mean() == pytest.approx(5 * (without.mean() - without))


def test_what_is_said_to_be_resolvable_is_found_four_times_in_five():
    smallest = resolvable(planned_error(5, 10, 3, 0.08, 0, utterances=42), blocks=5)  # 84 in a block of 2 speakers
    corpora = simulate(np.random.default_rng(2), 4000, 5, seeds=3, difference=smallest)
    found = compare(corpora[:, 0], corpora[:, 1])
    assert found.value.mean() == pytest.approx(smallest, abs=0.01)
    assert 0.77 < np.mean(found.p < 0.05) < 0.83


def test_resolvable_grows_with_claims_and_shrinks_with_folds_and_seeds():
    assert resolvable(0.04, 5, 1) < resolvable(0.04, 5, 3) < resolvable(0.04, 5, 8)
    assert resolvable(0.04, 10) < resolvable(0.04, 5) < resolvable(0.04, MIN_BLOCKS)
    assert np.isnan([resolvable(0.04, MIN_BLOCKS - 1), resolvable(0.04, 5, 0)]).all()
    assert planned_error(10, 10, 1) < planned_error(5, 10, 1) and planned_error(5, 10, 3) < planned_error(5, 10, 1)


def test_blocks_are_folds_or_else_speakers():
    assert [block_of(*design) for design in [(5, 5), (2, 8), (1, 1)]] == ["fold", "speaker", None]


counted = st.lists(st.integers(0, 30), min_size=16, max_size=16).map(lambda counts: np.reshape(counts, (4, 4)))
pairs = st.lists(st.tuples(counted, counted), min_size=MIN_BLOCKS, max_size=6)


@given(pairs, st.randoms(use_true_random=False), st.integers(1, 5))
def test_neither_order_nor_seeds_nor_names_of_systems_matter(blocks, random, seeds):
    a, b = (np.stack(own) + np.eye(4, dtype=int) for own in zip(*blocks, strict=True))
    found = compare(a, b)
    assert found.value == pytest.approx(unweighted_accuracy(a.sum(0)) - unweighted_accuracy(b.sum(0)))
    order = random.sample(range(len(a)), len(a))
    assert compare(a[order], b[order]) == pytest.approx(found)
    assert compare(a, seeds * b) == pytest.approx(found)
    turned = compare(b, a)
    assert turned == pytest.approx((-found.value, found.error, -found.high, -found.low, found.p))


@given(st.lists(counted, min_size=1, max_size=6), st.integers(1, 5))
def test_identical_systems_do_not_differ_and_nothing_warns(blocks, seeds):
    blocks = np.stack(blocks) + np.eye(4, dtype=int)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found, own = compare(blocks, seeds * blocks), interval(blocks)
    if len(blocks) < MIN_BLOCKS:
        assert found.value == 0 and np.isnan([*found[1:], own.low, own.high]).all()
    else:
        assert found == (0, 0, 0, 0, 1) and 0 <= own.low <= own.value <= own.high <= 1


def test_a_class_that_nobody_spoke_and_one_of_a_single_block_are_no_trouble():
    blocks = simulate(np.random.default_rng(3), 1, 5)[0]
    blocks[:, :, 2] = 0
    blocks[:, 1:, 3] = 0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = compare(*blocks)
    assert found.value == pytest.approx(np.subtract(*unweighted_accuracy(blocks.sum(1)))) and 0 < found.p < 1


def test_a_difference_that_no_block_contradicts():
    wrong, right = np.array([[[0, 9], [0, 9]], [[9, 0], [0, 9]]])
    assert compare(np.stack([right] * 3), np.stack([wrong] * 3)) == (0.5, 0, 0.5, 0.5, 0)


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
ONE_CLAIM = [*ROWS[:1], ROWS[1] | {"claim": False}, ROWS[2]]


def predict(accuracy, seeds, rng):
    parts = []
    for seed in range(seeds):
        part = UTTERANCES.copy()
        right = rng.random(len(part)) < accuracy
        part["prediction"] = np.where(right, part["emotion"], rng.choice(CLASSES, len(part)))
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
        return pd.Series([metric(part["emotion"], part["prediction"], **options) for _, part in parts])

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
    assert ours["difference_low"] < ours["difference"] < ours["difference_high"]
    assert list(ours[["utterances", "speakers", "folds", "seeds", "block"]]) == [160, 8, 4, 3, "fold"]
    assert table[["baseline", "difference", "p", "p_holm", "resolvable"]].iloc[0].isna().all()


def test_the_difference_is_a_t_test_of_what_every_fold_adds(predictions, table):
    def recalls(frame):
        return (frame["emotion"] == frame["prediction"]).groupby([frame["fold"], frame["emotion"]]).mean().unstack()

    added = (recalls(predictions["ours"]) - recalls(predictions["fbank"])).mean(axis=1)  # folds are alike here
    expected = stats.ttest_1samp(added, 0)
    ours = table.set_index("system").loc["ours"]
    assert list(ours[["difference", "p"]]) == pytest.approx([added.mean(), expected.pvalue], abs=1e-4)
    assert list(ours[["difference_low", "difference_high"]]) == pytest.approx(
        expected.confidence_interval(), abs=1e-4
    )


def test_only_claims_are_tested_and_corrected_for(predictions, table):
    one = tables.build_table(ONE_CLAIM, predictions, UTTERANCES, CLASSES).set_index("system")
    both = table.set_index("system")
    assert list(one.loc["same", ["difference", "difference_low"]]) == list(
        both.loc["same", ["difference", "difference_low"]]
    )
    assert one.loc["same", ["p", "p_holm", "resolvable"]].isna().all()
    assert one.p_holm["ours"] == one.p["ours"] == both.p["ours"]
    assert one.resolvable["ours"] < both.resolvable["ours"] == both.resolvable["same"]
    *_, note = tables.to_markdown(one.reset_index()).splitlines()
    assert "over 1 claim (a difference without p is none)" in note and "the claim would be resolved" in note


def test_scores_of_parts_are_sklearns(predictions):
    scores = tables.scores_of_parts(predictions, UTTERANCES, CLASSES)
    assert len(scores) == (1 + 3 + 3) * (8 + 4 + 4) and not scores.isna().any(axis=None)
    ours = predictions["ours"].query("seed == 2")
    own = ours[ours["utterance"].str.startswith("speaker5")]
    index = scores.set_index(["system", "seed", "kind", "name"])
    expected = [balanced_accuracy_score(own.emotion, own.prediction), accuracy_score(own.emotion, own.prediction), 20]
    assert list(index.loc["ours", 2, "speaker", "speaker5"]) == pytest.approx(expected, abs=5e-5)
    sad = ours[ours.emotion == "sad"]
    recall = np.mean(sad.prediction == "sad").round(4)
    assert list(index.loc["ours", 2, "class", "sad"]) == [recall, recall, 40]
    again = pd.read_csv(io.StringIO(scores.to_csv(index=False)))
    assert again.groupby(["system", "seed", "kind"]).utterances.sum().unique().tolist() == [160]


@pytest.mark.parametrize("seed", range(3))
def test_no_order_of_rows_changes_a_number(predictions, table, seed):
    shuffled = {key: frame.sample(frac=1, random_state=seed) for key, frame in predictions.items()}
    again = tables.build_table(ROWS, shuffled, UTTERANCES.sample(frac=1, random_state=seed), CLASSES)
    assert again.to_csv() == table.to_csv()


BROKEN = {
    "ours, seed 0 .*speaker0-happy-2 0 times, not 1": lambda frame: frame.drop(index=7),
    "ours, seed 1 .*speaker0-happy-2 2 times, not 1": lambda frame: pd.concat([frame, frame.iloc[[167]]]),
    "ours, seed 0 .*ghost 1 times, not 0": lambda frame: frame.replace("speaker0-happy-2", "ghost"),
    "ours takes utterance speaker0-sad-0 for angry": lambda frame: frame.replace({"emotion": {"sad": "angry"}}),
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
    *body, empty, pooled, blocks, claims, note = tables.to_markdown(table, ["`ours` hears\ntest audio"]).splitlines()
    header, _, fbank, same, ours = body
    assert "| UA % [95 % over 4 folds] " in header
    assert len({len(line) for line in body}) == 1 and empty == ""
    assert [cell.strip() for cell in fbank.split("|")][6:8] == ["-", "-"]
    assert re.search(r"\d vs fbank, not resolved \(\d+\.\d would be\)", same) and "**" not in fbank + same
    assert re.match(r"\| 50 % better\\_& \\\| so +\| \*\*\d\d\.\d \[\d\d\.\d, \d\d\.\d\]\*\* +\| \d\d\.\d ± ", ours)
    assert re.search(r"\| \+\d\d\.\d vs fbank, p = \.0\d\d +\| 81\.43 / 83\.16 \|$", ours)
    assert "averaged over seeds (1 or 3 a system)" in pooled
    assert "Student's t over 4 folds (3 degrees of freedom)" in blocks
    assert "Holm-corrected over 2 claims, not resolved" in claims
    assert "the first of 2 claims would be resolved" in claims
    assert note == r"- \`ours\` hears test audio"


def test_the_score_as_published_is_the_mean_of_validation_and_test(predictions):
    perfect = predictions["ours"].assign(prediction=lambda frame: frame.emotion)
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
    assert re.sub(r"\\([\\`*_|~$<@\]:.])", r"\1", cells[0]).strip() == " ".join(f"a{name}".split())

    lines = tables.to_latex(table, [name]).split("\n")
    assert lines[0] == r"\begin{tabular}{lllllll}" and r"\end{tabular}" in lines
    plain = re.sub(r"\\([%&#_{}$]|\\$)", "", "\n".join(lines), flags=re.MULTILINE)
    assert [line.count("&") for line in plain.split("\n")[4:7]] == [6, 6, 6]
    assert plain.count("{") == plain.count("}") and plain.count("$") % 2 == 0
    assert not re.search(r"[%#^~_]", plain)


@pytest.mark.parametrize(
    ("folds", "speakers", "header", "note"),
    [
        (2, 8, "UA % [95 % over 8 speakers]", "(7 degrees of freedom); they concern these trained networks, not the"),
        (1, 3, "UA % [95 % over 3 speakers]", "not the methods, which 1 fold cannot test."),
        (2, 2, "UA %", "With 2 folds and 2 speakers nothing can be tested: no interval, no p."),
        (1, 1, "UA %", "With 1 fold and 1 speaker nothing can be tested: no interval, no p."),
    ],
)
def test_few_folds_are_told_what_they_cannot_test(predictions, folds, speakers, header, note):
    few = UTTERANCES[UTTERANCES["speaker"].isin(SPEAKERS[:speakers])]
    own = {
        key: frame[frame["utterance"].isin(few["utterance"])].assign(
            fold=lambda part: part["utterance"].str[7].astype(int) % folds
        )
        for key, frame in predictions.items()
    }
    table = tables.build_table(ROWS, own, few, CLASSES)
    assert table["p"].notna().any() == table["UA_low"].notna().any() == ("[" in header)
    lines = tables.to_markdown(table).replace("\\", "").splitlines()
    assert header in [cell.strip() for cell in lines[0].split("|")]
    assert note in lines[7] and not tables.to_latex(table).count("nan")


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


CONTROLS = {"majority": "majority", "level": "nuisance"}


def of_rows(**scores):
    """A table of these UA and the lower ends of their intervals."""
    rows = [{"system": name, "name": name, "UA": ua, "UA_low": low} for name, (ua, low) in scores.items()]
    return pd.DataFrame(rows).assign(utterances=9)


@pytest.mark.parametrize(
    ("told", "scores"),
    [
        ([], {"majority": (0.25, 0.25), "level": (0.4, 0.3), "ours": (0.6, 0.5)}),
        (["beyond chance: scores may be of how"], {"level": (0.623, 0.5), "ours": (0.662, 0.55)}),
        (["less than a guess"], {"majority": (0.035, 0.0), "ours": (0.6, 0.5)}),
        (["exceeds guessing (25.0) beyond chance"], {"majority": (0.25, 0.25), "ours": (0.3, 0.2)}),
        (["exceeds guessing"], {"ours": (0.2, np.nan)}),
        ([], {"majority": (0.25, 0.25)}),
    ],
)
def test_scores_that_controls_explain_are_told(told, scores):
    found = list(tables.cautions(of_rows(**scores), CONTROLS, 0.25))
    assert len(found) == len(told) and all(part in text for part, text in zip(told, found, strict=True))


def test_warnings_stand_first_under_a_table(table):
    *_, empty, first, _, _, _, last = tables.to_markdown(table, ["note"], ["mind\nthis"]).splitlines()
    assert (empty, first, last) == ("", "- **Warning:** mind this", "- note")
    below = tables.to_latex(table, ["note"], ["mind this"]).split(r"\end{tabular}")[1]
    assert below.index("Warning: mind this") < below.index("pooled over folds")


@pytest.mark.parametrize(
    "text",
    ["[a](https://b)", "![a](b)", "[a][b]", "[a]: b", "https://a.b", "www.a.b", "a@b.c", "<img src=x>", "<b>", "*a*"],
)
def test_names_are_shown_as_they_are_and_nothing_of_them_lives(text):
    shown = tables.escaped(f"{text}\n\n{text}")
    assert re.sub(r"\\(?=[^\w\s])", "", shown) == f"{text} {text}"
    assert not re.search(r"(?<!\\)\][(\[:]|(?<!\\)://|www\.|(?<!\\)@|(?<!\\)<|(?<!\\)\*", shown)
    assert tables.escaped("66.2 [60.1, 70.2]") == "66.2 [60.1, 70.2]"


def test_a_row_of_latex_does_not_begin_with_what_the_line_before_would_take(table):
    lines = tables.to_latex(table.assign(name=["[a", "*b", "c[d"])).splitlines()
    assert [line.split(" &")[0] for line in lines[4:7]] == ["{[}a", "{*}b", "c[d"]


def test_no_cell_is_a_formula(tmp_path):
    names = ["=1+1", "+1", "-1", "@a", "\t=1", "a\r=1", "a=1", "-", "", None, "'=1"]
    frame = pd.DataFrame({"name": names, "UA": np.linspace(-1, 1, len(names)), "=p": 1})
    write_csv(tmp_path / "a.csv", frame)
    read = pd.read_csv(tmp_path / "a.csv", keep_default_na=False)
    assert list(read["name"]) == ["'=1+1", "'+1", "'-1", "'@a", "'\t=1", "a =1", "a=1", "-", "", "", "'=1"]
    assert list(read) == ["name", "UA", "'=p"] and np.allclose(read["UA"], frame["UA"])


@pytest.mark.parametrize("name", ["ems.csv", "ems-scores.csv", "intensity.csv"])
def test_a_table_without_formulas_is_written_as_it_is(tmp_path, name):
    path = PROJECT / "results" / "emodb" / "tables" / name
    write_csv(tmp_path / "a.csv", pd.read_csv(path))
    assert (tmp_path / "a.csv").read_text() == pd.read_csv(path).to_csv(index=False)
