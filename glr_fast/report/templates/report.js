"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const photo = number => "data:image/jpeg;base64," + data.photos[number];
for (const img of document.querySelectorAll("img[data-photo]")) img.src = photo(img.dataset.photo);

for (const button of document.querySelectorAll(".more"))
  button.addEventListener("click", () => button.previousElementSibling.classList.remove("shortened"));

/* Charts: a text "@blue" is a variable of the style sheet, so both themes work. */
const config = { responsive: true, displayModeBar: false, doubleClick: false };
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
/* Names are escaped for plotly, which reads some tags: a piece of "&amp;" would be shown as it is. */
const text = html => new DOMParser().parseFromString(html, "text/html").body.textContent;
const plain = text => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
function place(id) {
  const chart = data.charts[id], element = document.getElementById(id);
  const [traces, layout] = [painted(chart.data), painted(chart.layout)];
  if (id === "confusion") {
    const names = chart.names, wide = element.parentElement.clientWidth;
    const ticks = names.map(name => plain(shortened(text(name), wide < 600 ? 14 : 26)));
    layout.xaxis.ticktext = layout.yaxis.ticktext = ticks;
    traces[0].customdata = chart.counts.map((row, i) =>
      row.map((count, j) => [count, names[i], names[j]]));
    element.style.minWidth = (names.length * 17 + 130) + "px"; /* scrolls where that is too wide */
  }
  return Plotly.react(element, traces, layout, config);
}
for (const id of Object.keys(data.charts)) place(id);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () =>
  Object.keys(data.charts).forEach(place));

/* The photos behind a cell of the confusion matrix. */
const made = (tag, text, kind) => {
  const element = document.createElement(tag);
  if (text !== undefined) element.textContent = text;
  if (kind) element.className = kind;
  return element;
};
if (data.charts.confusion)
  document.getElementById("confusion").on("plotly_click", ({ points: [point] }) => {
    const [count, truth, predicted] = point.customdata;
    const [i, j] = point.pointIndex, photos = data.cells[i + "," + j] || [];
    const box = document.getElementById("cell");
    box.replaceChildren();
    const heading = made("h3"), [first, second] = [made("bdi", text(truth)), made("bdi", text(predicted))];
    const some = photos.length < count ? `, ${photos.length} shown` : "";
    if (i === j) heading.append(first, `: ${count} right`);
    else heading.append(first, made("span", " taken for ", "arrow"), second, `: ${count}${some}`);
    const row = made("div", undefined, "row");
    for (const [path, probability, number] of photos) {
      const figure = made("figure");
      if (number !== null) {
        const img = made("img");
        img.src = photo(number);
        img.alt = "a photo of " + text(truth);
        figure.append(img);
      }
      figure.append(made("figcaption", probability), made("div", path, "path"));
      row.append(figure);
    }
    box.append(heading, row);
  });

/* The table of classes: some rows at a time, so that 80,000 classes are no burden. */
const SIZE = 50;
const COLUMNS = [["name", "class"], ["recall", "right", 1], ["photos", "photos", 1],
  ["train", "training photos", 1], ["precision", "precision", 1], ["f1", "F1", 1],
  ["taken_for", "most often taken for"], ["landmark_id", "landmark id"]];
const columns = data.classes, total = columns.name.length;
const folded = text => text.normalize("NFKD").replace(/\p{M}/gu, "").toLocaleLowerCase();
let words = null, rows = [], page = 0, sorted = "recall", direction = 1;
const field = id => document.getElementById(id);
const sameNames = columns.name.every((name, row) => name === columns.landmark_id[row]);
const shown = COLUMNS.filter(([key]) => key !== "landmark_id" || !sameNames);
const byText = new Intl.Collator(undefined, { numeric: true });
function choose() {
  words ||= columns.name.map((name, row) => folded(name + " " + columns.landmark_id[row]));
  const wanted = folded(field("find").value.trim());
  const [least, most] = (field("band").value || "0-").split("-");
  const only = field("wrong").checked, values = columns[sorted];
  rows = [];
  for (let row = 0; row < total; row++)
    if (words[row].includes(wanted) && columns.train[row] >= +least
        && columns.train[row] <= (most ? +most : Infinity) && !(only && columns.recall[row] === 1))
      rows.push(row);
  const order = typeof values[0] === "string" ? (a, b) => byText.compare(values[a], values[b])
    : (a, b) => values[a] - values[b];
  rows.sort((a, b) => direction * order(a, b) || columns.photos[b] - columns.photos[a] || a - b);
  page = 0;
  show();
}
function show() {
  const pages = Math.max(1, Math.ceil(rows.length / SIZE)), start = page * SIZE;
  const body = document.querySelector("#classes tbody");
  body.replaceChildren(...rows.slice(start, start + SIZE).map(row => {
    const line = made("tr");
    for (const [key, , number] of shown) {
      const value = columns[key][row], cell = made("td", undefined, number ? "n" : "");
      if (number) cell.textContent = ["train", "photos"].includes(key)
        ? value.toLocaleString("en") : (100 * value).toFixed(1) + "%";
      else cell.append(made("bdi", value));
      line.append(cell);
    }
    return line;
  }));
  const last = Math.min(start + SIZE, rows.length);
  field("where").textContent = rows.length
    ? `${(start + 1).toLocaleString("en")} to ${last.toLocaleString("en")} of ${rows.length.toLocaleString("en")}`
    : "no such class";
  field("back").disabled = page === 0;
  field("next").disabled = page >= pages - 1;
}
for (const [key, title, number] of shown) {
  const head = made("th", undefined, number ? "n" : ""), button = made("button", title);
  button.type = "button";
  head.dataset.key = key;
  head.append(button);
  button.addEventListener("click", () => {
    direction = sorted === key ? -direction : number && key !== "recall" ? -1 : 1;
    sorted = key;
    mark();
    choose();
  });
  document.querySelector("#classes thead tr").append(head);
}
function mark() {
  for (const head of document.querySelectorAll("#classes th"))
    if (head.dataset.key === sorted)
      head.setAttribute("aria-sort", direction > 0 ? "ascending" : "descending");
    else head.removeAttribute("aria-sort");
}
field("filter").addEventListener("submit", event => event.preventDefault());
for (const id of ["find", "band", "wrong"]) field(id).addEventListener("input", choose);
field("back").addEventListener("click", () => { page--; show(); });
field("next").addEventListener("click", () => { page++; show(); });
mark();
choose();
