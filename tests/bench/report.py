"""Medians and spreads of all runs: as JSON, as a table."""

import statistics

LATENCIES = ("p50", "p99", "p999")


def median(values):
    values = [value for value in values if value is not None]
    return statistics.median(values) if values else None


def rounded(value):
    """Four digits: more would pretend."""
    if isinstance(value, float):
        return float(f"{value:.4g}") if abs(value) < 1000 else round(value)
    return value


def summary(runs):
    """Of one system in one workload: the median of each figure, and its least and most."""
    names = [name for name, value in runs[0].items() if isinstance(value, (int, float))]
    values = {name: [run[name] for run in runs] for name in names}
    result = {name: rounded(median(values[name])) for name in names}
    result["latencyMs"] = None
    spread = {name: [rounded(min(of)), rounded(max(of))] for name, of in values.items()}
    if runs[0].get("latencyMs"):
        result["latencyMs"], spread["latencyMs"] = {}, {}
        for name in LATENCIES:
            of = [run["latencyMs"][name] for run in runs]
            result["latencyMs"][name] = rounded(median(of))
            spread["latencyMs"][name] = [rounded(min(of)), rounded(max(of))]
    return {**result, "runs": len(runs), "spread": spread}


def document(runs, workloads, machine):
    """`runs`: figures by (workload's name, system's name)."""
    by_workload = {}
    for (workload, system), figures in runs.items():
        by_workload.setdefault(workload, {})[system] = summary(figures)
    described = {load.name: load.title for load in workloads if load.name in by_workload}
    return {"machine": machine, "descriptions": described, "workloads": by_workload}


def text_of(system, name, digits=0):
    value, (low, high) = system[name], system["spread"][name]
    return f"{value:,.{digits}f} ({low:,.{digits}f}–{high:,.{digits}f})"


def table(report):
    """Markdown: medians, and in parentheses the least and the most."""
    lines = [
        "| workload | program | invites/s | CPU/invite, µs | MiB | requests/invite | runs |",
        "|---|---|---|---|---|---|---|",
    ]
    for workload, systems in report["workloads"].items():
        for name, figures in systems.items():
            lines.append(
                f"| {workload} | {name} | {text_of(figures, 'throughput')} | "
                f"{text_of(figures, 'cpuMicrosPerInvite', 1)} | "
                f"{text_of(figures, 'rssMiB', 1)} | {figures['requestsPerInvite']:.2f} | "
                f"{figures['runs']} |"
            )
    return "\n".join(lines) + "\n"
