// Draws what the table of this page shows, above it.
async function drawChart(chart, links) {
  const table = document.querySelector("table.rows-and-columns");
  if (!table) return;
  const url = new URL(location.href);
  url.pathname += ".json";
  url.searchParams.set("_shape", "array");
  const rows = await (await fetch(url)).json();
  const box = table.parentNode.insertBefore(document.createElement("div"), table);
  box.className = "chart";
  const spec = {
    $schema: "https://vega.github.io/schema/vega-lite/v6.json",
    title: { text: chart.title, subtitle: links.subtitle },
    width: "container",
    height: 300,
    data: { values: rows },
    config: chart.config,
    ...(chart.across ? matrix(chart) : bars(chart)),
  };
  const { view } = await vegaEmbed(box, spec, { ast: true, actions: false, renderer: "svg" });
  // A layer without marks has the role of a picture, but nothing that says what it shows.
  for (const group of box.querySelectorAll("g[aria-roledescription]:empty")) group.setAttribute("aria-hidden", "true");
  const place = document.createElement("div");
  box.after(place);
  addPictures(links, offerRows(place, links), () => view);
}

function words(name) {
  return name.replaceAll("_", " ");
}

// A line over days, or bars; of several columns beside each other, or parts of a whole.
function bars({ labels, kind, values, whole }) {
  const temporal = kind === "temporal";
  const several = values.length > 1;
  // A day is the same day, whatever the clock of whoever looks at it.
  const axis = temporal ? { timeUnit: "utcyearmonthdate", axis: { tickMinStep: 1.5 * 86_400_000 } } : { sort: several ? null : "-y" };
  const title = several ? null : words(values[0]);
  const encoding = {
    x: { field: labels, type: kind, title: null, ...axis },
    y: { field: several ? "value" : values[0], type: "quantitative", title },
  };
  const line = temporal && !whole;
  const mark = line ? { type: "line", point: true, tooltip: true } : { type: "bar", tooltip: true };
  if (!several) return { mark, encoding };
  encoding.color = { field: "column", type: "nominal", title: null, sort: values, legend: { orient: "top" } };
  encoding.order = { field: "order", type: "quantitative" };
  if (!whole && !temporal) encoding.xOffset = { field: "column", sort: values };
  const order = `indexof(${JSON.stringify(values)}, datum.column)`;
  const transform = [{ fold: values, as: ["column", "value"] }, { calculate: order, as: "order" }];
  return { transform, mark, encoding };
}

function matrix({ labels, values, across }) {
  const place = {
    x: { field: across, type: "ordinal", title: words(across), axis: { labelAngle: 0 } },
    y: { field: labels, type: "ordinal", title: null },
  };
  const value = { field: values[0], type: "quantitative" };
  const dark = { test: `datum[${JSON.stringify(values[0])}] > 55`, value: "white" };
  return {
    height: { step: 22 },
    encoding: place,
    layer: [
      { mark: { type: "rect", tooltip: true }, encoding: { color: { ...value, title: words(values[0]) } } },
      { mark: "text", encoding: { text: { ...value, format: ".1f" }, color: { condition: dark, value: "black" } } },
    ],
  };
}
