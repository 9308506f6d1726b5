// Links to the same page with usual ranges of dates, which end with the newest complete day. A page
// without a range is of all days, or of what its description says: `whole` is the name of that.
function addPresets(newest, whole) {
  const form = document.querySelector(".dashboard-filters form");
  if (!form) return;
  const back = (days) => {
    const day = new Date(newest + "T00:00:00Z");
    day.setUTCDate(day.getUTCDate() - days);
    return day.toISOString().slice(0, 10);
  };
  const ranges = [
    ["newest day", newest, newest],
    ["7 days", back(6), newest],
    ["28 days", back(27), newest],
    ["90 days", back(89), newest],
    ["its month", newest.slice(0, 8) + "01", newest],
    [whole, "", ""],
  ];
  const now = new URLSearchParams(location.search);
  const nav = document.createElement("nav");
  nav.className = "presets";
  nav.setAttribute("aria-label", "Ranges of dates");
  for (const [name, since, until] of ranges) {
    const query = new URLSearchParams(now);
    for (const [key, value] of [["since", since], ["until", until]]) {
      if (value) query.set(key, value);
      else query.delete(key);
    }
    const link = document.createElement("a");
    link.href = "?" + query;
    link.textContent = name;
    if ((now.get("since") || "") === since && (now.get("until") || "") === until) {
      link.setAttribute("aria-current", "true");
    }
    nav.append(link);
  }
  form.before(nav);
}
