"""How far a test is, for who holds it: counts by form and by item, as an object and as a page."""

import html
from typing import Any

from encodec_eval.listening.crowd.store import Store, passed

TITLES = {"began": "Listeners who began", "finished": "Finished", "at_it": "At it now", "answers": "Trials answered"}


def progress(store: Store) -> dict[str, Any]:
    """Counts of listeners and trials: all, `forms` and `items`; no participant is named."""
    sessions = list(store.sessions.values())
    at_it = store.at_it()
    done = [each for each in sessions if store.finished(each)]
    forms = [
        {
            "form": n + 1,
            "items": len(form),
            "began": sum(each.form == n for each in sessions),
            "finished": sum(each.form == n for each in done),
            "at_it": at_it.get(n, 0),
        }
        for n, form in enumerate(store.manifest.forms)
    ]
    items = [
        {
            "item": item.id,
            "answers": sum(item.id in each.trials for each in sessions),
            "finished": sum(item.id in each.trials for each in done),
        }
        for item in store.manifest.items
    ]
    failed = (
        sum(passed(each.about, store.settings) is False for each in sessions) if store.settings["headphones"] else 0
    )
    return {
        "test": store.manifest.test_id,
        "title": store.manifest.title,
        "method": store.manifest.method,
        "began": len(sessions),
        "finished": len(done),
        "at_it": sum(at_it.values()),
        "failed_headphones": failed,
        "answers": sum(len(each.trials) for each in sessions),
        "forms": forms,
        "items": items,
    }


def status_page(state: dict[str, Any]) -> str:
    """`progress` as a page without scripts."""
    facts = "".join(f"<dt>{title}</dt><dd>{state[name]}</dd>" for name, title in TITLES.items())
    facts += f"<dt>Failed the headphone check</dt><dd>{state['failed_headphones']}</dd>"
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Progress: {html.escape(state["title"])}</title><link rel="icon" href="data:,">
<style>
:root {{ color-scheme: light dark; }}
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 760px; margin: 0 auto; padding: 24px 16px; }}
td, th {{ text-align: right; padding: 2px 16px 2px 0; font-variant-numeric: tabular-nums; }}
dl {{ display: grid; grid-template-columns: max-content auto; gap: 4px 16px; }} dd {{ margin: 0; }}
</style></head>
<body><main><h1>Progress: {html.escape(state["title"])}</h1>
<p>{html.escape(state["method"])}, test {html.escape(state["test"])}</p><dl>{facts}</dl>
<h2>Items</h2>{_table(state["items"], ("item", "answers", "finished"))}
<h2>Forms</h2>{_table(state["forms"], ("form", "items", "began", "finished", "at_it"))}
</main></body></html>
"""


def _table(rows: list[dict[str, Any]], names: tuple[str, ...]) -> str:
    head = "".join(f'<th scope="col">{name.replace("_", " ")}</th>' for name in names)
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(str(row[name]))}</td>" for name in names) + "</tr>" for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
