"""What a claim is worth, and where it stands in the forest plot."""

import math

import pytest
from tests.unit.test_claims import table_at

from serflow.evaluation.claims import gather
from serflow.report.corpus import Corpus
from serflow.report.verdicts import Claim, headline, place, pooled, reach


def claim(difference=0.02, low=-0.01, high=0.05, p=0.2, against_guessing=False):
    return Claim("demo", "flea", "new", "old", 0.6, difference, low, high, p, 0.04, against_guessing)


@pytest.mark.parametrize(
    ("difference", "p", "verdict"),
    [
        (0.1, 0.049, "helps"), (-0.1, 0.049, "harms"), (0.1, 0.05, "not resolved"), (0.1, math.nan, "not tested"),
    ],
)  # fmt: skip
def test_a_verdict_follows_p_and_sign(difference, p, verdict):
    assert claim(difference=difference, p=p).verdict == verdict


def test_the_headline_counts_ideas_and_not_that_they_beat_a_guess():
    ideas = [claim(difference=-0.1, p=0.01), claim(), claim()]
    guess = claim(difference=0.5, low=0.4, high=0.6, p=0.0001, against_guessing=True)
    assert headline([*ideas, guess]) == "3 claims: none ahead of its baseline, 1 behind it, 2 not resolved."
    assert headline([guess]) == "1 claim: 1 ahead of its baseline."
    assert headline([]) == "0 claims: none ahead of its baseline."


def test_the_plot_holds_all_intervals_but_those_against_a_guess():
    guess = claim(difference=0.5, low=0.4, high=0.6, against_guessing=True)
    half = reach([claim(low=-0.11), guess])
    assert half == pytest.approx(0.15)
    assert place(0, half) == 50 and place(-0.15, half) == 0 and place(0.5, half) == 100
    assert reach([claim(low=math.nan, high=math.nan)]) == pytest.approx(0.05) and reach([guess]) == pytest.approx(0.6)


def test_what_is_pooled_is_what_serflow_claims_says(tmp_path):
    corpora = [Corpus(table_at(tmp_path, name).parent) for name in ("emodb", "ravdess")]
    assert pooled(corpora[:1]) == {}
    (found,) = pooled(corpora).values()
    table = gather(corpus.folder for corpus in corpora).query("scope == 'pooled'")
    assert [claim.difference for claim in found] == table["difference"].tolist() == [0.05, -0.02]
    assert [claim.verdict for claim in found] == table["verdict"].tolist()
    assert headline(found).startswith("2 claims: 1 ahead")
