"use strict";
const FIRST = 12, STEP = 120, SECTIONS = 10;
const data = JSON.parse(document.getElementById("data").textContent);
const byId = id => document.getElementById(id);
const main = byId("shown"), search = byId("search"), order = byId("order"), more = byId("more");
const number = value => value.toLocaleString("en-US");
const plural = (value, word) => `${number(value)} ${word}${value === 1 ? "" : "s"}`;
const percent = p => p >= .995 && p < 1 ? "99%" : p > 0 && p < .01 ? "<1%" : `${Math.round(100 * p)}%`;

/* Photos come in parts: those of the page itself, or scripts that are loaded when they are needed. */
const parts = new Map(data.own.map((part, number) => [number, Promise.resolve(part)]));
const arriving = new Map();
window.gallery = { part: (number, part) => arriving.get(number)(part) };
function part(number) {
  if (!parts.has(number)) parts.set(number, new Promise((done, failed) => {
    arriving.set(number, done);
    const script = document.createElement("script");
    script.src = `data/${String(number).padStart(4, "0")}.js`;
    script.onerror = () => { parts.delete(number); failed(new Error(script.src)); };
    document.head.append(script);
  }));
  return parts.get(number);
}
async function photo(row) {
  const found = await part(Math.floor(row / data.part));
  const [path, thumb, width, height, answers, link] = found.rows[row % data.part];
  const named = answers.map(([label, p]) => ({ name: found.names[label][0], id: found.names[label][1], p }));
  return { path, thumb, width, height, answers: named, link };
}

function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}
const name = text => element("bdi", { textContent: text });

/* A grid of the photos of some rows, more of them at every press of a button. */
function grid(first, count, named, shown) {
  const photos = element("div", { className: "photos" });
  const button = element("button", { className: "all", type: "button" });
  let there = 0;
  async function show(until) {
    const from = there;
    there = Math.min(until, count);
    const tiles = [];
    for (let i = from; i < there; i++) {
      const tile = element("button", { className: named ? "photo named" : "photo", type: "button" });
      tile.style.setProperty("--wide", 1.33);
      tile.onclick = () => view(first, count, i);
      tiles.push(tile);
    }
    photos.append(...tiles);
    button.hidden = there === count;
    const rest = count - there;
    button.textContent = rest <= STEP ? `Show all ${number(count)}` : `Show ${STEP} more of ${number(count)}`;
    for (const [place, tile] of tiles.entries()) {
      try { fill(tile, await photo(first + from + place), named); }
      catch { tile.textContent = "missing"; }
    }
  }
  button.onclick = () => show(there + STEP);
  show(shown);
  return [photos, button];
}
function fill(tile, found, named) {
  const [best, second] = found.answers;
  tile.style.setProperty("--wide", (found.width / found.height).toFixed(3));
  const image = element("img", { loading: "lazy", decoding: "async", alt: "", src: found.thumb });
  tile.setAttribute("aria-label", `${best.name}, ${percent(best.p)}: ${found.path}`);
  tile.title = found.path;
  tile.append(image, element("span", { className: "sure", textContent: percent(best.p) }));
  if (!named) return;
  const guess = element("span", { className: "guess" }, name(best.name));
  guess.append(element("small", {}, ...(second ? ["or ", name(second.name), ` ${percent(second.p)}`] : ["\u00a0"])));
  tile.append(guess);
}

/* What is searched for, without accents and case. */
const plain = text => text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();
const groups = data.groups.map(([title, id, first, count, mean]) =>
  ({ title, id, first, count, mean, text: `${plain(title)} ${plain(id)}` }));
const collator = new Intl.Collator(undefined, { numeric: true });
const orders = {
  size: (a, b) => b.count - a.count || collator.compare(a.title, b.title),
  name: (a, b) => collator.compare(a.title, b.title),
  sure: (a, b) => b.mean - a.mean,
  doubt: (a, b) => a.mean - b.mean,
};
function section(group) {
  const head = element("div", { className: "head" }, element("h2", {}, name(group.title)));
  const id = group.id === group.title ? "" : ` · id ${group.id}`;
  const sure = `${percent(group.mean)} sure${group.count > 1 ? " on average" : ""}`;
  head.append(element("small", { textContent: `${plural(group.count, "photo")} · ${sure}${id}` }));
  return element("section", {}, head, ...grid(group.first, group.count, false, FIRST));
}

/* Landmarks are added as the reader comes near the end of the page. */
let waiting = [];
function addSections() {
  main.append(...waiting.splice(0, SECTIONS).map(section));
}
new IntersectionObserver(seen => {
  if (seen.some(one => one.isIntersecting)) addSections();
}, { rootMargin: "1200px" }).observe(more);

const sureCount = data.photos - data.unsure;
const shows = {
  landmarks() {
    const words = plain(search.value).split(/\s+/).filter(Boolean);
    waiting = groups.filter(group => words.every(word => group.text.includes(word))).sort(orders[order.value]);
    if (!waiting.length) {
      const text = words.length ? `No landmark is called \u201c${search.value.trim()}\u201d.`
        : data.photos ? "No photo is certain enough; look under Unsure." : "No photo.";
      main.append(element("p", { className: "none", textContent: text }));
    }
    addSections();
    if (more.getBoundingClientRect().top < innerHeight + 1200) addSections();
  },
  unsure() {
    main.append(element("p", { className: "note", textContent:
      "Photos whose best answer is too uncertain to count, the most probable first." }));
    main.append(...grid(sureCount, data.unsure, true, STEP));
  },
  unreadable() {
    const rows = data.rejected.map(line => element("tr", {}, ...line.map(text => element("td", { dir: "auto", textContent: text }))));
    const head = element("tr", {}, element("th", { textContent: "File" }), element("th", { textContent: "Why it could not be read" }));
    main.append(element("p", { className: "note", textContent: data.rejected_count > rows.length
      ? `The first ${number(rows.length)} of ${plural(data.rejected_count, "file")} that could not be read.`
      : "Files that could not be read." }));
    main.append(element("table", {}, element("thead", {}, head), element("tbody", {}, ...rows)));
  },
};
const tabs = [["landmarks", "Landmarks", groups.length], ["unsure", "Unsure", data.unsure], ["unreadable", "Unreadable", data.rejected_count]];
let current = groups.length || !data.unsure ? "landmarks" : "unsure";
function show(which) {
  current = which;
  waiting = [];
  main.replaceChildren();
  for (const tab of byId("tabs").children) tab.setAttribute("aria-selected", tab.dataset.tab === which);
  order.disabled = which !== "landmarks";
  scrollTo(0, 0);
  shows[which]();
}
for (const [which, title, count] of tabs) if (count || which === "landmarks") {
  const tab = element("button", { type: "button", textContent: `${title} ${number(count)}`, onclick: () => show(which) });
  tab.dataset.tab = which;
  tab.setAttribute("role", "tab");
  byId("tabs").append(tab);
}
byId("tabs").setAttribute("role", "tablist");
search.oninput = () => show("landmarks");
order.onchange = () => show("landmarks");
byId("summary").textContent = [plural(data.photos, "photo"), plural(groups.length, "landmark"),
  ...(data.unsure ? [`${number(data.unsure)} unsure`] : []),
  ...(data.rejected_count ? [`${number(data.rejected_count)} unreadable`] : [])].join(" · ");

/* One photo, large: the photo itself where it is a file beside, else its thumbnail. */
const viewer = byId("viewer"), large = byId("large");
const [close, back, on] = [".close", ".back", ".on"].map(one => viewer.querySelector(one));
let at = null;
async function view(first, count, place) {
  at = { first, count, place };
  const found = await photo(first + place);
  if (!at || at.place !== place || at.first !== first) return;
  large.onerror = () => { large.onerror = null; large.src = found.thumb; };
  large.src = found.link || found.thumb;
  large.alt = found.answers[0].name;
  byId("place").textContent = found.path;
  byId("answers").replaceChildren(...found.answers.map(answer => {
    const bar = element("i");
    bar.style.width = `${100 * answer.p}%`;
    return element("li", {}, element("div", {}, name(answer.name), element("span", { textContent: percent(answer.p) })), bar);
  }));
  back.disabled = place === 0;
  on.disabled = place === count - 1;
  if (!viewer.open) viewer.showModal();
}
function step(by) {
  const place = at.place + by;
  if (place >= 0 && place < at.count) view(at.first, at.count, place);
}
close.onclick = () => viewer.close();
back.onclick = () => step(-1);
on.onclick = () => step(1);
viewer.onclose = () => { at = null; large.removeAttribute("src"); };
viewer.onclick = event => { if (event.target.classList.contains("frame")) viewer.close(); };
viewer.onkeydown = event => {
  if (event.key === "ArrowLeft") step(-1);
  if (event.key === "ArrowRight") step(1);
};
let touched = null;
viewer.ontouchstart = event => { touched = event.touches.length === 1 ? event.touches[0].clientX : null; };
viewer.ontouchend = event => {
  const moved = touched === null ? 0 : event.changedTouches[0].clientX - touched;
  if (Math.abs(moved) > 60) step(moved < 0 ? 1 : -1);
};
show(current);
