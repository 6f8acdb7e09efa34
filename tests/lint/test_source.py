"""The tree obeys every rule of rules.py, and every rule can find what it forbids."""

import pytest

import rules
import tree

CORE = "worker/core/sample.c"
BODY = "static int f(void)\n{\n" + "\treturn 0;\n" * 99 + "}\n"

BAD = (
    (rules.include_direction, CORE, '#include "worker/io/http.h"\n'),
    (rules.include_direction, "include/worker/base/a.h", '#include "worker/core/job.h"\n'),
    (rules.include_direction, "worker/io/a.c", '#include "worker/options.h"\n'),
    (rules.include_direction, CORE, "#include <uv.h>\n"),
    (rules.include_direction, CORE, "#include <sys/socket.h>\n"),
    (rules.include_direction, CORE, '#include "job.h"\n'),
    (rules.include_direction, "worker/io/graph.c", "#include <curl/curl.h>\n"),
    (rules.include_direction, "worker/io/http.c", "#include <librdkafka/rdkafka.h>\n"),
    (rules.include_direction, "worker/base/log.c", "#include <jansson.h>\n"),
    (rules.include_direction, "worker/io/graph.c", "#include <microhttpd.h>\n"),
    (rules.banned_calls, "worker/io/a.c", "\tsprintf(text, 1);\n"),
    (rules.banned_calls, "tests/io/a.c", "\tusleep (5);\n"),
    (rules.banned_calls, "worker/base/a.c", "\tx = time(NULL);\n"),
    (rules.banned_calls, CORE, "\tclock_gettime(CLOCK_MONOTONIC, &t);\n"),
    (rules.banned_calls, CORE, "\thome = getenv(name);\n"),
    (rules.mutable_statics, CORE, "static int count;\n"),
    (rules.mutable_statics, CORE, "void f(void)\n{\n\tstatic unsigned long n = 0;\n}\n"),
    (rules.mutable_statics, CORE, "static struct job jobs[4];\n"),
    (rules.mutable_statics, CORE, "static const char *name = \"x\";\n"),
    (rules.file_length, CORE, "\n" * 601),
    (rules.file_length, "include/worker/core/a.h", "\n" * 201),
    (rules.file_length, "tests/lib/a.py", "\n" * 601),
    (rules.file_length, "deploy/quickstart", "\n" * 601),
    (rules.function_length, CORE, BODY),
    (rules.line_width, CORE, "\t" * 12 + "12345\n"),
    (rules.comment_style, CORE, "int x; // why\n"),
    (rules.comment_style, CORE, "/* TODO */\n"),
    (rules.include_guard, "include/worker/core/a.h", "#ifndef A_H\n#define A_H\n#endif\n"),
    (rules.sleeping_tests, "tests/core/a.c", "\tnanosleep(&t, NULL);\n"),
    (rules.machine_paths, "README.md", "see /wor" + "k/shared\n"),
    (rules.machine_paths, "deploy/Dockerfile", "https://pyp" + "i.org/simple\n"),
)

GOOD = (
    (rules.include_direction, "worker/core/a.c", '#include "worker/base/err.h"\n'),
    (rules.include_direction, "worker/io/http.c", "#include <curl/curl.h>\n#include <uv.h>\n"),
    (rules.include_direction, "worker/app.c", '#include "worker/io/http.h"\n'),
    (rules.banned_calls, CORE, "/* sleep(1) */ x.time(\"time(0)\"); run_time(1);\n"),
    (rules.mutable_statics, CORE, "static const int a[] = { 1 };\nstatic int f(int x)\n{\n}\n"),
    (rules.mutable_statics, CORE, "static const char *const names[] = { \"a\" };\n"),
    (rules.mutable_statics, CORE, "static void f(void);\nstatic struct job *g(int a,\n\tint b);\n"),
    (rules.function_length, CORE, "int f(void)\n{\n" + "\tg();\n" * 98 + "}\n"),
    (rules.line_width, CORE, "\t" * 12 + "1234\n"),
    (rules.comment_style, CORE, 'const char *url = "http://a"; /* http://b */\n'),
    (rules.sleeping_tests, "tests/io/a.c", "\tnanosleep(&t, NULL);\n"),
)


def name(value):
    return value.__name__ if callable(value) else None


@pytest.mark.parametrize("rule, path, text", BAD, ids=name)
def test_a_rule_finds_what_it_forbids(rule, path, text):
    assert rule(path, text)


@pytest.mark.parametrize("rule, path, text", GOOD, ids=name)
def test_a_rule_lets_pass_what_is_right(rule, path, text):
    assert rule(path, text) == []


def test_every_rule_was_shown_to_find_something():
    assert {rule for rule, _, _ in BAD} == set(rules.RULES)


@pytest.mark.parametrize("rule", rules.RULES, ids=name)
def test_the_tree_obeys(rule):
    paths = tree.files()
    assert len(paths) > 20
    findings = [f"{path}:{finding}" for path in paths for finding in rule(path, tree.read(path))]
    assert not findings, "\n".join(["", *findings])
