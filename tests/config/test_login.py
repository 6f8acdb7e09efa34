"""How the application signs in: what is given, what follows from it, and what does not fit."""

import pytest

from certificates import Certificate, openssl
from program import KAFKA, MISTAKES

IDS = "tenant_id: t.example, client_id: app"
NO_CHINA = "Microsoft Graph in China (21Vianet) has no API that invites participants"


def login(options, rest=""):
    return f"login: {{{options}}}\n{KAFKA}{rest}"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    return Certificate(tmp_path_factory.mktemp("certificate") / "good")


def accepted(result):
    assert (result.returncode, result.stderr) == (0, "")


def refused(file, result):
    assert result.returncode == MISTAKES
    (line,) = file.problems(result)
    return line


def test_a_certificate_with_its_key_in_one_file_is_taken(file, certificate):
    accepted(file.check(login(f"{IDS}, certificate_file: {certificate.both}")))


def test_a_certificate_and_its_key_may_be_two_files(file, certificate):
    files = f"certificate_file: {certificate.cert}, certificate_key_file: {certificate.key}"
    accepted(file.check(login(f"{IDS}, {files}, certificate_algorithm: RS256")))


def test_a_certificate_may_come_from_the_environment(file, certificate):
    env = {"INVITE_WORKER_LOGIN_CERTIFICATE": certificate.both.read_text()}
    accepted(file.check(login(IDS), env))


def test_a_certificate_without_its_key_is_refused(file, certificate):
    line = refused(file, file.check(login(f"{IDS}, certificate_file: {certificate.cert}")))
    assert line.endswith("login.certificate: contains no private key in PEM")


def test_the_key_of_another_certificate_is_refused(file, certificate, tmp_path):
    other = Certificate(tmp_path / "other")
    files = f"certificate_file: {certificate.cert}, certificate_key_file: {other.key}"
    line = refused(file, file.check(login(f"{IDS}, {files}")))
    assert line.endswith("login.certificate: the private key is not that of the certificate")


def test_a_key_of_another_kind_is_refused(file, tmp_path):
    curve = ("ec", "-pkeyopt", "ec_paramgen_curve:prime256v1")
    both = Certificate(tmp_path / "ec", key=curve).both
    line = refused(file, file.check(login(f"{IDS}, certificate_file: {both}")))
    assert line.endswith("login.certificate: the private key is no RSA key")


def test_an_encrypted_key_is_refused_and_no_password_is_asked_for(file, certificate, tmp_path):
    locked = tmp_path / "locked"
    openssl("rsa", "-in", certificate.key, "-aes128", "-passout", "pass:abcd", "-out", locked)
    files = f"certificate_file: {certificate.cert}, certificate_key_file: {locked}"
    line = refused(file, file.check(login(f"{IDS}, {files}")))
    assert line.endswith("the private key is encrypted, which is not supported")


def test_a_certificate_that_has_expired_gives_a_warning(file, tmp_path):
    both = Certificate(tmp_path / "old", days=-1).both
    result = file.check(login(f"{IDS}, certificate_file: {both}"))
    (line,) = file.problems(result)
    assert "warning: login.certificate: is valid from " in line
    assert result.returncode == 0


def test_two_credentials_are_a_conflict(file, certificate):
    both = f"client_secret_file: {file.secret}, certificate_file: {certificate.both}"
    line = refused(file, file.check(login(f"{IDS}, {both}")))
    assert "login: there are two credentials, a client-secret and a certificate" in line
    assert "login.credential" in line


def test_of_two_credentials_one_can_be_chosen(file, certificate):
    both = f"client_secret_file: {file.secret}, certificate_file: {certificate.both}"
    result = file.check(login(f"{IDS}, {both}, credential: certificate"))
    (line,) = file.problems(result)
    assert "warning: login.client_secret: is not used" in line
    assert result.returncode == 0


def test_a_credential_that_is_chosen_must_be_given(file):
    both = f"client_secret_file: {file.secret}, credential: certificate"
    lines = file.problems(file.check(login(f"{IDS}, {both}")))
    expected = "login.credential: is certificate, but login.certificate is not given"
    assert any(line.endswith(expected) for line in lines)


def test_a_key_without_a_certificate_is_not_used(file, certificate):
    both = f"client_secret_file: {file.secret}, certificate_key_file: {certificate.key}"
    result = file.check(login(f"{IDS}, {both}"))
    assert "login.certificate_key: is not used: there is no login.certificate" in result.stderr
    assert result.returncode == 0


def azure(file, **more):
    return {
        "AZURE_FEDERATED_TOKEN_FILE": str(file.secret),
        "AZURE_TENANT_ID": "t.example",
        "AZURE_CLIENT_ID": "app",
        "AZURE_AUTHORITY_HOST": "https://login.microsoftonline.com/",
        **more,
    }


def test_a_workload_finds_all_that_it_needs_in_its_environment(file):
    accepted(file.check(KAFKA, azure(file)))


def test_a_workload_without_its_token_is_told_so(file):
    env = azure(file, AZURE_FEDERATED_TOKEN_FILE="/nowhere")
    result = file.check(KAFKA, env)
    assert result.returncode == MISTAKES
    assert result.stderr == (
        "AZURE_FEDERATED_TOKEN_FILE: login.federated_token: the file that it names cannot be "
        "read: No such file or directory\n"
    )


def test_what_azure_says_in_the_environment_is_checked(file):
    result = file.check(KAFKA, azure(file, AZURE_AUTHORITY_HOST="login.example"))
    assert "AZURE_AUTHORITY_HOST: login.url: expected a URL" in result.stderr


def test_a_credential_of_ours_wins_over_the_environment_of_a_workload(file):
    result = file.check(login(f"client_secret_file: {file.secret}"), azure(file))
    assert "login.tenant_id: is required" in result.stderr


def test_a_federated_token_may_come_from_a_file_of_its_own(file):
    accepted(file.check(login(f"{IDS}, federated_token_file: {file.secret}")))


@pytest.mark.parametrize("token", ["eyJh.e.s\n\n", "eyJh e", "eyJ\u00e4"])
def test_a_federated_token_that_cannot_be_sent_is_refused(file, token):
    file.secret.write_text(token, encoding="utf-8")
    line = refused(file, file.check(login(f"{IDS}, federated_token_file: {file.secret}")))
    assert line.endswith(
        "login.federated_token: contains a space, a newline or something else that is not plain "
        "ASCII"
    )


def test_a_federated_token_that_is_not_used_is_not_checked(file):
    file.secret.write_text("a b")
    text = f"{IDS}, credential: managed-identity, federated_token_file: {file.secret}"
    result = file.check(login(text))
    assert "login.federated_token: is not used" in result.stderr
    assert result.returncode == 0


def test_a_managed_identity_needs_no_client_id(file):
    accepted(file.check(login("tenant_id: t.example, credential: managed-identity")))
    accepted(file.check(login(f"{IDS}, credential: managed-identity")))


def test_a_managed_identity_has_no_other_tenants(file):
    text = "tenant_id: t.example, credential: managed-identity, other_tenants: [o.example]"
    line = refused(file, file.check(login(text)))
    assert line.endswith("login.other_tenants: cannot be: a managed identity belongs to one tenant")


@pytest.mark.parametrize("cloud", ["global", "usgov-l4", "usgov-dod"])
def test_each_cloud_is_known(file, cloud):
    accepted(file.complete(f"graph: {{cloud: {cloud}}}\n"))


def test_china_is_refused_with_the_reason(file):
    line = refused(file, file.complete("graph: {cloud: china}\n"))
    assert line == f"1:16: graph.cloud: {NO_CHINA}"


def test_hosts_in_china_are_refused_with_the_reason(file):
    url = "https://microsoftgraph.chinacloudapi.cn/v1.0"
    line = refused(file, file.complete(f"graph: {{url: '{url}'}}\n"))
    assert line == f"1:14: graph.url: {NO_CHINA}"
    url = "https://login.partner.microsoftonline.cn"
    secret = f"client_secret_file: {file.secret}"
    line = refused(file, file.check(login(f"{IDS}, {secret}, url: '{url}'")))
    assert line.endswith(f"login.url: {NO_CHINA}")


def test_graph_and_login_service_of_different_clouds_give_a_warning(file):
    result = file.complete("graph: {url: 'https://graph.microsoft.us/v1.0'}\n")
    (line,) = file.problems(result)
    assert "warning: graph.url: login.url is not that of Graph's cloud" in line
    assert "better set graph.cloud: usgov-l4" in line
    assert result.returncode == 0


def test_graph_and_login_service_of_one_cloud_may_be_given(file):
    text = login(
        f"{IDS}, client_secret_file: {file.secret}, url: 'https://login.microsoftonline.us'",
        "graph: {url: 'https://dod-graph.microsoft.us/v1.0'}\n",
    )
    accepted(file.check(text))
