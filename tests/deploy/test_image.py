"""The image is built by buildah without network, and holds what the worker needs and no more.

Its two bases are Debian 12 with just the packages that deploy/install-packages lists for each
stage: what is not listed is missing, and then the build or the worker fails.
"""

import json
import pathlib

import pytest

from debian import Buildah, packages_of, root_file_system

ROOT = pathlib.Path(__file__).resolve().parents[2]
NAME = "localhost/invite-worker:test"


@pytest.fixture(scope="module")
def buildah(tmp_path_factory):
    return Buildah(tmp_path_factory.mktemp("buildah"))


@pytest.fixture(scope="module")
def image(buildah):
    """The name of the image, once it is built."""
    arguments = []
    for argument, part in (("BUILD_BASE", "build"), ("BASE", "runtime")):
        base = f"localhost/debian-{part}:12"
        buildah.image(base, root_file_system(packages_of(part)))
        arguments += ["--build-arg", f"{argument}={base}"]
    buildah(
        *("build", "--isolation", "chroot", "--pull-never", "--format", "docker"),
        *("--tag", NAME, "--file", ROOT / "deploy" / "Dockerfile", *arguments, ROOT),
    )
    return NAME


@pytest.fixture(scope="module")
def container(buildah, image):
    return buildah("from", "--pull-never", image).stdout.strip()


def test_the_worker_runs_with_the_runtime_packages_alone(buildah, container):
    said = buildah.run(container, "/usr/bin/invite-worker", "--version").stdout
    assert said.strip()


def test_a_wrong_configuration_is_reported_and_ends_with_78(buildah, container):
    command = ["/bin/sh", "-c", "echo 'bach: 1' >/tmp/c; invite-worker check -c /tmp/c; echo $?"]
    said = buildah.run(container, *command)
    assert said.stdout.splitlines()[-1] == "78", said.stdout + said.stderr


def test_it_runs_as_a_user_without_rights(buildah, container):
    assert buildah.run(container, "id", "-u").stdout.strip() == "10001"
    refused = buildah.run(container, "touch", "/usr/bin/x", check=False)
    assert refused.returncode != 0


def test_no_compiler_and_no_source_are_in_it(buildah, container):
    for path in ("/usr/bin/gcc", "/usr/bin/cmake", "/source", "/usr/local/sbin/install-packages"):
        assert buildah.run(container, "test", "!", "-e", path, check=False).returncode == 0, path


def test_it_starts_the_worker_with_its_usual_configuration(buildah, image):
    described = json.loads(buildah("inspect", "--type", "image", image).stdout)
    config = described["OCIv1"]["config"]
    assert config["Entrypoint"] == ["/usr/bin/invite-worker"]
    assert config["Cmd"] == ["run", "-c", "/etc/invite-worker/invite-worker.yaml"]
    assert config["User"] == "10001:10001"
