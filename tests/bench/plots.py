"""Plots of a report by gnuplot, as SVG: one file a figure."""

import subprocess

# Of the programs, in the order of the report; told apart without colour by their order.
COLOURS = {
    "worker-at-least-once": "#1b7837",
    "worker-exactly-once": "#5aae61",
    "parallel-consumer": "#762a83",
    "bento": "#9970ab",
    "floor": "#878787",
}
BARS = (
    ("throughput", "throughput", "invites a second"),
    ("cpu", "cpuMicrosPerInvite", "CPU microseconds an invite"),
    ("memory", "rssMiB", "resident memory, MiB"),
)
HEAD = """set terminal svg size 900,420 font "sans-serif,12" background "white"
set output "{path}"
set title "{title}"
set border 3
set tics nomirror
set grid ytics lc rgb "#dddddd"
"""
BAR_STYLE = """set style data histograms
set style histogram errorbars gap 1 lw 1
set style fill solid 0.9 border -1
set yrange [0:*]
set key outside right top
set ylabel "{title}"
"""
CURVE_STYLE = """set logscale xy
set xrange [1:10000]
set xtics ("50 %%" 2, "90 %%" 10, "99 %%" 100, "99.9 %%" 1000, "99.99 %%" 10000)
set ylabel "added latency, ms"
set key outside right top
"""


def draw(text):
    subprocess.run(["gnuplot"], input=text, text=True, check=True, timeout=60)


def names_of(measured, loads):
    return [name for name in COLOURS if any(name in measured[load] for load in loads)]


def bars(measured, loads, figure):
    """gnuplot's data: a line a workload, and of each program its median, least and most."""
    names = names_of(measured, loads)
    lines = []
    for load in loads:
        fields = [load]
        for name in names:
            of = measured[load].get(name)
            fields += [of[figure], *of["spread"][figure]] if of else ["NaN"] * 3
        lines.append(" ".join(map(str, fields)))
    plots = [
        f"$data using {2 + 3 * place}:{3 + 3 * place}:{4 + 3 * place}:xtic(1) "
        f'title "{name}" lc rgb "{COLOURS[name]}"'
        for place, name in enumerate(names)
    ]
    return "$data << END\n" + "\n".join(lines) + "\nEND\nplot " + ", ".join(plots) + "\n"


def curves(systems):
    """Each quantile against one over the share that lies above it, so that the tail has room."""
    blocks, plots = [], []
    for place, (name, of) in enumerate(systems.items()):
        points = [
            f"{1 / (1 - share)} {max(ms, 0.1)}"
            for share, ms in of["distribution"] if 0 < share < 1
        ]
        blocks.append(f"$curve{place} << END\n" + "\n".join(points) + "\nEND")
        plots.append(
            f'$curve{place} with linespoints pt 7 ps 0.4 lw 2 lc rgb "{COLOURS[name]}" '
            f'title "{name}"'
        )
    return "\n".join(blocks) + "\nplot " + ", ".join(plots) + "\n"


def write(report, directory):
    """All plots that the report has figures for; the paths."""
    directory.mkdir(parents=True, exist_ok=True)
    measured, paths = report["workloads"], []

    def plot(name, title, style, data):
        paths.append(directory / f"{name}.svg")
        draw(HEAD.format(path=paths[-1], title=title) + style + data)

    backlogs = [
        load for load, systems in measured.items()
        if not any(
            of["latencyMs"] or "heldCommands" in of or "timeAgainstIdeal" in of
            for of in systems.values()
        )
    ]
    for name, figure, title in BARS:
        if backlogs:
            plot(name, title, BAR_STYLE.format(title=title), bars(measured, backlogs, figure))
    for load, systems in measured.items():
        if all(of["latencyMs"] for of in systems.values()):
            plot(f"latency-{load}", report["descriptions"][load], CURVE_STYLE, curves(systems))
    return paths
