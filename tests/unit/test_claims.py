import json
import subprocess

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from tests.conftest import PROJECT
from tests.unit.test_evaluation import simulate

from serflow.artifacts import write_csv, write_text
from serflow.errors import UserError
from serflow.evaluation import overview
from serflow.evaluation.claims import AT_LARGE, ONE, POOLED, UNREGISTERED, gather
from serflow.evaluation.register import note_seen, planned
from serflow.evaluation.stamps import MARK
from serflow.evaluation.statistics import ALPHA, compare, mean_of, over_blocks
from serflow.evaluation.tables import COLUMNS

CLASSES = ["anger", "neutral", "sadness", "fear"]
DIFFERENCES = {"ours": 0.05, "shuffled": -0.02}


def table_at(results, corpus, differences=DIFFERENCES, error=0.01, folds=5, paper="paper", **changes):
    """A table of a corpus below `results`, with the page and scores beside it."""
    folder = results / corpus / "tables"
    reach = error * stats.t.isf(ALPHA / 2, folds - 1)
    rows = [
        {"system": "plain", "name": "Plain", "UA": 0.5, "folds": folds, "speakers": 10, "seeds": 3, "block": "fold"}
    ]
    for system, difference in differences.items():
        found = {
            "difference": difference,
            "difference_low": difference - reach,
            "difference_high": difference + reach,
        }
        p = 2 * stats.t.sf(abs(difference) / error, folds - 1)
        told = {"system": system, "name": system.title(), "baseline": "plain", "UA": 0.5 + difference, "p": p}
        rows.append(rows[0] | told | found | {"p_holm": p, "resolvable": 0.06})
    write_csv(folder / f"{paper}.csv", pd.DataFrame(rows, columns=COLUMNS).assign(**changes))
    write_text(folder / f"{paper}.md", "# A paper\n\n| table |\n")
    scores = pd.DataFrame({"kind": "class", "name": CLASSES})
    write_csv(folder / f"{paper}-scores.csv", scores)
    return folder


def plan_at(folder, systems=DIFFERENCES, synthesised=False, recordings="abc", paper="paper"):
    claims = [
        {"paper": paper, "system": name, "baseline": "plain", "title": "A paper", "name": name, "against": "Plain"}
        for name in systems
    ]
    write_csv(
        folder / f"{paper}-planned.csv", planned(claims, 5, 10, 3, synthesised=synthesised, recordings=recordings)
    )


def gathered(results):
    return gather(path.parent for path in results.glob("*/tables"))


def of(claims, system, scope):
    return claims[(claims["system"] == system) & (claims["scope"] == scope)]


@pytest.mark.parametrize(
    "corpora", [[(4, 4), (24, 6)], [(10, 5), (4, 4), (12, 4)], [(10, 5)] * 4 + [(24, 6), (4, 4)]]
)
def test_pooled_tests_and_intervals_are_right_as_often_as_they_say_whatever_corpora_differ_in(corpora):
    """4 to 24 speakers; the true effects have a sd of 5 points, about a mean of 0 over these corpora or over all."""
    rng, simulations = np.random.default_rng(len(corpora)), 2000
    effects = rng.normal(0, 0.05, (simulations, len(corpora)))
    found = [compare(*simulate(rng, simulations, folds)[:, :2].swapaxes(0, 1)) for _, folds in corpora]
    freedoms = [folds - 1 for _, folds in corpora]
    errors = np.stack([part.error for part in found], -1)
    noise = np.stack([part.value for part in found], -1)
    pooled, _ = mean_of(noise + effects - effects.mean(-1, keepdims=True), errors, freedoms)
    at_large = over_blocks(noise + effects)
    for estimate in (pooled, at_large) if len(corpora) >= 3 else (pooled,):
        assert np.mean(estimate.p < ALPHA) < 0.07  # 4 standard errors; conservative it may be
        assert np.mean((estimate.low <= 0) & (estimate.high >= 0)) > 0.93
    assert np.mean(pooled.p < ALPHA) > 0.02
    naive = np.abs((noise + effects).mean(-1)) > 1.96 * np.sqrt((errors**2).sum(-1)) / len(corpora)
    assert np.mean(naive) > 0.1  # effects that differ are noise for whoever speaks of other corpora


@given(st.lists(st.tuples(st.floats(-0.3, 0.3), st.floats(0.001, 0.2), st.integers(2, 23)), min_size=1, max_size=6))
def test_a_mean_of_estimates_is_scipys_where_that_is_defined(parts):
    values, errors, freedoms = np.transpose(parts)
    found, freedom = mean_of(values, errors, freedoms)
    assert freedoms.min() - 1e-9 <= freedom <= freedoms.sum() + 1e-9
    assert found.low <= found.value <= found.high and found.value == pytest.approx(values.mean())
    if len(parts) == 2:  # Welch's test of one mean against another's negative
        sizes = freedoms + 1
        welch = stats.ttest_ind_from_stats(
            values[0], errors[0] * sizes[0] ** 0.5, sizes[0], -values[1], errors[1] * sizes[1] ** 0.5, sizes[1], False
        )
        assert found.p == pytest.approx(welch.pvalue)


def test_estimates_without_error_are_certain():
    found, _ = mean_of([0.1, 0.1], [0, 0], [4, 4])
    assert (found.low, found.high, found.p) == pytest.approx((0.1, 0.1, 0))
    assert mean_of([0.1, -0.1], [0, 0], [4, 4])[0].p == 1


def test_claims_are_pooled_over_corpora_that_count_alike(tmp_path):
    for corpus, difference, error in [("a", 0.02, 0.01), ("b", 0.06, 0.03)]:
        table_at(tmp_path, corpus, {"ours": difference}, error)
    claims = gathered(tmp_path)
    assert claims["scope"].tolist() == [ONE, ONE, POOLED]
    (pooled,) = of(claims, "ours", POOLED).itertuples()
    assert pooled.difference == pytest.approx(0.04) and pooled.corpus == "2 corpora"
    welch = stats.ttest_ind_from_stats(0.02, 0.01 * 5**0.5, 5, -0.06, 0.03 * 5**0.5, 5, False)
    assert pooled.p == pytest.approx(welch.pvalue, abs=1e-3) and pooled.folds == 10
    table_at(tmp_path, "c", {"ours": 0.03}, 0.01)
    (large,) = of(gathered(tmp_path), "ours", AT_LARGE).itertuples()
    assert large.p == pytest.approx(stats.ttest_1samp([0.02, 0.06, 0.03], 0).pvalue, abs=1e-4)


def test_all_claims_of_all_papers_are_one_family_where_they_are_pooled(tmp_path):
    for corpus in "ab":
        for number in range(4):
            table_at(tmp_path, corpus, {"ours": 0.03, "other": 0.001}, 0.012, paper=f"paper-{number}")
    pooled = gathered(tmp_path).query("scope == 'pooled'")
    ours = pooled[pooled["system"] == "ours"]
    assert len(pooled) == 8 and ours["p_holm"].tolist() == pytest.approx((8 * ours["p"]).tolist(), abs=2e-3)


def test_what_does_not_count_is_told_and_not_pooled(tmp_path):
    table_at(tmp_path, "a")
    plan_at(table_at(tmp_path, "again"), recordings="same")
    plan_at(table_at(tmp_path, "b"), recordings="same")
    plan_at(table_at(tmp_path, "made"), synthesised=True, recordings="own")
    table_at(tmp_path, "few", block="speaker")
    earlier = table_at(tmp_path, "old")
    write_text(earlier / "paper.md", f"# A paper\n\n{MARK}\n")
    claims = gathered(tmp_path)
    notes = of(claims, "ours", ONE).set_index("corpus")["note"]
    assert notes[["a", "again"]].tolist() == [UNREGISTERED, ""]
    assert notes["b"] == "not pooled: the recordings of again"
    assert notes["made"] == "not pooled: synthesised speech"
    assert "too few folds" in notes["few"] and "other classes, folds or seeds" in notes["old"]
    assert of(claims, "ours", POOLED)["corpus"].item() == "2 corpora"


def test_a_claim_that_was_changed_or_withdrawn_after_it_was_seen_says_so(tmp_path):
    folder = table_at(tmp_path, "a")
    for configuration, differences in [("1234e567", {"ours": -0.01, "gone": 0.04}), ("2" * 8, DIFFERENCES)]:
        table_at(tmp_path, "a", differences)
        for _ in range(2):  # a table that is made again by the same configuration is nothing new
            note_seen(folder / "paper-seen.csv", "paper", configuration, pd.read_csv(folder / "paper.csv"))
    assert len(pd.read_csv(folder / "paper-seen.csv")) == 4
    claims = gathered(tmp_path)
    assert of(claims, "ours", ONE)["note"].item() == "changed after it was seen: -1.0 by 1234e567"
    for difference in (0.05, 0.03, 0.03):  # by other code
        other = table_at(tmp_path, "b", {"ours": difference})
        note_seen(other / "paper-seen.csv", "paper", "3" * 8, pd.read_csv(other / "paper.csv"))
    again = of(gathered(tmp_path), "ours", ONE).set_index("corpus")["note"]["b"]
    assert again == "made again after it was seen: +5.0 by 33333333"
    gone = of(claims, "gone", ONE).iloc[0]
    assert gone["note"].endswith("withdrawn after it was seen (by 1234e567)") and gone["difference"] == 0.04
    assert "withdrawn after it was seen" in overview.to_markdown(claims)


def test_a_claim_is_there_before_its_table_and_without_one_is_not_tested(tmp_path):
    plan_at(tmp_path / "a" / "tables")
    claims = gathered(tmp_path)
    assert claims["verdict"].tolist() == ["not tested"] * 2 and claims["note"].tolist() == ["planned"] * 2
    assert claims["planned"].between(0.05, 0.15).all()
    assert "2 claims: none ahead of its baseline, 2 not tested" in overview.to_markdown(claims)


def test_to_beat_a_guess_is_no_claim(tmp_path):
    table_at(tmp_path, "a", {"ours": 0.3}, UA=0.55)
    assert gathered(tmp_path).empty


def test_verdicts_are_the_same_bytes_from_tables_alone(tmp_path, monkeypatch):
    made = []
    for name in ("here", "clone"):
        results = tmp_path / name / "results"
        for corpus in ("emodb", "ravdess"):
            plan_at(table_at(results, corpus), recordings=corpus)
        monkeypatch.chdir(tmp_path / name)
        overview.write()
        made.append({path.name: path.read_bytes() for path in results.glob("*.*")})
    assert made[0] == made[1] and {"claims.csv", "claims.md", "claims.json", "claims.svg", "README.md"} <= set(
        made[0]
    )
    pooled = json.loads(made[0]["claims.json"])["paper"]["ours"]
    assert pooled == {"emodb": 0.05, "pooled": 0.05, "ravdess": 0.05}
    assert "**+5.0 [+2.2, +7.8]**" in made[0]["claims.md"].decode()


def test_committed_verdicts_are_made_again_byte_for_byte_from_a_fresh_clone(tmp_path, monkeypatch):
    command = ["git", "clone", "--quiet", PROJECT, tmp_path / "clone"]
    cloned = subprocess.run(command, capture_output=True, text=True)  # noqa: S603
    if cloned.returncode:
        pytest.skip(f"no repository that git clones: {cloned.stderr}")
    monkeypatch.chdir(tmp_path / "clone")
    overview.write()
    changed = subprocess.run(["git", "status", "--porcelain"], capture_output=True, text=True, check=True)  # noqa: S607
    assert changed.stdout == ""


def test_a_damaged_table_is_named(tmp_path):
    folder = table_at(tmp_path, "a")
    (folder / "paper-seen.csv").write_text("nothing\n")
    with pytest.raises(UserError, match="paper-seen.csv is no table"):
        gathered(tmp_path)
    (folder / "paper-seen.csv").unlink()
    (folder / "paper.csv").write_text("system,name\n")
    with pytest.raises(UserError, match="paper.csv is no table"):
        gathered(tmp_path)
