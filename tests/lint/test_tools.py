"""Formatting, headers that stand alone, scripts, YAML and JSON, each judged by its own tool."""

import json
import os
import subprocess

import tree

PACKAGES = "rdkafka libcurl jansson libuv yaml-0.1 libmicrohttpd cmocka".split()
HEADERS_OF = "include/worker/", "tests/"


def findings(command, **options):
    """What a tool says when it is not content; None when it is."""
    done = subprocess.run(
        command, cwd=tree.ROOT, capture_output=True, text=True, timeout=240, check=False, **options
    )
    return None if done.returncode == 0 else done.stdout + done.stderr


def formatting(paths):
    return findings(["clang-format-14", "--dry-run", "-Werror", "--style=file", *paths])


def compile_alone(path):
    flags = subprocess.run(
        ["pkg-config", "--cflags", *PACKAGES], capture_output=True, text=True, check=True
    ).stdout.split()
    command = [os.environ.get("CC", "cc"), "-std=c11", "-D_GNU_SOURCE", "-Wall", "-Wextra"]
    command += ["-Werror", "-fsyntax-only", "-Iinclude", "-Itests", *flags, "-x", "c", "-"]
    once = f'#include "{tree.ROOT / path}"\n'
    return findings(command, input=once + once)


def shell(paths):
    return findings(["shellcheck", *paths])


def yaml(paths):
    return findings(["yamllint", "--strict", "-c", str(tree.ROOT / ".yamllint"), *paths])


def no_duplicates(pairs):
    names = [name for name, _ in pairs]
    if len(names) != len(set(names)):
        raise ValueError(f"a name stands twice among {names}")
    return dict(pairs)


def json_error(path):
    try:
        with open(tree.ROOT / path, encoding="utf-8") as file:
            json.load(file, object_pairs_hook=no_duplicates)
    except ValueError as error:
        return f"{path}: {error}"
    return None


def write(directory, name, text):
    path = directory / name
    path.write_text(text)
    return str(path)


def test_c_files_are_formatted():
    assert formatting(tree.with_ending(".c", ".h")) is None


def test_wrong_formatting_is_found(tmp_path):
    style = (tree.ROOT / ".clang-format").read_text()
    write(tmp_path, ".clang-format", style)
    assert formatting([write(tmp_path, "bad.c", "int  f (void) { return 0; }\n")])


def test_every_header_compiles_alone_and_twice():
    headers = [name for name in tree.with_ending(".h") if name.startswith(HEADERS_OF)]
    assert len(headers) > 10
    broken = [said for said in map(compile_alone, headers) if said]
    assert not broken, "\n".join(broken)


def test_a_header_that_needs_another_is_found(tmp_path):
    assert compile_alone(write(tmp_path, "bad.h", "#pragma once\nuint32_t f(void);\n"))


def test_a_header_without_guard_is_found(tmp_path):
    assert compile_alone(write(tmp_path, "bad.h", "struct a {\n\tint b;\n};\n"))


def test_scripts_are_sound():
    scripts = tree.scripts()
    assert {"tests/run", "deploy/install-packages", ".ci/run"} <= set(scripts)
    assert shell(scripts) is None


def test_an_unsound_script_is_found(tmp_path):
    assert shell([write(tmp_path, "bad", "#!/bin/sh\nrm -rf $1/*\n")])


def test_yaml_is_sound():
    paths = tree.with_ending(".yaml", ".yml")
    assert not paths or yaml(paths) is None


def test_unsound_yaml_is_found(tmp_path):
    assert yaml([write(tmp_path, "bad.yaml", "a: 1\na: 2\n")])


def test_json_is_sound():
    assert [said for said in map(json_error, tree.with_ending(".json")) if said] == []


def test_unsound_json_is_found(tmp_path):
    assert json_error(write(tmp_path, "bad.json", '{"a": 1, "a": 2}'))
    assert json_error(write(tmp_path, "worse.json", '{"a": 1,}'))
