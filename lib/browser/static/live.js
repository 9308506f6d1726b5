// Keeps a page fresh without loading it anew. Every so many seconds, while somebody can see it, asks
// whether the database has changed; if so, calls `update`. The line #fresh says how fresh it is.
function keepFresh(seconds, update) {
  const line = document.getElementById("fresh");
  const news = document.getElementById("fresh-news");
  if (!line) return;
  const url = "/-/fresh.json?" + new URLSearchParams({ of: line.dataset.of });
  let { state, newest } = line.dataset;
  let at = Date.now(); // when it was fresh
  let next = at + seconds * 1000;
  let isAsking = false;
  let problem = "";

  function tell() {
    const ago = Math.round((Date.now() - at) / 1000);
    const since = new Date(at).toLocaleTimeString("en-GB");
    const text = problem ? `not updated since ${since}: ${problem}` : `updated ${ago < 60 ? `${ago} s` : `${Math.floor(ago / 60)} min`} ago`;
    line.textContent = text + (newest ? `; the newest event: ${newest}` : "");
    line.classList.toggle("wrong", problem !== "");
  }

  async function ask() {
    if (isAsking || document.hidden || Date.now() < next) return;
    isAsking = true;
    const before = problem;
    try {
      const answer = await fetch(url, { signal: AbortSignal.timeout(30_000) });
      if (!answer.ok) throw new Error(answer.status === 403 ? "serve-db has been started anew: open the address that it printed" : `serve-db answers ${answer.status}`);
      const found = await answer.json();
      if (found.state !== state) await update();
      ({ state, newest } = found);
      at = Date.now();
      problem = "";
    } catch (error) {
      if (error instanceof TypeError) problem = "serve-db cannot be reached";
      else problem = error.name === "TimeoutError" ? "serve-db does not answer" : error.message;
    }
    next = Date.now() + seconds * 1000;
    isAsking = false;
    tell();
    // Told to those who do not see the line, when it begins to be wrong and when that ends.
    if (problem && !before) news.textContent = line.textContent;
    if (!problem && before) news.textContent = "updated again";
  }

  tell();
  setInterval(() => {
    if (document.hidden) return;
    tell();
    ask();
  }, 1000);
  document.addEventListener("visibilitychange", () => {
    next = 0;
    ask();
  });
}

// Puts what the page is now in the place of an element of it, if that differs.
async function renew(id) {
  const answer = await fetch(location.href);
  if (!answer.ok) throw new Error(`serve-db answers ${answer.status}`);
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const [last, now] = [document.getElementById(id), page.getElementById(id)];
  if (last.innerHTML === now.innerHTML) return;
  const focused = last.contains(document.activeElement) && document.activeElement;
  last.replaceWith(now);
  if (focused) likeness(focused, last, now)?.focus({ preventScroll: true });
}

// The element of `now` that has the place of one in `last`: itself, the same link, else none.
function likeness(element, last, now) {
  if (element === last) return now;
  const address = (link) => link.getAttribute("href") ?? link.getAttribute("xlink:href");
  return [...now.querySelectorAll(element.localName)].find((one) => address(one) === address(element));
}
