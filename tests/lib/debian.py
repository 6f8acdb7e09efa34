"""Root file systems of a bare Debian 12 with some packages, made by debootstrap and cached."""

import hashlib
import os
import pathlib
import shutil
import subprocess
import tempfile

import pytest

import cache
from summary import IMPOSSIBLE

ROOT = pathlib.Path(__file__).resolve().parents[2]


def packages_of(part):
    """What deploy/install-packages would install for this part."""
    command = [ROOT / "deploy" / "install-packages", "--list", part]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()


def run(*command, seconds=600, check=True):
    options = {"stdin": subprocess.DEVNULL, "capture_output": True, "text": True}
    done = subprocess.run([*map(str, command)], timeout=seconds, check=False, **options)
    assert not check or done.returncode == 0, f"{command}:\n{done.stdout}{done.stderr}"
    return done


def root_file_system(packages):
    """A tar archive of Debian 12 with these packages and what they need."""
    if os.geteuid() != 0:
        pytest.skip(f"{IMPOSSIBLE}debootstrap and buildah's chroot isolation need root")
    digest = hashlib.sha256(" ".join(sorted(packages)).encode()).hexdigest()[:12]

    def make(archive):
        with tempfile.TemporaryDirectory(prefix="debian-") as directory:
            root = pathlib.Path(directory) / "root"
            include = ["--include", ",".join(packages)] if packages else []
            run("debootstrap", "--variant=minbase", *include, "bookworm", root)
            shutil.rmtree(root / "var" / "cache" / "apt" / "archives")
            run("tar", "-C", root, "--one-file-system", "-cf", archive, ".")

    return cache.made_once(f"debian-12-{digest}.tar", make)


class Buildah:
    """buildah with a store of its own, without daemon, network isolation or registry."""

    def __init__(self, directory):
        self.directory = pathlib.Path(directory)
        store, state = self.directory / "store", self.directory / "run"
        self.options = ["--storage-driver", "vfs", "--root", store, "--runroot", state]

    def __call__(self, *command, **options):
        return run("buildah", *self.options, *command, **options)

    def image(self, name, archive):
        """An image whose only layer is this root file system."""
        container = self("from", "scratch").stdout.strip()
        self("add", "--quiet", container, archive, "/")
        self("commit", "--quiet", "--rm", container, name)

    def run(self, container, *command, **options):
        return self("run", "--isolation", "chroot", container, "--", *command, **options)
