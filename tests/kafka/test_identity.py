"""How the worker signs in: each kind of credential, one that is wrong, and one that changes."""

import os
import re
import time
import uuid

import jwt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from certificates import Certificate
from process import wait_until
from witness import by_id, command, sent_users
from worker import SECRET

RECOVERY = 5.0  # Seconds from a file's change to a token


def send(pipeline, *commands):
    for one in commands:
        pipeline.commands.send(one)
    pipeline.commands.flush()


def invite(pipeline, name):
    """The first command, accepted."""
    send(pipeline, command("call-" + name, "user-" + name, commandId=name))
    (reply,) = pipeline.replies.replies(1)
    assert reply["status"] == "accepted"


def sign_in(pipeline, **login):
    """A worker with this credential and no other."""
    worker = pipeline.worker(login=login)
    worker.env.pop(SECRET, None)
    return worker


@pytest.fixture(scope="module", name="certificates")
def make_certificates(tmp_path_factory):
    directory = tmp_path_factory.mktemp("certificates")
    return [Certificate(directory / name) for name in ("first", "second")]


def load(certificate):
    return x509.load_pem_x509_certificate(certificate.cert.read_bytes())


def thumbprint(certificate, kind):
    """As a JWT names a certificate, by an implementation that is not the worker's."""
    return jwt.utils.base64url_encode(load(certificate).fingerprint(kind)).decode()


def verified(pipeline, certificate, algorithm):
    """The claims of the newest assertion, whose signature an independent implementation checks."""
    line = pipeline.graph.fetches()[-1]
    assert (line["credential"], line["status"]) == ("certificate", 200)
    audience = f"{pipeline.graph.http_url}/contoso.example/oauth2/v2.0/token"
    claims = jwt.decode(
        line["assertion"], load(certificate).public_key(), algorithms=[algorithm],
        audience=audience, issuer="worker",
        options={"require": ["aud", "exp", "iat", "iss", "jti", "nbf", "sub"]},
    )
    assert claims["sub"] == "worker"
    assert claims["exp"] - claims["nbf"] <= 600
    uuid.UUID(claims["jti"])
    return claims, jwt.get_unverified_header(line["assertion"])


@pytest.mark.parametrize(
    "algorithm, name, kind",
    [("PS256", "x5t#S256", hashes.SHA256()), ("RS256", "x5t", hashes.SHA1())],
    ids=["PS256", "RS256"],
)
def test_a_certificate_signs_what_an_independent_implementation_verifies(
    pipeline, certificates, algorithm, name, kind
):
    mark, other = certificates
    files = {"certificate_file": str(mark.cert), "certificate_key_file": str(mark.key)}
    sign_in(pipeline, certificate_algorithm=algorithm, **files).start()
    claims, header = verified(pipeline, mark, algorithm)
    assert header == {"alg": algorithm, "typ": "JWT", name: thumbprint(mark, kind)}
    with pytest.raises(jwt.InvalidSignatureError):
        verified(pipeline, other, algorithm)
    pipeline.graph.revoke_tokens()
    invite(pipeline, "a")
    assert verified(pipeline, mark, algorithm)[0]["jti"] != claims["jti"]


def publish(directory, **files):
    """Exchange files as Kubernetes does: each is a link through ..data, which is replaced."""
    directory.mkdir(exist_ok=True)
    version = directory / f"..{uuid.uuid4()}"
    version.mkdir()
    for name, text in files.items():
        (version / name).write_text(text)
        link = directory / name
        if not link.is_symlink():
            link.symlink_to(f"..data/{name}")
    fresh = directory / "..data_tmp"
    fresh.symlink_to(version.name)
    os.replace(fresh, directory / "..data")


def seconds_until_token(pipeline, since):
    """From a moment on the monotonic clock to the arrival of the first good fetch after it."""
    lines = (line for line in pipeline.graph.fetches() if line["status"] == 200)
    return next(seconds for line in lines if (seconds := line["at_us"] / 1e6 - since) > 0)


def wait_until_degraded(worker, code):
    """It stays ready and alive, and says why it can do nothing."""
    wait_until(lambda: code in worker.get("/readyz")[1], 30, f"it is degraded by {code}")
    for page in ("/readyz", "/livez"):
        status, text = worker.get(page)
        assert status == 200
        assert re.match(rf"degraded: no access token for Graph: .* code={code}\n", text)


def test_a_new_certificate_is_found_within_seconds(pipeline, certificates, tmp_path):
    first, second = certificates
    mount = tmp_path / "mount"
    publish(mount, **{"tls.crt": first.cert.read_text(), "tls.key": first.key.read_text()})
    pipeline.graph.expect_credentials(thumbprint=thumbprint(first, hashes.SHA256()))
    files = {name: str(mount / file) for name, file in
             (("certificate_file", "tls.crt"), ("certificate_key_file", "tls.key"))}
    worker = sign_in(pipeline, **files).start()
    pipeline.graph.expect_credentials(thumbprint=thumbprint(second, hashes.SHA256()))
    pipeline.graph.revoke_tokens()
    send(pipeline, command("c", "u", commandId="waits"))
    wait_until_degraded(worker, "AADSTS700027")
    changed = time.monotonic()
    publish(mount, **{"tls.crt": second.cert.read_text(), "tls.key": second.key.read_text()})
    (reply,) = pipeline.replies.replies(1)
    assert reply["status"] == "accepted"
    verified(pipeline, second, "PS256")
    assert seconds_until_token(pipeline, changed) < RECOVERY


def test_a_wrong_secret_loses_nothing_and_a_right_one_is_found_within_seconds(pipeline, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("Wr0ng-and-not-to-be-seen\n")
    pipeline.graph.expect_credentials(client_secret="r1ght-and-not-to-be-seen")
    worker = sign_in(pipeline, client_secret_file=str(secret)).start(ready=False)
    send(pipeline, *(command(f"c-{n}", f"u-{n}", commandId=f"{n}") for n in range(20)))
    wait_until(lambda: "token.refused" in worker.log(), 30, "it says that it is refused")
    assert worker.get("/livez")[0] == 200
    status, why = worker.get("/readyz")
    assert status == 503
    assert "code=AADSTS7000215" in why or "group" in why
    (line, *_) = [line for line in worker.log().splitlines() if "token.refused" in line]
    assert " error token.refused " in line
    assert "error=invalid_client code=AADSTS7000215" in line
    assert "the client secret is wrong: use its value, not its id" in line
    assert worker.metrics()["invite_worker_tokens_missing"] == 1
    assert pipeline.graph.invites() == []
    changed = time.monotonic()
    secret.write_text("r1ght-and-not-to-be-seen\n")
    replies = by_id(pipeline.replies.replies(20))
    assert {reply["status"] for reply in replies.values()} == {"accepted"}
    assert sorted(sent_users(pipeline.graph.effects())) == sorted(f"u-{n}" for n in range(20))
    assert seconds_until_token(pipeline, changed) < RECOVERY
    assert worker.ready()
    assert worker.metrics()["invite_worker_tokens_missing"] == 0
    assert "not-to-be-seen" not in worker.log()


def test_a_worker_stays_ready_and_says_degraded_when_its_secret_ends(pipeline, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("old")
    pipeline.graph.expect_credentials(client_secret="old")
    worker = sign_in(pipeline, client_secret_file=str(secret)).start()
    invite(pipeline, "before")
    pipeline.graph.expect_credentials(client_secret="new")
    pipeline.graph.revoke_tokens()
    # A token that has worked is only given up when Graph has refused it twice in a row.
    send(pipeline, *(command(f"c-{n}", "u", commandId=f"{n}") for n in range(5)))
    wait_until_degraded(worker, "AADSTS7000215")
    changed = time.monotonic()
    secret.write_text("new")
    replies = by_id(pipeline.replies.replies(6))
    assert {reply["status"] for reply in replies.values()} == {"accepted"}
    assert seconds_until_token(pipeline, changed) < RECOVERY
    assert worker.get("/readyz") == (200, "ok\n")


def test_tokens_are_exchanged_during_load_and_no_command_notices(pipeline):
    pipeline.graph.set(token_lifetime_s=4)
    pipeline.worker(rate={"call": 100}).start()
    sent = 0
    while len([one for one in pipeline.graph.fetches() if one["status"] == 200]) < 5:
        send(pipeline, *(command(f"c-{n % 50}", f"u-{n}", commandId=f"{n}")
                         for n in range(sent, sent + 50)))
        sent += 50
        pipeline.replies.replies(sent)
    replies = by_id(pipeline.replies.json())
    assert len(replies) == sent
    assert {reply["status"] for reply in replies.values()} == {"accepted"}
    assert {one["status"] for one in pipeline.graph.invites()} == {200}
    assert sorted(sent_users(pipeline.graph.effects())) == sorted(f"u-{n}" for n in range(sent))


def test_a_workload_identity_needs_its_environment_alone(pipeline, tmp_path):
    token = tmp_path / "azure-identity-token"
    token.write_text("eyJh.eyJmaXJzdCI6MX0.c2ln")
    worker = sign_in(pipeline, tenant_id=None, client_id=None, url=None)
    worker.env.update(
        AZURE_FEDERATED_TOKEN_FILE=str(token), AZURE_TENANT_ID="contoso.example",
        AZURE_CLIENT_ID="worker", AZURE_AUTHORITY_HOST=pipeline.graph.http_url + "/",
    )
    worker.start()
    token.write_text("eyJh.eyJzZWNvbmQiOjF9.c2ln")
    pipeline.graph.expect_credentials(federated_token=token.read_text())
    pipeline.graph.revoke_tokens()
    invite(pipeline, "a")
    fetches = [(one["credential"], one["assertion"]) for one in pipeline.graph.fetches()]
    assert fetches[0] == ("federated-token", "eyJh.eyJmaXJzdCI6MX0.c2ln")
    assert fetches[-1] == ("federated-token", "eyJh.eyJzZWNvbmQiOjF9.c2ln")
    assert "eyJ" not in worker.log()


@pytest.mark.parametrize("client_id, whose", [(None, "system"), ("mine", "mine")])
def test_a_managed_identity_is_asked_for_on_the_machine(pipeline, client_id, whose):
    url = pipeline.graph.http_url + "/metadata/identity/oauth2/token"
    options = {"credential": "managed-identity", "identity_url": url, "client_id": client_id}
    # The machine is asked itself, whatever the proxy.
    sign_in(pipeline, **options, url="http://127.0.0.1:1").start()
    invite(pipeline, "a")
    (fetch,) = pipeline.graph.fetches()
    assert (fetch["credential"], fetch["method"]) == ("managed-identity", "GET")
    (sent,) = pipeline.graph.effects()
    assert sent["client"] == whose


def test_a_managed_identity_that_is_not_there_needs_a_person(pipeline):
    url = pipeline.graph.http_url + "/metadata/identity/oauth2/token"
    refusal = '{"error": "invalid_request", "error_description": "Identity not found"}'
    pipeline.graph.set_rules({"on": "token", "status": 400, "body": refusal})
    options = {"credential": "managed-identity", "identity_url": url}
    worker = sign_in(pipeline, **options).start(ready=False)
    wait_until(lambda: "token.refused" in worker.log(), 20, "it says that it is refused")
    assert "whether the machine has the identity" in worker.log()
