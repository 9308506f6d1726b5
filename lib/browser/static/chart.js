// Draws what the table of this page shows, above it.
async function drawChart(label, kind, value, title) {
  const table = document.querySelector("table.rows-and-columns");
  if (!table) return;
  const url = new URL(location.href);
  url.pathname += ".json";
  url.searchParams.set("_shape", "array");
  const rows = await (await fetch(url)).json();
  const box = table.parentNode.insertBefore(document.createElement("div"), table);
  box.className = "chart";
  // A day is the same day, whatever the clock of whoever looks at it.
  const axis = kind === "temporal" ? { timeUnit: "utcyearmonthdate" } : { sort: "-y" };
  const spec = {
    $schema: "https://vega.github.io/schema/vega-lite/v6.json",
    title,
    width: "container",
    height: 300,
    data: { values: rows },
    mark: kind === "temporal" ? { type: "line", point: true, tooltip: true } : { type: "bar", tooltip: true },
    encoding: {
      x: { field: label, type: kind, title: null, ...axis },
      y: { field: value, type: "quantitative", title: value.replaceAll("_", " ") },
    },
  };
  await vegaEmbed(box, spec, { ast: true, actions: false, renderer: "svg" });
}
