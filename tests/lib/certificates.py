"""Certificates with which an application signs in, made by openssl."""

import subprocess


def openssl(*arguments):
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


class Certificate:
    """Files in PEM, in a new directory: a certificate, its key, and both in one."""

    def __init__(self, directory, days=30, key=("rsa:2048",)):
        directory.mkdir()
        self.cert, self.key, self.both = (directory / name for name in ("crt", "key", "both"))
        request = directory / "request"
        openssl(
            *("req", "-newkey", *key, "-nodes", "-keyout", self.key, "-out", request),
            *("-subj", "/CN=invite-worker"),
        )
        openssl(
            *("x509", "-req", "-in", request, "-signkey", self.key, "-days", days),
            *("-out", self.cert),
        )
        self.both.write_text(self.key.read_text() + self.cert.read_text())
