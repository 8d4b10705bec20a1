/* No toolbar: it lies over legends, and on a touch screen it never goes away. A finger scrolls the
   page; a mouse zooms, and a double click zooms out. */
const touch = matchMedia("(pointer: coarse)").matches;
let ranks = "linear";
const draw = drawCharts({}, (id, chart, element, traces, layout) => {
  layout.dragmode = touch ? false : "zoom";
  if (chart.names) {
    const most = element.clientWidth < 600 ? 14 : 34;
    layout.yaxis.ticktext = chart.names.map(name => escaped(shortened(name, most)));
  } else if (id === "frequency") layout.xaxis.type = ranks;
});
for (const button of document.querySelectorAll(".switch button"))
  button.addEventListener("click", () => {
    ranks = button.dataset.scale;
    for (const other of button.parentElement.children)
      other.setAttribute("aria-pressed", other === button);
    draw("frequency");
  });

const { id: ids, name: names, splits } = data.classes;
const columns = { name: names ? names.map((name, row) => name || ids[row]) : ids, id: ids,
  photos: ids.map((_, row) => Object.values(splits).reduce((sum, photos) => sum + photos[row], 0)) };
const several = Object.keys(splits).length > 1 ? Object.keys(splits) : [];
for (const split of several) columns["of " + split] = splits[split];
classTable({
  columns,
  shown: [["name", "class"], ...(names ? [["id", "landmark id"]] : []),
    ["photos", "photos", grouped, true],
    ...several.map(split => ["of " + split, split, grouped, true])],
  sorted: "photos",
  descending: true,
  searched: row => columns.name[row] + " " + ids[row],
});
