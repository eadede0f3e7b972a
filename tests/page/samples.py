"""Answers of /status for the tests of the page, as crates/poller/src/observe/report.rs writes them."""

import copy
import math

OUTCOMES = ("absent", "applied", "coalesced", "dead_lettered", "filtered", "superseded", "unchanged")
CALLS = ("empty", "expired", "failed", "records", "throttled")
GAP_HINT = (
    "the stream no longer has these changes: run `streamdex gap close` to continue with what is left, "
    "then compare the index with the table"
)


def shard(number, phase="reading", lag=0.2, **more):
    """One shard, with an id as DynamoDB gives them."""
    return {
        "shard": f"shardId-{1764000000000 + number:020d}-{number * 2654435761 % 2**32:08x}",
        "phase": phase,
        "lag_seconds": lag,
        "rate": 12.5,
        "in_flight": 3,
        "retries": 0,
        **more,
    }


def counters():
    """All that are counted."""
    names = [f"calls_{call}" for call in CALLS]
    names += [f"lease_{change}" for change in ("given_up", "lost", "released", "taken")]
    names += ["retries", "checkpoints", "tenure_lapses", "creation_time_backwards", "incomplete_answers"]
    names += ["watchdog_restarts", "task_restarts"]
    return {name: 7 * at for at, name in enumerate(sorted(names))}


def history(lag=0.2, rate=800.0, samples=360):
    """An hour of a table under load, with two quiet minutes of which nothing is known."""
    lags = [round(lag * (1 + 0.6 * math.sin(at / 9)) + (at % 7) * 0.02, 3) for at in range(samples)]
    rates = [round(rate * (1 + 0.3 * math.sin(at / 23) + 0.05 * math.sin(at * 1.7)), 3) for at in range(samples)]
    for at in range(samples // 3, samples // 3 + 12):
        lags[at : at + 1] = [None]
    return {"every_seconds": 10, "lag_seconds": lags, "rate": rates}


def source(name="orders", shards=None, **more):
    """A table under load, of which all is well."""
    outcomes = dict.fromkeys(OUTCOMES, 0) | {"applied": 1_843_201, "coalesced": 20_133, "superseded": 412, "absent": 90}
    outcomes |= {"unchanged": 51_010, "filtered": 7_020}
    outcomes |= more.pop("outcomes", {})
    shards = [shard(n, rate=100 + n) for n in range(8)] if shards is None else shards
    return {
        "name": name,
        "table": name,
        "stream": "2026-11-22T08:15:30.123",
        "worker": "ip-10-0-3-17-7f9c2a",
        "reader": "ip-10-0-3-17-7f9c2a",
        "term": 3,
        "heartbeat_age_seconds": 0.466,
        "lag_seconds": 0.241,
        "missed_freshness_seconds": None,
        "rate": 824.302,
        "records": sum(outcomes.values()),
        "outcomes": outcomes,
        "undecided": 24,
        "before_start": 0,
        "projected_calls_per_hour": 14400.0,
        "prefetched_bytes": 1_234_567,
        "paused": None,
        "phase": "complete",
        "backfill": None,
        "backfill_dead_lettered": 0,
        "gaps": [],
        "counters": counters(),
        "shards": shards,
        "history": history(),
        **more,
    }


def report(*sources, **more):
    """What a process says."""
    return {
        "version": "0.1.0",
        "uptime_seconds": 11_000,
        "live": True,
        "ready": True,
        "reasons": [],
        "writer": {
            "requests_in_flight": 2,
            "requests_limit": 8,
            "waiting_operations": 310,
            "requests": 20_471,
            "bytes": 8_589_934_592,
            "decided": 1_843_291,
            "retried": 17,
            "overloaded": 3,
            "pauses": [],
            "last_error": None,
        },
        "sources": list(sources),
        **more,
    }


def load():
    """Much to do, and all is well; one shard waits for its parent."""
    shards = [shard(n, rate=100.25 + n, lag=0.241 - n / 100) for n in range(6)]
    shards.append(shard(6, "waiting", None, rate=0.0, in_flight=0, parent=shards[2]["shard"]))
    shards.append(shard(7, "searching_children", 0.0, rate=0.0, in_flight=0, parent=shard(99)["shard"]))
    return report(source(shards=shards))


def writer_pause(scope="cluster", seconds=190):
    """Something that is held back."""
    return {
        "scope": scope,
        "reason": "throttled",
        "message": f"{scope}: OpenSearch is overloaded (429: es_rejected_execution_exception)",
        "hint": "the cluster is too small for this write load: lower `opensearch.max_concurrent_requests` or add capacity",
        "seconds": seconds,
    }


def paused_writer(scope="cluster", *others):
    """Writing is held back."""
    error = {"message": "no answer within 60 s", "hint": "look at the cluster", "seconds_ago": 4}
    shards = [shard(n, lag=185.4 + n, rate=0.0, in_flight=1000, retries=n, last_error=error) for n in range(4)]
    past = history()
    past["lag_seconds"][-19:] = [10.0 * at for at in range(19)]
    past["rate"][-19:] = [0.0] * 19
    held = source(shards=shards, lag_seconds=188.4, rate=0.0, undecided=4000, history=past)
    answer = report(held, *others, ready=scope.startswith("index "))
    answer["writer"] |= {"pauses": [writer_pause(scope)], "requests_limit": 1, "last_error": "429: es_rejected_execution_exception"}
    if not answer["ready"]:
        answer["reasons"] = [f"writing is paused: {scope}: OpenSearch is overloaded"]
    return answer


def paused_source():
    """The listing of the shards fails."""
    return report(source(paused="the shards cannot be listed: AccessDeniedException", lag_seconds=42.0))


def paused_shard():
    """One shard does not go on."""
    error = {"message": "timed out", "hint": "check the network", "seconds_ago": 0}
    held = shard(9, "paused", 75.4, paused="the state table does not answer", last_error=error)
    return report(source(shards=[shard(1), held, shard(2)], lag_seconds=75.4))


def gapped():
    """Changes are missing, of two shards; a child of one waits."""
    first, second = shard(4, "gapped", None, rate=0.0, in_flight=0), shard(5, "gapped", None, rate=0.0, in_flight=0)
    child = shard(14, "waiting", None, rate=0.0, in_flight=0, parent=first["shard"])
    held = shard(6, "paused", 75.4, paused="the state table does not answer")
    gaps = [
        {
            "kind": "trimmed",
            "subject": one["shard"],
            "position": "4421000000000012345678",
            "message": f"{one['shard']}: records were trimmed before they were read",
            "hint": GAP_HINT,
        }
        for one in (first, second)
    ]
    gaps[1]["position"] = None
    shards = [shard(1), shard(2, lag=9.0), child, held, first, second]
    return report(source(shards=shards, gaps=gaps, lag_seconds=75.4, outcomes={"dead_lettered": 2}))


def standby(reader="ip-10-0-3-17-7f9c2a"):
    """Another process reads."""
    idle = source(shards=[], worker="ip-10-0-9-2-11aa22", reader=reader, term=None, heartbeat_age_seconds=None)
    idle |= {"lag_seconds": None, "rate": 0.0, "records": 0, "outcomes": dict.fromkeys(OUTCOMES, 0), "undecided": 0}
    # A standby has not looked at the table itself.
    idle |= {"table": "", "stream": "", "phase": None, "backfill_dead_lettered": None, "projected_calls_per_hour": 0.0, "prefetched_bytes": 0}
    del idle["history"]
    return report(idle)


def filling(**more):
    """A backfill under way."""
    backfill = {"by": "run", "after_gap": False, "owner": "ip-10-0-3-17-7f9c2a", "items": 412_000, "expected": 1_000_000}
    backfill |= {"dead_lettered": 0, "segments": 8, "segments_done": 2} | more
    return report(source(phase="partial", backfill=backfill))


def letters():
    """Some records can never be indexed."""
    answer = report(source(outcomes={"dead_lettered": 3}))
    answer["writer"]["last_error"] = "illegal_argument_exception: field [mixed] is an object here and a plain value there"
    return answer


def several():
    """Three tables: one is well, one is far behind, one has a gap."""
    late = source("invoices", lag_seconds=7_300.0, shards=[shard(1, lag=7_300.0)], missed_freshness_seconds=10.5)
    late["name"] = "billing"
    broken = gapped()["sources"][0] | {"name": "sessions", "table": "sessions"}
    return report(source("customers"), late, broken)


def starting():
    """Nothing is followed yet."""
    waits = source(shards=[], worker="", reader=None, term=None, heartbeat_age_seconds=None, lag_seconds=None, phase=None)
    waits |= {"backfill_dead_lettered": None, "stream": "", "table": "", "rate": 0.0, "records": 0, "outcomes": dict.fromkeys(OUTCOMES, 0)}
    return report(waits, ready=False, reasons=["source orders: no look at the lease was answered yet"])


def many(shards=2_000, turn=0):
    """More shards than anybody can look at, each with other numbers at each turn."""
    made = [shard(n, lag=round((n * 7919 + turn * 31) % 1000 / 100, 3), rate=float(n + turn)) for n in range(shards)]
    for at in range(0, shards, 40):
        made[at] |= {"phase": "waiting", "lag_seconds": None, "parent": made[at + 1]["shard"]}
    made[1234 % shards] |= {"phase": "paused", "paused": "the state table does not answer"}
    made[77 % shards] |= {"phase": "gapped", "lag_seconds": None}
    return report(source(shards=made))


EVIL = '<img src=x onerror="document.title=\'evil\'">'
LONG = "a" * 300


def hostile():
    """Text that wants to be HTML, endless names, right-to-left marks, huge numbers."""
    bad = shard(1, "paused", 1e15, shard=EVIL, rate=1e15, in_flight=10**15, paused=EVIL, parent=EVIL)
    bad["last_error"] = {"message": EVIL + "`code`", "hint": "\u202eevil\u202c " + LONG, "seconds_ago": 10**15}
    longest = shard(2, shard=LONG, parent=LONG)
    loop = [shard(3, "waiting", None), shard(4, "waiting", None)]
    loop[0]["parent"], loop[1]["parent"] = loop[1]["shard"], loop[0]["shard"]
    twice = [shard(5), shard(5)]
    odd = shard(6, "unheard_of", None, colour="blue")
    names = [shard(7, "constructor", None, shard="__proto__", parent="toString"), shard(8, "valueOf", None)]
    shards = [bad, longest, *loop, *twice, odd, *names, None, 7]
    wild = source(LONG, shards, worker=EVIL, reader="\u202eevil", phase="unheard_of", paused=EVIL, rate=1e15)
    wild["outcomes"] |= {"new_outcome": 10**15, "constructor": 5}
    wild["backfill"] = {"by": "constructor", "after_gap": "x", "items": 10**15}
    wild["records"] = sum(wild["outcomes"].values())
    wild |= {"gaps": [{"kind": EVIL, "subject": LONG, "position": LONG, "message": EVIL, "hint": LONG}], "colour": {"x": 1}}
    answer = report(wild, ready=False, reasons=[EVIL, LONG])
    answer["writer"] |= {"bytes": 10**15, "last_error": EVIL + LONG, "pauses": [writer_pause(f"index {EVIL}", 10**15)]}
    return answer


def nothing():
    """Null wherever there can be one, and fields that are missing."""
    nulls = {name: None for name in source()}
    empty = {"name": "empty"}
    nulls_inside = source("inside", [dict.fromkeys(shard(1)), {}], history={"every_seconds": None, "lag_seconds": None})
    nulls_inside |= {"gaps": [{}], "backfill": {}, "outcomes": {}, "counters": {}, "phase": "partial"}
    return report(nulls, empty, nulls_inside, writer=None, reasons=None, version=None, uptime_seconds=None)


def without_additions(answer):
    """As a process says it that knows neither parents nor history."""
    answer = copy.deepcopy(answer)
    for one in answer["sources"]:
        one.pop("history", None)
        for part in one["shards"]:
            part.pop("parent", None)
    return answer
