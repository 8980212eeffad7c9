// What the page does besides being read: tables sort, charts are drawn, and the explorer filters, plays and points.
"use strict";

// ---- Tables: a heading becomes a button that sorts by its column, numbers by size ----

function valueOf(row, column) {
  const cell = row.cells[column];
  const text = cell.dataset.value ?? cell.innerText.replace("−", "-").replace(/^[*▲▼✓✗\s]+/, "").trim();
  const number = text.match(/^[+-]?(\d+\.?\d*|\.\d+)/);
  return number ? Number(number[0]) : text;
}

function compare(a, b) {
  if (typeof a === "number" && typeof b === "number") return a - b;
  if (typeof a !== typeof b) return typeof a === "number" ? -1 : 1;
  return a.localeCompare(b, undefined, { numeric: true });
}

function makeSortable(table) {
  for (const heading of table.tHead.rows[0].cells) {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...heading.childNodes);
    heading.append(button);
    button.addEventListener("click", () => {
      const rising = heading.ariaSort !== "ascending";
      for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
      heading.ariaSort = rising ? "ascending" : "descending";
      const body = table.tBodies[0], column = heading.cellIndex;
      const rows = [...body.rows].map((row) => [valueOf(row, column), row]);
      rows.sort((a, b) => (rising ? 1 : -1) * compare(a[0], b[0]));
      body.append(...rows.map(([, row]) => row));
    });
  }
}

// ---- Charts: Vega-Lite, drawn as SVG in the page's colours when they come near ----

const THEME = {
  background: null,
  font: getComputedStyle(document.body).fontFamily,
  view: { stroke: null },
  axis: {
    labelColor: "var(--muted)", titleColor: "var(--muted)", domainColor: "var(--line)", gridColor: "var(--line)",
    ticks: false, labelPadding: 6, labelFontSize: 12, titleFontSize: 12, titleFontWeight: "normal",
  },
  axisY: { domain: false },
  legend: { labelColor: "var(--ink)", titleColor: "var(--muted)", labelFontSize: 12, labelLimit: 260 },
  title: { color: "var(--ink)", fontSize: 12.5, anchor: "start", fontWeight: 600 },
};

async function draw(chart) {
  const spec = JSON.parse(chart.querySelector("script").textContent);
  const columns = Object.entries(spec.data.columns);
  spec.data = { values: columns[0][1].map((_, row) => Object.fromEntries(columns.map(([name, own]) => [name, own[row]]))) };
  const place = document.createElement("div");
  chart.append(place);
  await window.vegaEmbed(place, spec, { renderer: "svg", actions: false, ast: true, config: THEME });
  chart.dataset.drawn = "";
}

function drawCharts() {
  const waiting = new Set(document.querySelectorAll(".chart"));
  const start = (chart) => waiting.delete(chart) && draw(chart);
  const watcher = new IntersectionObserver(
    (entries) => entries.filter((entry) => entry.isIntersecting).forEach((entry) => start(entry.target)),
    { rootMargin: "600px" },
  );
  waiting.forEach((chart) => watcher.observe(chart));
  // Whoever prints or searches wants them all: the others follow when nothing else is to be done.
  const others = async () => {
    for (const chart of waiting) {
      await start(chart);
      await new Promise((resolve) => setTimeout(resolve));
    }
  };
  (window.requestIdleCallback ?? setTimeout)(others);
  window.addEventListener("beforeprint", () => {
    waiting.forEach(start);
    for (const details of document.querySelectorAll("main details")) details.open = true;
  });
}

// ---- Explorer: a list that filters, and for the chosen utterance one cursor over all that has its time axis ----

function explore(section) {
  const filters = section.querySelector("form");
  const rows = [...section.querySelectorAll(".utterances tbody tr")];
  const articles = [...section.querySelectorAll("article")];

  function choose(number) {
    articles.forEach((article, own) => {
      article.hidden = own !== number;
      if (article.hidden) article.querySelector("audio")?.pause();
    });
    for (const row of rows) {
      const own = Number(row.dataset.number) === number;
      row.classList.toggle("chosen", own);
      row.querySelector("button").setAttribute("aria-pressed", own);
    }
  }

  function filter() {
    const { system, speaker, right, confidence } = Object.fromEntries(new FormData(filters));
    filters.querySelector("output").textContent = `${confidence} %`;
    for (const row of rows) {
      const article = articles[row.dataset.number];
      const guess = article.querySelector(`tr[data-system="${CSS.escape(system)}"]`);
      const { prediction = "–", confidence: sure = 0, right: hit = "" } = guess?.dataset ?? {};
      row.querySelector(".predicted").textContent = { right: "✓ ", wrong: "✗ " }[hit] + prediction;
      row.querySelector(".confidence").textContent = `${Math.round(100 * sure)} %`;
      row.dataset.right = hit;
      row.hidden = (speaker && row.dataset.speaker !== speaker) || (right && hit !== right) || 100 * sure < confidence;
      for (const lane of article.querySelectorAll(".lane[data-system]")) lane.hidden = lane.dataset.system !== system;
      for (const own of article.querySelectorAll("tr[data-system]")) own.classList.toggle("chosen", own === guess);
    }
    const left = section.querySelectorAll(".utterances tbody tr:not([hidden])");
    section.querySelector(".none").hidden = left.length > 0;
    if (left.length && ![...left].some((row) => row.classList.contains("chosen"))) choose(Number(left[0].dataset.number));
  }

  filters.addEventListener("input", filter);
  filters.addEventListener("submit", (event) => event.preventDefault());
  for (const row of rows) row.addEventListener("click", () => choose(Number(row.dataset.number)));
  articles.forEach(followTime);
  filter();
}

function followTime(article) {
  const seconds = Number(article.dataset.seconds);
  const lanes = article.querySelector(".lanes"), over = article.querySelector(".over");
  const cursor = article.querySelector(".cursor"), audio = article.querySelector("audio");

  function point(time) {
    const now = Math.min(Math.max(time, 0), seconds);
    cursor.style.left = `${(100 * now) / seconds}%`;
    lanes.ariaValueNow = now.toFixed(2);
    lanes.ariaValueText = `${now.toFixed(2)} s`;
    cursor.dataset.time = `${now.toFixed(2)} s`;
  }

  function go(time) {
    point(time);
    if (audio) audio.currentTime = Number(lanes.ariaValueNow);
  }

  function follow() {
    point(audio.currentTime);
    if (!audio.paused) requestAnimationFrame(follow);
  }

  for (const event of ["play", "timeupdate", "seeked"]) audio?.addEventListener(event, follow);
  lanes.addEventListener("pointerdown", (event) => {
    const { left, width } = over.getBoundingClientRect();
    if (event.clientX >= left) go(((event.clientX - left) / width) * seconds);
  });
  lanes.addEventListener("keydown", (event) => {
    const now = Number(lanes.ariaValueNow);
    const aims = { ArrowLeft: now - 0.1, ArrowRight: now + 0.1, Home: 0, End: seconds };
    if (event.key in aims) go(aims[event.key]);
    else if (event.key === " " && audio) audio.paused ? audio.play() : audio.pause();
    else return;
    event.preventDefault();
  });
}

document.querySelectorAll(".table table, table.sortable").forEach(makeSortable);
document.querySelectorAll(".explorer").forEach((section) => section.querySelector("form") && explore(section));
window.addEventListener("load", drawCharts);  // after Vega-Lite's script, which is a module
