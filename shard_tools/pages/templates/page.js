"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const photo = number => "data:image/jpeg;base64," + data.photos[number];
for (const img of document.querySelectorAll("img[data-photo]")) img.src = photo(img.dataset.photo);

const field = id => document.getElementById(id);
const made = (tag, text, kind) => {
  const element = document.createElement(tag);
  if (text !== undefined) element.textContent = text;
  if (kind) element.className = kind;
  return element;
};
const grouped = number => number.toLocaleString("en");
const shortened = (text, most) => {
  const letters = [...text];
  return letters.length > most ? letters.slice(0, most - 1).join("") + "…" : text;
};
/* As plotly shows it: it reads some tags, and warns of $x$ where no MathJax is there to typeset it. */
const escaped = text => text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/\$/g, "&#36;");

/* A text "@blue" in a chart is a variable of the style sheet, so both themes work. */
const painted = value => {
  if (typeof value === "string" && value.startsWith("@"))
    return getComputedStyle(document.documentElement).getPropertyValue("--" + value.slice(1)).trim();
  if (Array.isArray(value)) return value.map(painted);
  if (value && typeof value === "object")
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, painted(item)]));
  return value;
};
/* Draws all charts, again where the theme changes; gives a function that draws one of them again.
   adapt(id, chart, element, traces, layout) may change traces and layout before. */
function drawCharts(config, adapt) {
  const draw = id => {
    const chart = data.charts[id], element = field(id);
    const traces = painted(chart.data), layout = painted(chart.layout);
    adapt(id, chart, element, traces, layout);
    return Plotly.react(element, traces, layout, { responsive: true, displayModeBar: false, ...config });
  };
  const all = () => Object.keys(data.charts).forEach(draw);
  all();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", all);
  return draw;
}

/* The table of classes: searched, sorted, and shown some rows at a time, so that 80,000 classes are
   no burden.
     columns: values of all rows, by key;
     shown: for each column [key, title, text of a number, down], the third for columns of numbers
       only; down: the first click sorts from the largest on;
     sorted, descending: the order at first;
     ties: compares two rows that are equal in the sorted column;
     searched: the text of a row that is searched;
     kept: whether a row is shown at all, by the inputs whose ids are in filters. */
const ROWS = 50;
function classTable({ columns, shown, sorted, descending, ties, searched, kept, filters = [] }) {
  const total = columns[shown[0][0]].length;
  const formats = Object.fromEntries(shown.map(([key, , format]) => [key, format]));
  const folded = text => text.normalize("NFKD").replace(/\p{M}/gu, "").toLocaleLowerCase();
  const byText = new Intl.Collator(undefined, { numeric: true });
  let words = null, rows = [], page = 0, direction = descending ? -1 : 1;
  function choose() {
    const wanted = folded(field("find").value.trim()), keep = kept ? kept() : () => true;
    if (wanted) words ||= Array.from({ length: total }, (_, row) => folded(searched(row)));
    rows = [];
    for (let row = 0; row < total; row++)
      if ((!wanted || words[row].includes(wanted)) && keep(row)) rows.push(row);
    const values = columns[sorted];
    const order = formats[sorted] ? (a, b) => values[a] - values[b]
      : (a, b) => byText.compare(values[a], values[b]);
    rows.sort((a, b) => direction * order(a, b) || (ties ? ties(a, b) : 0) || a - b);
    page = 0;
    show();
  }
  function show() {
    const pages = Math.max(1, Math.ceil(rows.length / ROWS)), start = page * ROWS;
    document.querySelector("#classes tbody").replaceChildren(
      ...rows.slice(start, start + ROWS).map(row => {
        const line = made("tr");
        for (const [key, , format] of shown) {
          const value = columns[key][row], cell = made("td", undefined, format ? "n" : "");
          if (format) cell.textContent = format(value);
          else cell.append(made("bdi", value));
          line.append(cell);
        }
        return line;
      }));
    const last = Math.min(start + ROWS, rows.length);
    field("where").textContent = rows.length
      ? `${grouped(start + 1)} to ${grouped(last)} of ${grouped(rows.length)}` : "no such class";
    field("back").disabled = page === 0;
    field("next").disabled = page >= pages - 1;
  }
  function mark() {
    for (const head of document.querySelectorAll("#classes th"))
      if (head.dataset.key === sorted)
        head.setAttribute("aria-sort", direction > 0 ? "ascending" : "descending");
      else head.removeAttribute("aria-sort");
  }
  for (const [key, title, format, down] of shown) {
    const head = made("th", undefined, format ? "n" : ""), button = made("button", title);
    button.type = "button";
    head.dataset.key = key;
    head.append(button);
    button.addEventListener("click", () => {
      direction = sorted === key ? -direction : down ? -1 : 1;
      sorted = key;
      mark();
      choose();
    });
    document.querySelector("#classes thead tr").append(head);
  }
  field("filter").addEventListener("submit", event => event.preventDefault());
  for (const id of ["find", ...filters]) field(id).addEventListener("input", choose);
  field("back").addEventListener("click", () => { page--; show(); });
  field("next").addEventListener("click", () => { page++; show(); });
  mark();
  choose();
}
