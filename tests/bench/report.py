"""Medians and spreads of all runs, as JSON and as Markdown."""

import statistics

import goals

LATENCIES = ("p50", "p99", "p999")
NONE = "–"


def rounded(value):
    """Four digits: more would pretend."""
    if isinstance(value, float):
        return float(f"{value:.4g}") if abs(value) < 1000 else round(value)
    return value


def middle(values):
    return rounded(statistics.median(values))


def extent(values):
    return [rounded(min(values)), rounded(max(values))]


def distribution(runs):
    """The median of each quantile."""
    lists = [dict(run["distribution"]) for run in runs]
    return [[share, middle([one[share] for one in lists])] for share in lists[0]]


def summary(runs):
    """Of one program in one workload: the median of each figure, and its least and most."""
    names = [name for name, value in runs[0].items() if isinstance(value, (int, float))]
    values = {name: [run[name] for run in runs] for name in names}
    result = {name: middle(of) for name, of in values.items()}
    spread = {name: extent(of) for name, of in values.items()}
    result["latencyMs"] = None
    if "latencyMs" in runs[0]:
        of = {name: [run["latencyMs"][name] for run in runs] for name in LATENCIES}
        result["latencyMs"] = {name: middle(values) for name, values in of.items()}
        spread["latencyMs"] = {name: extent(values) for name, values in of.items()}
        result["distribution"] = distribution(runs)
    return {**result, "runs": len(runs), "spread": spread}


def document(runs, workloads, machine):
    """`runs`: figures by (workload's name, system's name)."""
    measured = {}
    for load in workloads:
        systems = {system: runs[load.name, system] for system in load.systems
                   if runs.get((load.name, system))}
        if systems:
            measured[load.name] = {name: summary(of) for name, of in systems.items()}
    described = {load.name: load.title for load in workloads if load.name in measured}
    return {"machine": machine, "descriptions": described, "workloads": measured}


def text_of(value, spread, digits):
    """A median with the least and the most, when there was more than one run."""
    if value is None:
        return NONE
    least, most = spread
    text = f"{value:,.{digits}f}"
    return text if least == most else f"{text} ({least:,.{digits}f} to {most:,.{digits}f})"


def cell(figures, name, digits=0):
    return text_of(figures.get(name), figures["spread"].get(name), digits)


def latency_cell(figures, name):
    return text_of(figures["latencyMs"][name], figures["spread"]["latencyMs"][name], 1)


def rows(head, lines):
    ruler = "|" + "---|" * len(head)
    return ["| " + " | ".join(head) + " |", ruler, *("| " + " | ".join(of) + " |" for of in lines)]


def throughput_table(measured):
    head = ["workload", "program", "invites/s", "CPU an invite, us", "memory, MiB",
            "requests an invite", "runs"]
    return rows(head, [
        [load, name, cell(of, "throughput"), cell(of, "cpuMicrosPerInvite", 1), cell(of, "rssMiB"),
         f"{of['requestsPerInvite']:.2f}", str(of["runs"])]
        for load, systems in measured.items() for name, of in systems.items()
        if not of["latencyMs"] and "timeAgainstIdeal" not in of and "heldCommands" not in of
    ])


def latency_table(measured):
    head = ["workload", "program", "p50, ms", "p99, ms", "p99.9, ms", "CPU, cores", "memory, MiB",
            "runs"]
    return rows(head, [
        [load, name, *(latency_cell(of, which) for which in LATENCIES), cell(of, "cpuCores", 2),
         cell(of, "rssMiB"), str(of["runs"])]
        for load, systems in measured.items() for name, of in systems.items() if of["latencyMs"]
    ])


def blast_table(measured):
    head = ["workload", "program", "time against the ideal", "requests an invite", "runs"]
    return rows(head, [
        [load, name, cell(of, "timeAgainstIdeal", 4), f"{of['requestsPerInvite']:.2f}",
         str(of["runs"])]
        for load, systems in measured.items() for name, of in systems.items()
        if "timeAgainstIdeal" in of
    ])


def throttle_table(measured):
    head = ["workload", "program", "commands held", "memory, MiB", "idle, MiB",
            "bytes a command held", "bytes of a record", "CPU waiting, cores", "drained after, s",
            "invites/s then"]
    return rows(head, [
        [load, name, cell(of, "heldCommands"), cell(of, "rssMiB", 1), cell(of, "idleRssMiB", 1),
         cell(of, "bytesPerHeldCommand"), cell(of, "bytesPerRecord"), cell(of, "waitingCores", 3),
         cell(of, "drainSeconds", 1), cell(of, "throughput")]
        for load, systems in measured.items() for name, of in systems.items()
        if "heldCommands" in of
    ])


def goal_table(measured):
    head = ["goal", "measured", ""]
    return rows(head, [
        [goal, text, "met" if is_met else "**not met**"]
        for goal, text, is_met in goals.judge(measured)
    ])


def markdown(report):
    """All tables that have a row."""
    measured, machine = report["workloads"], report["machine"]
    parts = [[f"{machine['date'][:10]}, commit {machine['commit']}: {machine['cores']} cores "
              f"({machine['cpu']}), {machine['broker']}."]]
    parts.append([f"- **{name}**: {text}" for name, text in report["descriptions"].items()])
    for make in (throughput_table, latency_table, blast_table, throttle_table, goal_table):
        lines = make(measured)
        if len(lines) > 2:
            parts.append(lines)
    return "\n\n".join("\n".join(lines) for lines in parts) + "\n"
