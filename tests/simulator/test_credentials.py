"""The login service takes each kind of credential, and refuses as Entra does."""

import base64
import http.client
import json
import time
import urllib.parse

import pytest

TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


def ask(simulator, method, path, form=None, headers=None):
    """Status and JSON of an answer of the login or identity service."""
    connection = http.client.HTTPConnection("127.0.0.1", simulator.http_port, timeout=30)
    body = None if form is None else urllib.parse.urlencode(form)
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    connection.request(method, path, body, {**kind, **(headers or {})})
    answer = connection.getresponse()
    value = json.loads(answer.read())
    connection.close()
    return answer.status, value


def sign_in(simulator, **credential):
    form = {"grant_type": "client_credentials", "client_id": "app", **credential,
            "scope": "https://graph.microsoft.com/.default"}
    return ask(simulator, "POST", "/tenant/oauth2/v2.0/token", form)


def part(value):
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def assertion(simulator, header=None, **claims):
    now = int(time.time())
    good = {"aud": simulator.http_url + "/tenant/oauth2/v2.0/token", "iss": "app", "sub": "app",
            "jti": "1", "nbf": now, "exp": now + 600}
    header = header or {"alg": "PS256", "typ": "JWT", "x5t#S256": "mark"}
    return f"{part(header)}.{part({**good, **claims})}.c2ln"


def code(answer):
    status, value = answer
    return status, value["error"], value["error_codes"]


def test_a_secret_may_be_changed(simulator):
    simulator.expect_credentials(client_secret="new")
    assert code(sign_in(simulator, client_secret="old")) == (401, "invalid_client", [7000215])
    assert sign_in(simulator, client_secret="new")[0] == 200
    simulator.expect_credentials(client_secret=None)
    assert sign_in(simulator, client_secret="old")[0] == 200


def test_a_good_assertion_is_taken_and_noted(simulator):
    made = assertion(simulator)
    answer = sign_in(simulator, client_assertion_type=TYPE, client_assertion=made)
    assert answer[0] == 200
    (line,) = simulator.fetches()
    assert (line["credential"], line["assertion"]) == ("certificate", made)


WRONG = {
    "another audience": ({"aud": "https://other"}, 700023),
    "another issuer": ({"iss": "other"}, 700021),
    "another subject": ({"sub": "other"}, 700021),
    "no id": ({"jti": ""}, 700021),
    "its time is over": ({"nbf": 1, "exp": 2}, 700024),
    "good for too long": ({"exp": int(time.time()) + 90000}, 700024),
}


@pytest.mark.parametrize("claims, number", WRONG.values(), ids=WRONG)
def test_a_wrong_assertion_is_refused(simulator, claims, number):
    made = assertion(simulator, **claims)
    answer = sign_in(simulator, client_assertion_type=TYPE, client_assertion=made)
    assert code(answer) == (401, "invalid_client", [number])


def test_another_certificate_is_refused(simulator):
    simulator.expect_credentials(thumbprint="other")
    made = assertion(simulator)
    answer = sign_in(simulator, client_assertion_type=TYPE, client_assertion=made)
    assert code(answer) == (401, "invalid_client", [700027])


def test_an_assertion_needs_its_type(simulator):
    answer = sign_in(simulator, client_assertion=assertion(simulator))
    assert code(answer) == (401, "invalid_client", [50027])


def test_a_federated_token_is_compared(simulator):
    token = assertion(simulator, header={"alg": "RS256", "kid": "k"})
    simulator.expect_credentials(federated_token=token)
    good = sign_in(simulator, client_assertion_type=TYPE, client_assertion=token)
    assert good[0] == 200
    bad = sign_in(simulator, client_assertion_type=TYPE, client_assertion=token + "x")
    assert code(bad) == (401, "invalid_client", [70021])


IDENTITY = "/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https%3A%2F%2Fgraph"


def test_a_managed_identity_gets_numbers_as_texts(simulator):
    status, value = ask(simulator, "GET", IDENTITY, headers={"Metadata": "true"})
    assert (status, value["expires_in"], value["token_type"]) == (200, "3599", "Bearer")
    assert int(value["expires_on"]) - int(value["not_before"]) == 3599


@pytest.mark.parametrize(
    "path, headers",
    [(IDENTITY, {}), (IDENTITY, {"Metadata": "true", "X-Forwarded-For": "a"}),
     (IDENTITY.replace("2018", "1999"), {"Metadata": "true"}),
     (IDENTITY + "%2F.default", {"Metadata": "true"})],
    ids=["no header", "forwarded", "another version", "a scope"],
)
def test_a_request_that_others_may_have_caused_is_refused(simulator, path, headers):
    status, value = ask(simulator, "GET", path, headers=headers)
    assert (status, value["error"]) == (400, "invalid_request")
