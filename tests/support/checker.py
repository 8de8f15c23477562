"""Judges a history (support/history.py) by the invariants of FAULTS.md. Pure: lines in, words out.

    for violation in check(lines): …        [] when everything held

I1 an acknowledged job exists and has a final state · I2 at most one start per (job, attempt) ·
I3 exactly one final state, the same for everybody · I4 what is delivered is a prefix of what was
written · I5 "complete" means every byte · I6 no effect without its audit row, and the chain holds ·
I8 no process after the end. A key (request id) names one job, ever.
"""
from collections import defaultdict

# What the same end looks like to everybody; None where a source does not say.
SHARED = ("outcome", "code", "signal", "complete", "bytes", "sha256")
ENDED = {"exited", "signaled", "timeout", "stopped", "lost", "unreachable", "denied", "not_started"}


class Book:
    """A history by job."""

    def __init__(self, lines):
        self.wanted, self.keys, self.jobs = {}, defaultdict(set), {}
        self.by = defaultdict(lambda: defaultdict(list))
        self.audit, self.chains, self.odd = [], [], []
        for line in lines:
            kind = line["t"]
            if kind == "wanted":
                self.wanted[line["key"]] = line
            elif kind == "ack":
                self.keys[line["key"]].add(line["job"])
                self.jobs[line["job"]] = line["key"]
            elif kind == "audit":
                self.audit.append(line)
            elif kind == "odd":
                self.odd.append(line)
            elif kind == "audit_chain":
                self.chains.append(line)
            if line.get("job"):
                self.by[line["job"]][kind].append(line)

    def tells(self, job):
        return self.wanted.get(self.jobs.get(job), {}).get("tells") or {}


def check(lines):
    book = Book(lines)
    rules = (nothing_odd, one_job_a_key, acknowledged_exists, started_once, one_final_state, outcome_is_true,
             output_is_a_prefix, complete_means_all, effects_are_audited, nothing_left)
    return [violation for rule in rules for violation in rule(book)]


def nothing_odd(book):
    """What a story did not expect to be told, such as an exit code that no document promises."""
    for line in book.odd:
        yield f"odd: {line['what']}"


def one_job_a_key(book):
    for key, jobs in book.keys.items():
        if len(jobs) > 1:
            yield f"I2: the key {key} is {len(jobs)} jobs: {sorted(jobs)}"


def acknowledged_exists(book):
    removed = {line["job"] for kinds in book.by.values() for line in kinds["effect"]
               if line["verb"] == "job.rm"}
    for job in book.jobs:
        if job in removed:
            continue
        shown = book.by[job]["shown"]
        if not shown:
            yield f"I1: {job} was acknowledged and nobody knows it"
        elif not shown[-1]["final"]:
            yield f"I1: {job} was acknowledged and is {shown[-1]['state']} for ever"


def started_once(book):
    for job, kinds in book.by.items():
        count = defaultdict(int)
        for line in kinds["start"]:
            count[line["attempt"]] += 1
        for attempt, starts in count.items():
            if starts > 1:
                yield f"I2: {job} attempt {attempt} started {starts} times"


def one_final_state(book):
    """Everybody who says how an attempt ended says the same, at every moment."""
    for job, kinds in book.by.items():
        seen = {}
        for line in kinds["outcome"]:
            if line["outcome"] not in ENDED:
                yield f"I3: {job}: {line['source']} says {line['outcome']!r}"
            for field in SHARED:
                # A client that was away for too long knows less, and says so by "lost".
                value = line.get(field)
                if value is None or _is_ignorance(line):
                    continue
                first = seen.setdefault((line["attempt"], field), (value, line["source"]))
                if first[0] != value:
                    yield (f"I3: {job} attempt {line['attempt']}: {field} is {first[0]} to "
                           f"{first[1]} and {value} to {line['source']}")
        final = [line for line in kinds["shown"] if line["final"]]
        after = kinds["shown"][kinds["shown"].index(final[0]):] if final else []
        if any(not line["final"] for line in after):
            yield f"I3: {job} was final and then {[line['state'] for line in after]}"


def _is_ignorance(line):
    """The client's own "lost" (exit 121): it could not ask, nothing is claimed about the job."""
    return line["source"] == "client" and line["outcome"] == "lost"


def outcome_is_true(book):
    """What is said to have happened did happen, as far as the job itself can tell."""
    for job, kinds in book.by.items():
        tells = book.tells(job)
        started = {line["attempt"] for line in kinds["start"]}
        for line in kinds["outcome"]:
            if _is_ignorance(line):
                if tells.get("patient") and not kinds["killed"]:
                    yield f"I3: {job}: its client gave up within its patience"
                continue
            where = f"{job}: {line['source']} says {line['outcome']}"
            if line["outcome"] == "exited" and tells.get("marks"):
                if line["attempt"] not in started:
                    yield f"I3: {where}, but it never started"
                if "code" in tells and line["code"] != tells["code"]:
                    yield f"I3: {where} with {line['code']}, it ends with {tells['code']}"
            elif line["outcome"] in ("not_started", "denied", "unreachable"):
                if line["attempt"] in started:
                    yield f"I3: {where}, but it started"
            elif line["outcome"] in tells.get("never", ()) and not kinds["killed"]:
                yield f"I3: {where}, which nobody asked for"


def output_is_a_prefix(book):
    for job, kinds in book.by.items():
        for line in kinds["output"]:
            if not line["prefix_ok"]:
                yield f"I4: {job}: what {line['source']} had of {line['stream']} was never written"


def complete_means_all(book):
    for job, kinds in book.by.items():
        expected = book.tells(job).get("streams", {})
        ends = [line for line in kinds["outcome"]
                if line["outcome"] == "exited" and line["complete"]]
        for line in ends:
            for stream, want in expected.items():
                got = (line.get("bytes") or {}).get(stream)
                if got is not None and got != want["bytes"]:
                    yield f"I5: {job}: complete with {got} of {want['bytes']} bytes of {stream}"
                said = (line.get("sha256") or {}).get(stream)
                if said and said != want["sha256"]:
                    yield f"I5: {job}: complete, but the digest of {stream} is another"
        if not ends:
            continue
        for line in kinds["output"]:
            want = expected.get(line["stream"])
            if want and line["whole"] and line["sha256"] != want["sha256"]:
                yield (f"I5: {job}: {line['source']} has {line['bytes']} of {want['bytes']} bytes "
                       f"of {line['stream']}")


def effects_are_audited(book):
    for chain in book.chains:
        if not chain["ok"]:
            yield f"I6: the audit chain is broken: {chain['why']}"
    if not book.chains:
        return
    rows = {(line["verb"], line["object"]) for line in book.audit}
    needed = {("job.submit", job) for job in book.jobs}
    needed |= {(line["verb"], job) for job, kinds in book.by.items() for line in kinds["effect"]}
    runs = {job: line.get("run") for job, kinds in book.by.items() for line in kinds["shown"]}
    for verb, job in sorted(needed):
        objects = {f"job/{job}", f"run/{runs.get(job)}"}
        verbs = {verb, "job.adopt", "schedule.fire"} if verb == "job.submit" else {verb}
        if not any((v, o) in rows for v in verbs for o in objects):
            yield f"I6: {verb} of {job} has no audit row"


def nothing_left(book):
    for job, kinds in book.by.items():
        for line in kinds["leftover"]:
            yield f"I8: process {line['pid']} of {job} is there after its end"
