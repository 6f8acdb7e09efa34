"""The generated files of config/, and their regeneration: reference.py (with WORKER_BIN set)."""

import re

from program import ROOT, run

CONFIG = ROOT / "config"
WHOLE_FILES = {"example": "invite-worker.yaml", "schema": "invite-worker.schema.json"}
PARTS_OF_README = ("options", "metrics", "replies", "answers")


def generated(topic):
    result = run("help", topic)
    assert result.returncode == 0, result.stderr
    return result.stdout


def part(topic):
    """The pattern of a part of README.md: what stands between its two markers."""
    begin = f"<!-- begin: invite-worker help {topic} -->\n\n"
    end = f"\n<!-- end: {topic} -->\n"
    return re.compile(f"({re.escape(begin)})(.*?)({re.escape(end)})", re.S)


def regenerate():
    for topic, name in WHOLE_FILES.items():
        (CONFIG / name).write_text(generated(topic))
    readme = CONFIG / "README.md"
    text = readme.read_text()
    for topic in PARTS_OF_README:
        content = generated(topic)
        text, count = part(topic).subn(lambda m, c=content: m[1] + c + m[3], text)
        assert count == 1, topic
    readme.write_text(text)


if __name__ == "__main__":
    regenerate()
