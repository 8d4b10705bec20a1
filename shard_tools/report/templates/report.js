"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
for (const img of document.querySelectorAll("img[data-photo]"))
  img.src = "data:image/jpeg;base64," + data.photos[img.dataset.photo];

/* Charts: a text "@blue" is a variable of the style sheet, so both themes work. No toolbar: it lies
   over legends, and on a touch screen it never goes away. A finger scrolls the page; a mouse zooms,
   and a double click zooms out. */
const config = { responsive: true, displayModeBar: false };
const touch = matchMedia("(pointer: coarse)").matches;
const painted = value => {
  if (typeof value === "string" && value.startsWith("@"))
    return getComputedStyle(document.documentElement).getPropertyValue("--" + value.slice(1)).trim();
  if (Array.isArray(value)) return value.map(painted);
  if (value && typeof value === "object")
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, painted(item)]));
  return value;
};
const shortened = (text, most) => {
  const letters = [...text];
  return letters.length > most ? letters.slice(0, most - 1).join("") + "…" : text;
};
const escaped = text => text.replace(/&/g, "&amp;").replace(/</g, "&lt;")
  .replace(/\$/g, "&#36;"); /* or it is a formula */
let ranks = "linear";
function place(id) {
  const chart = data.charts[id], element = document.getElementById(id);
  const layout = painted(chart.layout);
  layout.dragmode = touch ? false : "zoom";
  if (chart.names) {
    const most = element.clientWidth < 600 ? 14 : 34;
    layout.yaxis.ticktext = chart.names.map(name => escaped(shortened(name, most)));
  } else if (id === "frequency") layout.xaxis.type = ranks;
  return Plotly.react(element, painted(chart.data), layout, config);
}
for (const id of Object.keys(data.charts)) place(id);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () =>
  Object.keys(data.charts).forEach(place));
for (const button of document.querySelectorAll(".switch button"))
  button.addEventListener("click", () => {
    ranks = button.dataset.scale;
    for (const other of button.parentElement.children)
      other.setAttribute("aria-pressed", other === button);
    place("frequency");
  });

/* The table of classes: some rows at a time, so that 80,000 classes are no burden. */
const SIZE = 50;
const { id: ids, name: names, splits } = data.classes;
const made = (tag, text, kind) => {
  const element = document.createElement(tag);
  if (text !== undefined) element.textContent = text;
  if (kind) element.className = kind;
  return element;
};
const columns = { name: names ? names.map((name, row) => name || ids[row]) : ids };
const shown = [["name", "class"]];
if (names) {
  columns.id = ids;
  shown.push(["id", "landmark id"]);
}
columns.photos = ids.map((_, row) =>
  Object.values(splits).reduce((sum, photos) => sum + photos[row], 0));
shown.push(["photos", "photos"]);
if (Object.keys(splits).length > 1)
  for (const split of Object.keys(splits)) {
    columns[split] = splits[split];
    shown.push([split, split]);
  }
const counted = key => key !== "name" && key !== "id";
const folded = text => text.normalize("NFKD").replace(/\p{M}/gu, "").toLocaleLowerCase();
const byText = new Intl.Collator(undefined, { numeric: true });
const field = id => document.getElementById(id);
let words = null, rows = [], page = 0, sorted = "photos", direction = -1;
function choose() {
  const wanted = folded(field("find").value.trim());
  if (wanted) words ||= ids.map((id, row) => folded(columns.name[row] + " " + id));
  rows = [...ids.keys()].filter(row => !wanted || words[row].includes(wanted));
  const values = columns[sorted];
  const order = counted(sorted) ? (a, b) => values[a] - values[b]
    : (a, b) => byText.compare(values[a], values[b]);
  rows.sort((a, b) => direction * order(a, b) || a - b);
  page = 0;
  show();
}
function show() {
  const pages = Math.max(1, Math.ceil(rows.length / SIZE)), start = page * SIZE;
  document.querySelector("#classes tbody").replaceChildren(
    ...rows.slice(start, start + SIZE).map(row => {
      const line = made("tr");
      for (const [key] of shown) {
        const cell = made("td", undefined, counted(key) ? "n" : "");
        if (counted(key)) cell.textContent = columns[key][row].toLocaleString("en");
        else cell.append(made("bdi", columns[key][row]));
        line.append(cell);
      }
      return line;
    }));
  const number = value => value.toLocaleString("en");
  const last = Math.min(start + SIZE, rows.length);
  field("where").textContent = rows.length
    ? `${number(start + 1)} to ${number(last)} of ${number(rows.length)}` : "no such class";
  field("back").disabled = page === 0;
  field("next").disabled = page >= pages - 1;
}
function mark() {
  for (const head of document.querySelectorAll("#classes th"))
    if (head.dataset.key === sorted)
      head.setAttribute("aria-sort", direction > 0 ? "ascending" : "descending");
    else head.removeAttribute("aria-sort");
}
for (const [key, title] of shown) {
  const head = made("th", undefined, counted(key) ? "n" : ""), button = made("button", title);
  button.type = "button";
  head.dataset.key = key;
  head.append(button);
  button.addEventListener("click", () => {
    direction = sorted === key ? -direction : counted(key) ? -1 : 1;
    sorted = key;
    mark();
    choose();
  });
  document.querySelector("#classes thead tr").append(head);
}
field("filter").addEventListener("submit", event => event.preventDefault());
field("find").addEventListener("input", choose);
field("back").addEventListener("click", () => { page--; show(); });
field("next").addEventListener("click", () => { page++; show(); });
mark();
choose();
