for (const button of document.querySelectorAll(".more"))
  button.addEventListener("click", () => button.previousElementSibling.classList.remove("shortened"));

drawCharts({ doubleClick: false }, (id, chart, element, traces, layout) => {
  if (id !== "confusion") return;
  const wide = element.parentElement.clientWidth, names = chart.names.map(escaped);
  layout.xaxis.ticktext = layout.yaxis.ticktext =
    chart.names.map(name => escaped(shortened(name, wide < 600 ? 14 : 26)));
  traces[0].customdata = chart.counts.map((row, i) =>
    row.map((count, j) => [count, names[i], names[j]]));
  element.style.minWidth = (names.length * 17 + 130) + "px"; /* scrolls where that is too wide */
});

/* The photos behind a cell of the confusion matrix. */
if (data.charts.confusion)
  field("confusion").on("plotly_click", ({ points: [point] }) => {
    const { names, counts } = data.charts.confusion, [i, j] = point.pointIndex;
    const [truth, predicted, count] = [names[i], names[j], counts[i][j]];
    const photos = data.cells[i + "," + j] || [], box = field("cell"), heading = made("h3");
    const some = photos.length < count ? `, ${photos.length} shown` : "";
    if (i === j) heading.append(made("bdi", truth), `: ${count} right`);
    else heading.append(made("bdi", truth), made("span", " taken for ", "arrow"),
      made("bdi", predicted), `: ${count}${some}`);
    const row = made("div", undefined, "row");
    for (const [path, probability, number] of photos) {
      const figure = made("figure");
      if (number !== null) {
        const img = made("img");
        img.src = photo(number);
        img.alt = "a photo of " + truth;
        figure.append(img);
      }
      figure.append(made("figcaption", probability), made("div", path, "path"));
      row.append(figure);
    }
    box.replaceChildren(heading, row);
  });

const columns = data.classes, share = value => (100 * value).toFixed(1) + "%";
const sameNames = columns.name.every((name, row) => name === columns.landmark_id[row]);
classTable({
  columns,
  shown: [["name", "class"], ["recall", "right", share], ["photos", "photos", grouped, true],
    ["train", "training photos", grouped, true], ["precision", "precision", share, true],
    ["f1", "F1", share, true], ["taken_for", "most often taken for"],
    ...(sameNames ? [] : [["landmark_id", "landmark id"]])],
  sorted: "recall",
  descending: false,
  ties: (a, b) => columns.photos[b] - columns.photos[a],
  searched: row => columns.name[row] + " " + columns.landmark_id[row],
  filters: ["band", "wrong"],
  kept() {
    const [least, most] = (field("band").value || "0-").split("-"), only = field("wrong").checked;
    return row => columns.train[row] >= +least && columns.train[row] <= (most ? +most : Infinity)
      && !(only && columns.recall[row] === 1);
  },
});
