"""The quickstart works on a Debian 12 that has nothing: no compiler, no Python, no git."""

import json
import pathlib
import subprocess

from debian import Buildah, root_file_system

ROOT = pathlib.Path(__file__).resolve().parents[2]


def tracked_copy(directory):
    """The tree as a clone would have it."""
    listing = ["git", "-C", ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listing, capture_output=True, check=True).stdout
    command = ["tar", "-C", ROOT, "--null", "-T", "-", "-c"]
    pack = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    unpack = subprocess.Popen(["tar", "-C", directory, "-x"], stdin=pack.stdout)
    pack.stdin.write(names)
    pack.stdin.close()
    assert (pack.wait(60), unpack.wait(60)) == (0, 0)


def test_the_quickstart_installs_what_it_needs(tmp_path):
    tree = tmp_path / "tree"
    tree.mkdir()
    tracked_copy(tree)
    buildah = Buildah(tmp_path / "buildah")
    buildah.image("localhost/debian:12", root_file_system([]))
    container = buildah("from", "--pull-never", "localhost/debian:12").stdout.strip()
    buildah("add", "--quiet", container, tree, "/tree")
    done = buildah.run(container, "/tree/deploy/quickstart", seconds=1500, check=False)
    assert done.returncode == 0, done.stderr[-5000:]
    replies = [json.loads(line) for line in done.stdout.splitlines()]
    assert [reply["status"] for reply in replies] == ["accepted"] * 5
