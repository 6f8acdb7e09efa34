"""What the figures were measured on."""

import os
import pathlib
import platform
import re
import subprocess
import time


def first_line(*command):
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    except OSError:
        return None
    return (done.stdout or done.stderr).split("\n", 1)[0].strip() or None


def package(name):
    return first_line("dpkg-query", "-W", "-f", "${Version}", name)


def describe(broker):
    cpu = re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text())
    memory = re.search(r"MemTotal:\s+(\d+)", pathlib.Path("/proc/meminfo").read_text())
    return {
        "date": time.strftime("%Y-%m-%dT%H:%MZ", time.gmtime()),
        "cpu": cpu[1] if cpu else platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "memoryGiB": round(int(memory[1]) / (1 << 20)),
        "kernel": platform.release(),
        "broker": f"Apache Kafka {broker.version}, one node, the same machine",
        "java": first_line("java", "--version"),
        "librdkafka": package("librdkafka1"),
        "libcurl": package("libcurl4"),
        "commit": first_line("git", "-C", str(pathlib.Path(__file__).parent), "describe",
                             "--always", "--dirty"),
    }
