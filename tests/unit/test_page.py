"""The report in a real browser, from disk, with no network: what it shows, and what one can do with it."""

import json
import os
import re
import shutil

import pandas as pd
import pytest
from benchmarks.report import generate
from tests.browser import opened, serious_faults

from serflow import cli, report
from serflow.errors import UserError

SCRIPT = "<script>document.title='taken'</script>"
CLASSES = ["anger", "neutral", f"sad{SCRIPT}"]


@pytest.fixture(scope="module")
def generated(tmp_path_factory):
    """The page of two corpora, the first with audio; in the second a class, a system and a command hold a script."""
    folder = tmp_path_factory.mktemp("results")
    size = {"systems": 3, "folds": 3, "seeds": 2, "speakers": 6, "utterances": 54}
    generate(folder / "one", ["anger", "neutral", "sadness"], **size)
    generate(folder / "two", CLASSES, **size, audio=False)
    for file in (folder / "two/tables").iterdir():
        file.write_text(file.read_text().replace("System system-1", f"System {SCRIPT}"))
    (folder / "two/run").mkdir()
    command = {"command": f"snakemake {SCRIPT}", "started": "now", "machine": "m", "versions": {"python": "3"}}
    (folder / "two/run/commands.jsonl").write_text(json.dumps(command) + "\n")
    missing = report.write([folder / "one", folder / "two"], folder / "report.html")
    assert [sentence.partition(":")[0] for sentence in missing] == ["one", "two"]
    return folder


@pytest.fixture
def page(generated):
    with opened(generated / "report.html", viewport={"width": 1280, "height": 900}) as page:
        yield page
        assert page.told == []


def test_every_part_is_there_and_nothing_is_loaded(page, generated):
    verdicts = page.inner_text("#verdicts")
    assert "2 claims" in verdicts and "All corpora together" in verdicts  # and each on both corpora by itself
    assert page.locator(".verdict .dot").count() == 6
    table = pd.read_csv(generated / "one/tables/all.csv")
    shown = page.locator("#one-tables tbody tr").first.inner_text()
    assert f"{100 * table.UA[0]:.1f}" in shown
    assert page.locator("#one-errors .confusion").count() == 3 and page.locator("#one-errors .chart svg").count() == 1
    assert (
        page.locator("#one-training .chart svg").count() == 4 and page.locator("#one-heard .chart svg").count() == 1
    )
    assert "Left out of the corpus, by reason: 1 unreadable" in page.inner_text("#one-protocol")
    for part in (
        "tables",
        "errors",
        "explorer",
        "training",
        "units",
        "frames",
        "stress",
        "heard",
        "vectors",
        "protocol",
        "run",
    ):
        assert page.locator(f"#one-{part} h3").count() == page.locator(f"#two-{part} h3").count() == 1


def test_names_that_are_scripts_stay_text(page):
    assert page.title() == "serflow: what runs have found"
    assert page.locator("script").count() == 2 + page.locator(".chart").count()
    assert SCRIPT in page.locator("#two-errors thead").first.inner_text()
    assert f"System {SCRIPT}" in page.inner_text("#two-tables") and SCRIPT in page.inner_text("#verdicts")
    assert f"snakemake {SCRIPT}" in page.inner_text("#two-run")
    # Had one become an element after all, the page's policy would not run it.
    page.evaluate("script => document.body.append(document.createRange().createContextualFragment(script))", SCRIPT)
    assert page.title() == "serflow: what runs have found" and "Content Security Policy" in page.told.pop()


def test_tables_sort_by_size_and_by_keyboard(page):
    table = page.locator("#one-tables table").first

    def column():
        return [float(cell.split()[0]) for cell in table.locator("tbody td:nth-child(2)").all_inner_texts()]

    heading = page.locator("#one-tables thead th").nth(1)
    before = column()
    heading.locator("button").focus()
    page.keyboard.press("Enter")
    assert column() == sorted(before) and heading.get_attribute("aria-sort") == "ascending"
    page.keyboard.press("Enter")
    assert column() == sorted(before, reverse=True) and heading.get_attribute("aria-sort") == "descending"


def test_the_explorer_filters_and_shows_what_is_chosen(page):
    explorer = page.locator("#one-explorer")
    rows = explorer.locator(".utterances tbody tr:visible")
    every = rows.count()
    assert every == 24 and explorer.locator("article:visible").count() == 1
    explorer.locator("[name=system]").select_option("system-0")
    explorer.locator("[name=right]").select_option("wrong")
    wrong = rows.count()
    assert 0 < wrong < every and all("✗" in text for text in rows.locator(".predicted").all_inner_texts())
    explorer.locator("[name=right]").select_option("right")
    assert rows.count() == every - wrong
    explorer.locator("[name=right]").select_option("")
    explorer.locator("[name=speaker]").select_option("03")
    assert {text.split("\t")[1] for text in rows.all_inner_texts()} == {"03"}
    explorer.locator("[name=speaker]").select_option("")
    explorer.locator("[name=confidence]").fill("60")
    assert (
        all(int(text.split()[0]) >= 60 for text in rows.locator(".confidence").all_inner_texts())
        and rows.count() < every
    )
    explorer.locator("[name=confidence]").fill("0")
    first = rows.locator(".confidence").all_inner_texts()
    explorer.locator("[name=system]").select_option("system-1")
    assert rows.locator(".confidence").all_inner_texts() != first
    assert {
        lane.get_attribute("data-system")
        for lane in explorer.locator("article:visible .lane[data-system]:visible").all()
    } == {"system-1"}
    rows.nth(4).locator("button").click()
    assert explorer.locator("article:visible h4").inner_text().startswith(rows.nth(4).locator("button").inner_text())


def test_time_has_one_cursor_for_player_pointer_and_keys(page):
    from playwright.sync_api import expect

    article = page.locator("#one-explorer article:visible")
    seconds = float(article.get_attribute("data-seconds"))
    place = "element => parseFloat(element.style.left) / 100"
    cursor, lanes, audio = article.locator(".cursor"), article.locator(".lanes"), article.locator("audio")
    audio.evaluate("player => player.readyState || new Promise(go => player.addEventListener('loadedmetadata', go))")
    assert audio.evaluate("player => player.duration") == pytest.approx(seconds, abs=0.01)
    audio.evaluate("player => { player.currentTime = 0.5 }")
    expect(cursor).to_have_attribute("data-time", "0.50 s")
    assert cursor.evaluate(place) == pytest.approx(0.5 / seconds, abs=0.01)
    audio.evaluate("player => player.play()")
    expect(cursor).to_have_attribute("data-time", re.compile(r"^(0\.[7-9]|[1-9])"), timeout=30_000)
    audio.evaluate("player => player.pause()")
    lanes.scroll_into_view_if_needed()
    box = article.locator(".over").bounding_box()
    page.mouse.click(box["x"] + box["width"] / 4, box["y"] + 20)
    assert cursor.evaluate(place) == pytest.approx(0.25, abs=0.02)
    assert audio.evaluate("player => player.currentTime") == pytest.approx(seconds / 4, abs=0.05)
    lanes.focus()
    page.keyboard.press("ArrowRight")
    assert cursor.evaluate(place) == pytest.approx(0.25 + 0.1 / seconds, abs=0.02)
    assert float(lanes.get_attribute("aria-valuenow")) == pytest.approx(seconds / 4 + 0.1, abs=0.05)


def test_speech_is_in_the_page_only_where_the_configuration_lets_it_in(page):
    assert page.locator("#one-explorer audio").count() == 24 and page.locator("#two-explorer audio").count() == 0
    assert page.locator("#two-explorer article").count() == 24
    assert "report: {audio: true}" in page.inner_text("#two-explorer")


def test_what_is_wide_scrolls_by_itself_on_a_narrow_page(generated):
    with opened(generated / "report.html", viewport={"width": 400, "height": 800}) as page:
        assert page.evaluate("document.documentElement.scrollWidth") == 400


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_serious_fault(generated, scheme):
    with opened(generated / "report.html", color_scheme=scheme, bypass_csp=True) as page:
        assert serious_faults(page) == []


def test_a_clone_with_tables_alone_has_a_report_that_says_what_is_missing(generated, tmp_path, monkeypatch, capsys):
    shutil.copytree(generated / "one/tables", tmp_path / "results/one/tables")
    monkeypatch.chdir(tmp_path)
    assert cli.main(["report"]) is None
    assert "one: not here: predictions (so no confusion matrices" in capsys.readouterr().out
    with opened(tmp_path / "results/report.html") as page:
        assert page.locator(".verdict .dot").count() == 2 and page.locator("#one-errors .chart svg").count() == 1
        assert "No predictions here" in page.inner_text("#one-errors")
        assert page.told == []


def test_a_corpus_without_systems_has_its_tables(tmp_path):
    table = "# Units\n\n| Units | k |\n| ----- | - |\n| mfcc  | 5 |\n\n- Of what was clustered.\n"
    (tmp_path / "one/tables").mkdir(parents=True)
    (tmp_path / "one/tables/units.md").write_text(table)
    assert len(report.write([tmp_path / "one"], tmp_path / "report.html")) == 1
    with opened(tmp_path / "report.html") as page:
        assert page.locator("#one-tables tbody td").all_inner_texts() == ["mfcc", "5"]
        assert "No row of a table is compared" in page.inner_text("#verdicts")
        assert page.told == []


def test_predictions_of_another_run_are_left_out(generated, tmp_path):
    shutil.copytree(generated / "one", tmp_path / "one")
    place = tmp_path / "one/systems/system-1"
    shutil.copy(place / "fold-0/seed-0/predictions.parquet", place / "fold-0/seed-1/predictions.parquet")
    for file in (tmp_path / "one/systems/system-0").glob("*/*/predictions.parquet"):  # of an older serflow
        pd.read_parquet(file).rename(columns={"emotion": "label"}).to_parquet(file)
    (missing,) = report.write([tmp_path / "one"], tmp_path / "report.html")
    assert "but of another one, for system-0, system-1" in missing


def halve(path):
    os.truncate(path, path.stat().st_size // 2)


@pytest.mark.parametrize(
    ("break_it", "sentence"),
    [
        (lambda one: shutil.rmtree(one / "tables"), "has no tables/"),
        (
            lambda one: (one / "systems/system-0/fold-0/seed-0/predictions.parquet").write_bytes(b"PAR1"),
            "systems cannot be read",
        ),
        (lambda one: (one / "corpus/protocol.json").write_text("{"), "protocol.json cannot be read"),
        (lambda one: (one / "tables/all-scores.csv").write_text(""), "all-scores.csv cannot be read"),
        (lambda one: halve(one / "tables/all-scores.csv"), "all-scores.csv cannot be read .its end is missing"),
        (lambda one: halve(one / "tables/all.csv"), "all.csv cannot be read .its end is missing"),
        (lambda one: halve(one / "tables/all.md"), "all.md cannot be read .its end is missing"),
        (
            lambda one: halve(one / "systems/system-0/fold-0/seed-0/model/history.csv"),
            "systems cannot be read .its end is missing",
        ),
    ],
)
def test_what_is_damaged_is_told_in_a_sentence(generated, tmp_path, break_it, sentence):
    shutil.copytree(generated / "one", tmp_path / "one")
    break_it(tmp_path / "one")
    with pytest.raises(UserError, match=sentence):
        report.write([tmp_path / "one"], tmp_path / "report.html")
    assert not (tmp_path / "report.html").exists()


def test_a_report_replaces_no_folder(generated):
    with pytest.raises(UserError, match="one is a folder: name the file"):
        report.write([generated / "one"], generated / "one")
    assert (generated / "one/tables").is_dir()
