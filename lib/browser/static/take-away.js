// Links under a chart that take it away: its rows as CSV, its picture as SVG and PNG.
const INK = "#333", TITLE = "bold 14px sans-serif", NOTE = "12px sans-serif", LINE = 20, EDGE = 8;
const SVG = "http://www.w3.org/2000/svg";
const offered = {}; // by the end of a chart's id: what its links are about, and the place of these
const pictured = {}; // views: the last one of each

// Adds the links of each chart of a dashboard.
function offerCharts(charts) {
  for (const [slug, told] of Object.entries(charts)) {
    const chart = document.getElementById(`chart-${slug}`);
    const card = chart.closest(".dashboard-card");
    if (told.note && chart.classList.contains("chart-container")) {
      const note = document.createElement("p"); // a page without filters of its own
      note.className = "quiet";
      note.textContent = told.note;
      card.before(note);
    }
    offered[slug] = [told, offerRows(card, told)];
    if (pictured[slug]) offerPictures(slug, pictured[slug]);
  }
}

// Adds those of its picture, once it is drawn; a chart that is drawn again keeps them.
function offerPictures(slug, view) {
  pictured[slug] = view;
  if (!offered[slug] || offered[slug].hasPictures) return;
  offered[slug].hasPictures = true;
  addPictures(...offered[slug], () => pictured[slug]);
}

function offerRows(box, told) {
  const place = document.createElement("p");
  place.className = "take-away";
  box.append(place);
  add(place, "a", "CSV", `CSV of ${told.title}`).href = told.csv;
  if (told.embed) {
    const link = add(place, "a", "Embed", `Embed ${told.title}`);
    link.href = told.embed;
    link.parentNode.className = "embed";
  }
  return place;
}

function addPictures(told, place, viewOf) {
  for (const [kind, make] of [["SVG", toSvg], ["PNG", toPng]]) {
    const button = add(place, "button", kind, `${kind} of ${told.title}`);
    button.type = "button";
    button.onclick = async () => save(await make(viewOf(), told), `${told.file}.${kind.toLowerCase()}`);
  }
}

// Before a link to embed the chart, which stays the last one.
function add(place, tag, text, name) {
  const link = document.createElement(tag);
  link.textContent = text;
  link.setAttribute("aria-label", name);
  const part = document.createElement("span");
  part.append(link);
  place.insertBefore(part, place.querySelector(".embed"));
  return link;
}

function save(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

// What stands above a chart in its picture, as wide as it: [text, font] of each line.
function headings({ heading, note }, width) {
  const pen = document.createElement("canvas").getContext("2d");
  const lines = [];
  for (const [text, font] of [[heading, TITLE], [note, NOTE]]) {
    pen.font = font;
    let line = "";
    for (const part of (text || "").match(/\s*\S{1,20}/gu) || []) {
      if (line && pen.measureText(line + part).width > width) {
        lines.push([line.trim(), font]);
        line = "";
      }
      line += part;
    }
    if (line) lines.push([line.trim(), font]);
  }
  return lines;
}

// On white, whatever the page is drawn on.
async function toSvg(view, told) {
  const text = xml(await view.toSVG());
  const chart = new DOMParser().parseFromString(text, "image/svg+xml").documentElement;
  const [width, height] = ["width", "height"].map((name) => Number(chart.getAttribute(name)));
  const lines = headings(told, width);
  const top = lines.length * LINE;
  const size = { width: width + 2 * EDGE, height: height + top + 2 * EDGE };
  const picture = element("svg", { ...size, viewBox: `0 0 ${size.width} ${size.height}` });
  picture.append(element("title", {}, told.title), element("rect", { ...size, fill: "#fff" }));
  lines.forEach(([line, font], i) => {
    const place = { x: EDGE, y: EDGE + i * LINE + 14, fill: INK, style: `font: ${font}` };
    picture.append(element("text", place, line));
  });
  chart.setAttribute("x", EDGE);
  chart.setAttribute("y", EDGE + top);
  picture.append(chart);
  return new Blob([new XMLSerializer().serializeToString(picture)], { type: "image/svg+xml" });
}

function element(tag, attributes, text = "") {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.textContent = xml(text);
  return made;
}

// Values of fields may have characters that XML cannot.
function xml(text) {
  return text.replace(/[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/gu, "\ufffd");
}

async function toPng(view, told) {
  const scale = 2;
  const chart = await view.toCanvas(scale);
  const lines = headings(told, chart.width / scale);
  const top = lines.length * LINE;
  const picture = document.createElement("canvas");
  picture.width = chart.width + 2 * EDGE * scale;
  picture.height = chart.height + (top + 2 * EDGE) * scale;
  const pen = picture.getContext("2d");
  pen.fillStyle = "#fff";
  pen.fillRect(0, 0, picture.width, picture.height);
  pen.drawImage(chart, EDGE * scale, (EDGE + top) * scale);
  pen.scale(scale, scale);
  pen.fillStyle = INK;
  lines.forEach(([line, font], i) => {
    pen.font = font;
    pen.fillText(line, EDGE, EDGE + i * LINE + 14);
  });
  return new Promise((done) => picture.toBlob(done, "image/png"));
}
