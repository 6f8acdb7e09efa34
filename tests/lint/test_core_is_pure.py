"""The core library asks nothing of the loop, the network, the clock or the environment."""

import os
import re
import subprocess

IMPURE = re.compile(
    r"(uv_|curl_|rd_kafka_|MHD_|yaml_|pthread_|sd_).*|"
    r"clock(_\w+)?|time|gettimeofday|(secure_)?getenv|nanosleep|u?sleep|socket|connect|"
    r"f?open(64)?|read|write|send|recv|poll|epoll_\w+|fork|exec\w+|rand(om)?|getrandom"
)


def impure_symbols(archive):
    command = ["nm", "--undefined-only", "--format=posix", archive]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    names = {line.split()[0].split("@")[0] for line in done.stdout.splitlines() if " U" in line}
    return sorted(name for name in names if IMPURE.fullmatch(name))


def test_the_core_needs_nothing_impure():
    assert impure_symbols(os.environ["WORKER_CORE"]) == []


def test_an_impure_object_is_found(tmp_path):
    source = tmp_path / "bad.c"
    source.write_text("int uv_run(void);\nchar *getenv(const char *);\n"
                      "int f(void)\n{\n\treturn uv_run() + (getenv(\"A\") != 0);\n}\n")
    archive = tmp_path / "bad.o"
    subprocess.run([os.environ.get("CC", "cc"), "-c", source, "-o", archive], check=True)
    assert impure_symbols(archive) == ["getenv", "uv_run"]
