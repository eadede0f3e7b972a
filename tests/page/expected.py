"""What the page has to show of an answer of /status, worked out a second time and in another language, so that both have
to agree.

`data-field` on the page is the path into the JSON, `sources.0.lag_seconds`; a shard goes by its id, since its place on the
page is another one: `sources.0.shards.shardId-….in_flight`. `data-value` is the value as JSON.
"""

import json
import re
from decimal import ROUND_HALF_UP, Decimal

# From the worst to the best.
RANKS = ("stopped", "gap", "paused", "nobody", "unready", "behind", "partial", "letters", "filling", "starting", "standby", "ok")
WARN = RANKS[: RANKS.index("filling")]
PHASES = {"gapped": "✕", "paused": "‖", "reading": "✓", "waiting": "○", "searching_children": "○"}

# What of the JSON is not shown as a value with its path, and why.
LEFT_OUT = (
    (r"live|ready", "the overall state says it, which is compared by itself"),
    (r"sources\.\d+\.shards\..*\.outcomes\.\w+", "the outcomes of all shards are shown; those of each would be seven numbers a shard"),
    (r"sources\.\d+\.history\.every_seconds", "the chart says how far it reaches back"),
)
# A standby has zeros here, which would be wrong to show: it does not know.
UNKNOWN_TO_STANDBY = ("rate", "undecided", "prefetched_bytes", "projected_calls_per_hour")


def rounded(number, digits=0):
    return Decimal(number).quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP)


def short(number):
    return f"{rounded(number, 1)}".removesuffix(".0")


def count(number):
    for size, name in ((1e12, "trillion"), (1e9, "billion")):
        if number >= size:
            return f"{short(number / size) if number < size * 1000 else f'{rounded(number / size):,}'} {name}"
    return f"{rounded(number):,}"


def span(seconds):
    if seconds < 0.05:
        return "0 s"
    if seconds < 10:
        return f"{short(seconds)} s"
    for below, size, unit in ((120, 1, "s"), (7_200, 60, "min"), (172_800, 3_600, "h")):
        if seconds < below:
            return f"{rounded(seconds / size)} {unit}"
    return f"{count(seconds / 86_400)} days"


def size(number):
    units = ["bytes", "KB", "MB", "GB", "TB"]
    while number >= 1000 and len(units) > 1:
        number /= 1000
        units.pop(0)
    return f"{count(number) if units[0] == 'bytes' else short(number)} {units[0]}"


def rate(number):
    return f"{short(number) if number < 1000 else count(number)}/s"


def short_id(text):
    bare = re.sub(r"^0+(?=.)", "", text.removeprefix("shardId-"))
    return f"…{bare[-13:]}" if len(bare) > 14 else bare


def words(text):
    return text.replace("_", " ")


NUMBERS = {"count": count, "span": span, "bytes": size, "rate": rate}
TEXTS = {
    "text": str,
    "rich": lambda text: text.replace("`", ""),
    "words": words,
    "short": short_id,
    "phase": lambda text: f"{PHASES.get(text, '·')} {words(text)}",
    "reader": str,
    "filler": lambda text: {"run": "the reader of the table", "command": "streamdex backfill"}.get(text, text),
}


def shown(form, value):
    """A value as people read it."""
    if form == "cause":
        return "changes were lost in a gap that was closed" if value is True else "the table held items before its stream was followed"
    if value is None or value == "":
        return "nobody" if form == "reader" else "–"
    if isinstance(value, str):
        return TEXTS.get(form, str)(value)
    if form in NUMBERS and isinstance(value, (int, float)) and not isinstance(value, bool):
        return NUMBERS[form](value)
    return json.dumps(value)


def leaves(value, path=""):
    """Every value of an answer, by its path."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from leaves(inner, f"{path}.{name}" if path else name)
    elif isinstance(value, list) and ".history." not in path:
        for at, inner in enumerate(value):
            is_shard = path.endswith(".shards") and isinstance(inner, dict)
            yield from leaves(inner, f"{path}.{inner.get('shard') if is_shard else at}")
    else:
        yield path, value


def left_out(path, value, report):
    """Why a leaf need not be shown; None where it must be."""
    if value is None or value == "":
        return "nothing is there"
    for pattern, reason in LEFT_OUT:
        if re.fullmatch(pattern, path):
            return reason
    found = re.fullmatch(r"sources\.(\d+)\.(.*)", path)
    return of_source(report["sources"][int(found[1])], found[2]) if found else None


def of_source(source, field):
    if field == "table" and source["name"] == source["table"]:
        return "the source has the same name"
    if source.get("term") is None:
        if field in UNKNOWN_TO_STANDBY or field.startswith("history."):
            return "a standby does not know it"
        if source.get("records") == 0 and (field == "records" or field.startswith("outcomes.")):
            return "a standby that has read nothing has none"
    return None


# --- The state ---


def state(report):
    """The name of the overall state."""
    if report["live"] is False:
        return "stopped"
    alone = len(report["sources"]) == 1
    states = [of_table(source, report["writer"], alone) for source in report["sources"]]
    found = [one for one in states if one != "standby"] or states
    if report["writer"]["pauses"]:
        found.append("paused")
    if not report["ready"]:
        found.append("unready")
    return min(found, key=RANKS.index, default="starting")


def of_table(source, writer, alone):
    """The name of the state of one table."""
    shards = source["shards"]
    if source["gaps"] or any(shard["phase"] == "gapped" for shard in shards):
        return "gap"
    if held(source, writer, alone):
        return "paused"
    if not source["worker"]:
        return "starting"
    if source["term"] is None:
        return "standby" if source["reader"] else "nobody"
    return of_lag(source) or of_fill(source) or of_letters(source)


def held(source, writer, alone):
    pauses = writer["pauses"] if source["term"] is not None else []
    by_writer = any(alone or not pause["scope"].startswith("index ") for pause in pauses)
    by_shard = any(shard["phase"] == "paused" or shard.get("paused") for shard in source["shards"])
    return by_writer or bool(source["paused"]) or by_shard


def of_lag(source):
    if source["lag_seconds"] is None:
        return "starting"
    return "behind" if source["lag_seconds"] >= 60 or source["missed_freshness_seconds"] is not None else None


def of_fill(source):
    if source["phase"] != "partial":
        return None
    fill = source["backfill"]
    if fill is None:
        return "partial"
    if fill["by"] == "command" and (fill["after_gap"] or not fill["owner"]):
        return "partial"
    return "filling"


def of_letters(source):
    return "letters" if source["outcomes"]["dead_lettered"] else "ok"


def order(shards):
    """The ids of shards as they have to follow each other where none waits for another: gapped, paused, then by lag."""

    def pain(shard):
        lag = -1 if shard["lag_seconds"] is None else shard["lag_seconds"]
        return (shard["phase"] == "gapped", shard["phase"] == "paused" or bool(shard.get("paused")), lag)

    return [shard["shard"] for shard in sorted(shards, key=pain, reverse=True)]
