
// Ours, after the script of datasette-dashboards: draws the cards of a page, and again once their
// rows have changed.
const drawn = new Map() // what each card shows: its rows as text
const drawers = [] // draw each card, if its rows are new
const beginnings = [] // promises: each card, drawn for the first time
const views = new Map() // of Vega, by their elements

async function draw(render, ...what) {
  const drawer = () => render(...what)
  drawers.push(drawer)
  beginnings.push(drawer())
  await beginnings.at(-1)
}

async function redraw() {
  await Promise.allSettled(beginnings)
  for (const drawer of drawers) await drawer()
}

// The rows of a card, which its page has, or else a URL; null if there is nothing to draw: the card
// shows them already, or now says that there are none. Throws what is wrong with the answer if the
// card shows rows, which are kept.
async function newRows(chart_slug, given, url) {
  const data = given || (await answerOf(url))
  const text = JSON.stringify([data.rows, data.truncated, data.error])
  if (drawn.get(chart_slug) === text) return null
  if (data.error && drawn.has(chart_slug)) throw new Error(data.error)
  drawn.set(chart_slug, text)
  if (data.rows?.length) return data
  const p = document.createElement('p')
  p.className = 'nothing'
  p.textContent = data.error || 'No data'
  show(document.querySelector(`#chart-${chart_slug}`), p)
  return null
}

async function answerOf(url) {
  const answer = await fetch(url)
  return answer.json().catch(() => ({ error: `serve-db answers ${answer.status}` }))
}

async function drawVega(el, spec) {
  const drawing = document.createElement('div')
  drawing.className = 'drawing'
  el.append(drawing) // which is hidden while the last one is there
  const { view } = await vegaEmbed(drawing, spec)
  // A layer without marks has the role of a picture, and nothing that says what it shows.
  for (const group of drawing.querySelectorAll('g[aria-roledescription]:empty')) {
    group.setAttribute('aria-hidden', 'true')
  }
  show(el, drawing)
  views.set(el, view)
  globalThis.offerPictures?.(el.id.replace('chart-', ''), view)
}

// Shows a drawing in the place of the last one, scrolled as far, with the same link focused.
function show(el, drawing) {
  views.get(el)?.finalize()
  views.delete(el)
  const last = el.firstElementChild
  if (last === drawing) return
  if (!last) return el.append(drawing)
  const { scrollLeft, scrollTop } = last
  const focused = last.contains(document.activeElement) && document.activeElement
  el.append(drawing)
  while (el.firstElementChild !== drawing) el.firstElementChild.remove()
  drawing.scrollTo(scrollLeft, scrollTop)
  if (focused) likeness(focused, last, drawing)?.focus({ preventScroll: true })
  document.getElementById('vg-tooltip-element')?.classList.remove('visible')
}

function grouped(value) {
  return typeof value === 'number' ? value.toLocaleString('en') : value
}

function sayCell(cell, value) {
  cell.className = typeof value
  cell.textContent = grouped(value)
}
