"""The binary that is shipped carries the hardening flags."""

import os
import pathlib
import re
import subprocess

WORKER = pathlib.Path(os.environ["WORKER_BIN"]) / "invite-worker"


def readelf(option, path):
    command = ["readelf", "--wide", option, str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def disassembled(function, path):
    """Its instructions. The note that says the same of a whole file is lost on Debian 12, whose
    start-up objects do not carry it."""
    command = ["objdump", "--no-show-raw-insn", f"--disassemble={function}", str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def weaknesses(path):
    """What this executable lacks."""
    header, dynamic = readelf("--file-header", path), readelf("--dynamic", path)
    segments = readelf("--program-headers", path)
    symbols = readelf("--dyn-syms", path)
    stack = re.search(r"GNU_STACK.*", segments)
    checks = {
        "position independent": "DYN (Position-Independent Executable" in header,
        "bound at start": "BIND_NOW" in dynamic or re.search(r"FLAGS_1.*NOW", dynamic),
        "relocations read-only": "GNU_RELRO" in segments,
        "stack not executable": stack and "RWE" not in stack.group(0),
        "stack protector": "__stack_chk_fail" in symbols,
        "fortified calls": re.search(r"__\w+_chk\b(?<!__stack_chk)", symbols),
        "no search path of its own": "RUNPATH" not in dynamic and "RPATH" not in dynamic,
    }
    if "X86-64" in header:
        checks["control-flow protection"] = "endbr64" in disassembled("main", path)
    return [what for what, holds in checks.items() if not holds]


def test_the_worker_is_hardened():
    assert weaknesses(WORKER) == []


def test_a_plain_executable_is_found_weak(tmp_path):
    source = tmp_path / "plain.c"
    source.write_text("int main(void)\n{\n\treturn 0;\n}\n")
    plain = tmp_path / "plain"
    flags = ["-no-pie", "-Wl,-z,norelro,-z,lazy,-z,execstack,-rpath,/lib", "-fcf-protection=none"]
    command = [os.environ.get("CC", "cc"), *flags, "-fno-stack-protector", source, "-o", plain]
    subprocess.run(command, check=True, capture_output=True)
    lacking = weaknesses(plain)
    assert len(lacking) >= 7, lacking
