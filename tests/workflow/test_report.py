"""The report of a whole run, with everything in it that generated results lack."""

import json

import pytest
from tests.browser import opened, serious_faults

from serflow import report


@pytest.fixture(scope="module")
def results(finished):
    """`results/demo`, with its report beside it."""
    results = finished[0].folder / "results" / "demo"
    assert report.write([results], results.parent / "report.html") == []
    return results


def test_the_report_of_a_run_has_every_part(results):
    with opened(results.parent / "report.html") as page:
        assert page.told == []
        missing = page.locator(".absent").all_inner_texts()
        assert len(missing) == 2 and "protocol: {transductive: both}" in missing[1] and "audio" in missing[0]
        tables = {path.stem for path in (results / "tables").glob("*.md")}
        assert page.locator("#demo-tables details").count() == len(tables)
        systems = {path.name for path in (results / "systems").iterdir()}
        assert page.locator(".confusion").count() == page.locator("[name=system] option").count()
        assert page.locator(".confusion").count() == len(systems)
        assert page.locator("#demo-frames img").count() == 1
        assert page.locator("#demo-stress img").count() == len(list((results / "figures/stress").glob("*.png")))
        assert page.locator("#demo-units .chart").count() == 2 and page.locator("#demo-vectors .chart").count() == 2
        lanes = set(page.locator("#demo-explorer .lane > span").all_inner_texts())
        assert {"Intensity: strengthnet", "Intensity: energy", "Units: mfcc", "Attention"} <= lanes
        assert page.locator(".graph .pretraining text.name").count() > 3
        assert "finetune" not in page.inner_text("#demo-run") and "snakemake --cores 2" in page.inner_text(
            "#demo-run"
        )
    assert json.loads((results / "configuration.json").read_text())["report"] == {"audio": False}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_serious_fault_in_it(results, scheme):
    with opened(results.parent / "report.html", color_scheme=scheme, bypass_csp=True) as page:
        assert serious_faults(page) == []


def test_jobs_are_measured(results):
    jobs = results / "run/jobs"
    measured = json.loads((jobs / "systems/hubert-mean/fold-0-seed-0.jsonl").read_text())
    assert measured["s"] > 0
    assert (jobs / "tables/flea.jsonl").is_file()
