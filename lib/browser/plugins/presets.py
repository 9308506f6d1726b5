"""Offers ranges of dates above the filters of a dashboard: links, which end with its newest day."""

import json

from datasette import hookimpl

from headcount.reports.web import browser, front_page

_DASHBOARDS = "/-/dashboards/"
_OF_USERS = "active-users"  # whose days those of other dashboards of users are, too


def _filters(datasette, request):
    """The filters of the dashboard that is asked for; none elsewhere."""
    if request is None or not request.path.startswith(_DASHBOARDS):
        return {}
    known = datasette.plugin_config("datasette-dashboards") or {}
    return known.get(request.path.removeprefix(_DASHBOARDS), {}).get("filters", {})


@hookimpl
def extra_js_urls(datasette, request):
    is_dated = {"since", "until"} <= _filters(datasette, request).keys()
    return [datasette.urls.path("/browser/presets.js")] if is_dated else []


@hookimpl
def extra_body_script(datasette, request):
    async def script():
        if not {"since", "until"} <= _filters(datasette, request).keys():
            return ""
        database = datasette.get_database(browser.NAME)
        cards, _ = await database.execute_fn(front_page.cards)
        days = {card.source.dashboard: card.day.isoformat() for card in cards}
        name = request.path.removeprefix(_DASHBOARDS)
        newest = days.get(name, days.get(_OF_USERS))
        whole = "last hour" if name == "recent-changes" else "all"
        return f"addPresets({json.dumps(newest)}, {json.dumps(whole)})" if newest else ""

    return script
