"""Errors of STS, and missing responses, are exceptions with a next step and without a secret."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Iterator
from functools import partial
from urllib.parse import quote_plus
from xml.sax.saxutils import escape

import pytest
from botocore.exceptions import NoCredentialsError, ProxyConnectionError
from fake_server import Answer, FakeServer, Reaction, document, fake_server, granted, refused, tells, told
from hypothesis import example, given, settings
from hypothesis import strategies as st

from stskit import Credentials, Role, SAMLAssertion, StskitError, WebIdentityToken
from stskit.credentials import Secret
from stskit.errors import ProofInvalid, STSError, STSUnavailable
from stskit.proofs import Proof
from stskit.sts import BotocoreSTS
from stskit.sts.refusals import CallDetails, translate, unavailable
from stskit.sts.remedies import ANY_5XX, ANY_OTHER, REMEDIES, remedy_for

ROLE = Role("arn:aws:iam::123456789012:role/R")
BASE = Credentials("AKIABASE", "base-secret-canary/+" + "s" * 20, "base-token-canary/+" + "t" * 200)
SAML = SAMLAssertion(Secret("c2FtbC1jYW5hcnk+" * 20), "arn:aws:iam::123456789012:saml-provider/idp")
WEB = WebIdentityToken(Secret("eyJhbGciOiJSUzI1NiJ9.canary-payload-0123456789abcdef.signature-0123456789abcdef"))
PROOFS: dict[str, Proof] = {"AssumeRole": BASE, "AssumeRoleWithSAML": SAML, "AssumeRoleWithWebIdentity": WEB}


@pytest.fixture
def once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Allow one attempt only."""
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")


def failure(reaction: Reaction, proof: Proof = BASE, role: Role = ROLE) -> tuple[StskitError, FakeServer]:
    with fake_server(reaction) as server, pytest.raises(StskitError) as caught:
        BotocoreSTS(endpoint_url=server.url, read_timeout=0.2).exchange(proof, role)
    return caught.value, server


def refusal(reaction: Reaction, proof: Proof = BASE) -> STSError:
    error, _ = failure(reaction, proof)
    assert isinstance(error, STSError)
    return error


def text_of(code: str, operation: str = "AssumeRole", message: str = "") -> str:
    return remedy_for(code, operation, message, 400).text


# Refusals --------------------------------------------------------------------------------------------------------


@pytest.mark.case("E8", "P18")
@pytest.mark.parametrize("operation", PROOFS)
@pytest.mark.parametrize(
    ("code", "next_step"),
    [
        ("AccessDenied", "trust policy"),
        ("ExpiredTokenException", "expired|too old"),
        ("IDPRejectedClaim", "Sign in again, and check that the user may use"),
        ("InvalidClientTokenId", "Check that the key is active"),
        ("InvalidIdentityToken", "in the account of the role"),
        ("MalformedPolicyDocument", "must be an IAM policy in JSON"),
        ("PackedPolicyTooLarge", "Pass a shorter policy"),
        ("RegionDisabledException", "Activate STS for this region"),
        ("RequestExpired", "Set the clock"),
        ("SignatureDoesNotMatch", "Check the secret access key"),
        ("ValidationError", "role chaining"),
        ("SomethingNew", "Look up the code"),
    ],
)
def test_an_error_of_sts_is_not_retried(code: str, next_step: str, operation: str) -> None:
    """An error of STS has the code, the operation, the role and the next step, after one request."""
    error, server = failure(refused(code, "What STS says."), PROOFS[operation])
    assert isinstance(error, STSError)
    plain = code.removesuffix("Exception")
    assert len(server.requests) == error.attempts == 1
    assert (error.code, error.http_status, error.operation, error.role_arn) == (plain, 400, operation, ROLE.arn)
    assert (error.region, error.endpoint, error.request_id) == ("us-east-1", server.url, "request-1")
    assert re.search(next_step, error.remedy)
    assert not error.retryable
    assert (
        str(error) == f"{operation} for {ROLE.arn}: STS refused the request with {plain}: What STS says. {error.remedy}"
    )


def test_the_remedy_for_access_denied_depends_on_the_operation() -> None:
    """The remedy for AccessDenied depends on the operation."""
    remedies = [refusal(refused("AccessDenied"), proof).remedy for proof in PROOFS.values()]
    words = ["external ID", "SAML provider", "(aud)"]
    assert [[word in remedy for word in words] for remedy in remedies] == [
        [True, False, False],
        [False, True, False],
        [False, False, True],
    ]


@pytest.mark.case("P4")
def test_each_remedy_is_a_sentence() -> None:
    """Each remedy is a sentence."""
    texts = [row.text for row in (*REMEDIES, ANY_5XX, ANY_OTHER)]
    assert all(text[0].isupper() and text.endswith(".") and "  " not in text for text in texts)


@pytest.mark.parametrize(
    ("status", "next_step", "retryable"),
    [
        (400, text_of("ValidationError"), False),
        (403, text_of("AccessDenied"), False),
        (429, text_of("Throttling"), True),
        (418, ANY_OTHER.text, False),
        (503, ANY_5XX.text, True),
    ],
)
@pytest.mark.parametrize("body", ["<ErrorResponse/>", refused(None, "").body, refused("", "").body])
def test_without_a_code_the_http_status_decides(
    body: str, status: int, next_step: str, retryable: bool, once: None
) -> None:
    """If a response has no code, the HTTP status decides."""
    error = refusal(Answer(body, status))
    assert (error.code, error.http_status, error.retryable) == (None, status, retryable)
    assert error.remedy.startswith(next_step)
    assert f"STS refused the request with HTTP status {status}. " in str(error)


@pytest.mark.parametrize("body", ["", "<html>Oops</html>"])
def test_a_page_of_a_gateway_has_no_code(body: str, once: None) -> None:
    """A page of a gateway has no error code."""
    error = refusal(Answer(body, 502))
    assert (error.code, error.http_status, error.retryable) == (None, 502, True)
    assert str(error).endswith(f"STS refused the request with HTTP status 502: Bad Gateway. {ANY_5XX.text}")


def test_an_error_without_its_envelope_is_understood() -> None:
    """An error without its envelope, as SeaweedFS sends it, is understood."""
    body = "<Error><Code>SignatureDoesNotMatch</Code><Message>No</Message><RequestId>r</RequestId></Error>"
    error = refusal(Answer(body, 403))
    assert (error.code, error.http_status, error.request_id) == ("SignatureDoesNotMatch", 403, "r")
    assert error.remedy == text_of("SignatureDoesNotMatch")


@pytest.mark.case("E7", "P114")
@pytest.mark.parametrize(
    ("reaction", "error_type", "retryable"),
    [
        (refused("Throttling"), STSError, True),
        (refused("IDPCommunicationError"), STSError, True),
        (refused("ServiceUnavailable", status=503), STSError, True),
        (Answer("", 503), STSError, True),
        ("reset", STSUnavailable, True),
        ("hang", STSUnavailable, True),
    ],
    ids=["Throttling", "IDPCommunicationError", "ServiceUnavailable", "503", "reset", "hang"],
)
def test_temporary_errors_are_tried_three_times(
    reaction: Reaction, error_type: type[StskitError], retryable: bool
) -> None:
    """Errors that may pass are tried three times, and are retryable."""
    error, server = failure(reaction, WEB)
    assert len(server.requests) == 3
    assert isinstance(error, error_type)
    assert isinstance(error, STSError | STSUnavailable)
    assert error.retryable == retryable
    if isinstance(error, STSError):
        assert error.attempts == 3


def test_a_successful_retry_returns_the_credentials() -> None:
    """A call that succeeds after a throttled attempt returns the credentials."""
    with fake_server(refused("IDPCommunicationError"), granted) as server:
        given = BotocoreSTS(endpoint_url=server.url).exchange(BASE, ROLE)
    assert given.access_key_id.startswith("AKIABASE")
    assert len(server.requests) == 2


# No usable answer ------------------------------------------------------------------------------------------------


@pytest.mark.case("E9")
@pytest.mark.parametrize(
    ("reaction", "kind"),
    [
        ("hang", "timeout"),
        ("reset", "connection"),
        (Answer("<html>Sign in</html>"), "answer"),
        (Answer("<!DOCTYPE html><html><body/></html>"), "answer"),
        (Answer('{"Credentials": {}}'), "answer"),
        (Answer(""), "answer"),
        (Answer("", 400), "answer"),
        (Answer("<AssumeRoleResponse><Assume"), "answer"),
        (Answer(document("AssumeRole", "")), "answer"),
        (Answer(document("GetSessionToken", "<Credentials/>")), "answer"),
        (Answer("<ErrorResponse><Error>text</Error></ErrorResponse>", 400), "answer"),
        (Answer("<ErrorResponse><Error><Code>A</Code><Code>B</Code></Error></ErrorResponse>", 400), "answer"),
    ],
)
def test_each_invalid_response_is_an_error_with_its_kind(reaction: Reaction, kind: str, once: None) -> None:
    """Each invalid response is an STSUnavailable with its kind."""
    error, server = failure(reaction)
    assert isinstance(error, STSUnavailable)
    assert (error.kind, error.retryable) == (kind, True)
    assert (error.operation, error.role_arn, error.region) == ("AssumeRole", ROLE.arn, "us-east-1")
    assert error.endpoint == server.url
    assert f"STS at {server.url} " in str(error)
    assert str(error).endswith(error.remedy)
    assert len(server.requests) == 1


@pytest.mark.case("E12", "E13", "P58")
@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"SessionToken": None}, "no session token"),
        ({"SessionToken": ""}, "no session token"),
        ({"Expiration": None}, "no expiration"),
        ({"AccessKeyId": None}, "AccessKeyId"),
        ({"SecretAccessKey": ""}, "SecretAccessKey"),
        ({"Expiration": "2036-11-25T12:00:00"}, "not a valid ISO 8601 date"),
        ({"Expiration": "9999-12-31T23:59:59Z"}, "would never expire"),
        ({"Expiration": "Nov"}, "not a valid ISO 8601 date"),
        ({"Expiration": "12"}, "not a valid ISO 8601 date"),
        ({"Expiration": "Wed, 25 Nov 2036 12:00:00 EST"}, "not a valid ISO 8601 date"),
        ({"Expiration": "2020-01-01T00:00:00Z"}, "have expired. Check the clock"),
    ],
)
def test_incomplete_credentials_in_a_response_are_an_error(changes: dict[str, str | None], reason: str) -> None:
    """Incomplete credentials in a response are an error."""
    error, _ = failure(lambda request: granted(request, **changes))
    assert isinstance(error, STSUnavailable)
    assert error.kind == "answer"
    assert reason in str(error)


def test_an_incomplete_identity_in_a_response_is_an_error() -> None:
    """An incomplete identity in a response is an error."""
    nameless = partial(granted, Account=None)
    with (
        fake_server(nameless) as server,
        pytest.raises(STSUnavailable, match="the response does not contain account") as caught,
    ):
        BotocoreSTS(endpoint_url=server.url).caller_identity(BASE)
    assert str(caught.value).startswith(f"GetCallerIdentity: STS at {server.url} returned an invalid response (")
    assert (caught.value.kind, caught.value.role_arn) == ("answer", None)


@pytest.mark.case("E9")
def test_a_response_that_is_cut_is_an_error(once: None) -> None:
    """A response that is cut is an error."""
    error, _ = failure(Answer("<AssumeRoleResponse>", length=100))
    assert isinstance(error, STSUnavailable)
    assert error.kind in ("answer", "connection")
    assert error.retryable


@pytest.mark.case("E11")
def test_a_redirect_is_not_followed() -> None:
    """A redirect is not followed, because the request contains the proof."""
    with fake_server(granted) as elsewhere:
        error, server = failure(Answer("", 307, {"Location": elsewhere.url}), WEB)
    assert isinstance(error, STSUnavailable)
    assert error.kind == "answer"
    assert (len(server.requests), len(elsewhere.requests)) == (1, 0)


@pytest.mark.case("E9")
def test_a_port_without_a_server_is_a_connection_error(once: None) -> None:
    """A port without a server is a connection error."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(STSUnavailable, match="could not be reached") as caught:
        BotocoreSTS(endpoint_url=f"http://127.0.0.1:{port}").exchange(WEB, ROLE)
    assert (caught.value.kind, caught.value.retryable) == ("connection", True)


def test_a_missing_proxy_is_a_connection_error(once: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing proxy is a connection error without its password."""
    monkeypatch.setenv("HTTP_PROXY", "http://user:proxy-password-canary@127.0.0.1:9")
    with pytest.raises(STSUnavailable, match=ProxyConnectionError.__name__) as caught:
        BotocoreSTS(endpoint_url="http://sts.example", allow_http=True).exchange(WEB, ROLE)
    assert caught.value.kind == "connection"
    assert "password-canary" not in told(caught.value)


@pytest.mark.case("E9")
def test_tls_to_a_port_without_tls_is_a_tls_error(once: None) -> None:
    """TLS to a port without TLS is an error of the kind tls."""
    with fake_server(granted) as server, pytest.raises(STSUnavailable, match="TLS") as caught:
        BotocoreSTS(endpoint_url=server.url.replace("http:", "https:")).exchange(WEB, ROLE)
    assert (caught.value.kind, caught.value.retryable) == ("tls", False)
    assert server.requests == []


@pytest.mark.parametrize(
    ("settings_", "environment"),
    [
        (BotocoreSTS("no region"), {}),
        (BotocoreSTS(read_timeout=-1, endpoint_url="http://127.0.0.1:9"), {}),
        (BotocoreSTS(), {"AWS_PROFILE": "nobody"}),
    ],
)
def test_invalid_settings_are_a_setup_error(
    settings_: BotocoreSTS, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Settings that cannot work are an error of the kind setup, before anything is sent."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(STSUnavailable, match="could not be called .*AWS_PROFILE and the AWS config file") as caught:
        settings_.exchange(BASE, ROLE)
    assert (caught.value.kind, caught.value.retryable) == ("setup", False)


@pytest.mark.parametrize(
    "proof",
    [
        WebIdentityToken(Secret("abc")),
        WebIdentityToken(Secret("canary-\ud800")),
        SAMLAssertion(Secret("abc"), "arn:aws:iam::123456789012:saml-provider/idp"),
    ],
)
def test_a_proof_that_botocore_refuses_is_a_proof_invalid(proof: Proof) -> None:
    """A proof that botocore refuses to send is a ProofInvalid."""
    with (
        fake_server(granted) as server,
        pytest.raises(ProofInvalid, match="nothing was sent, because botocore rejected the proof") as caught,
    ):
        BotocoreSTS(endpoint_url=server.url).exchange(proof, ROLE)
    assert server.requests == []
    assert "canary" not in told(caught.value)


def test_the_kind_of_an_unknown_error_depends_on_its_time() -> None:
    """An unknown error before the client exists is of the kind setup, and later of the kind answer."""
    call = CallDetails("AssumeRole")
    later = CallDetails("AssumeRole", has_client=True)
    errors = translate(KeyError(), call), translate(KeyError(), later), translate(NoCredentialsError(), later)
    assert {type(error) for error in errors} == {STSUnavailable}
    assert [getattr(error, "kind", None) for error in errors] == ["setup", "answer", "setup"]
    assert str(unavailable("timeout", "x", call)).startswith("AssumeRole: STS did not respond in time (x). ")


# Secrets ---------------------------------------------------------------------------------------------------------


def secrets_of(proof: Proof) -> tuple[str, ...]:
    if isinstance(proof, Credentials):
        return proof.secret_access_key, proof.session_token or ""
    return (proof.value,)


@pytest.mark.case("H6", "H2", "P42")
@pytest.mark.parametrize("operation", PROOFS)
@pytest.mark.parametrize(
    "reaction",
    [
        lambda request: refused("ValidationError", f"I got {request.body}"),
        lambda request: refused("ValidationError", str(request.headers)),
        lambda request: refused(request.body, "m"),
        lambda request: Answer(escape(request.body), 400),
        lambda request: Answer(f"<{request.body}"),
        lambda request: Answer(document("AssumeRole", escape(request.body))),
        "reset",
        "hang",
    ],
    ids=["body", "headers", "code", "text", "tag", "result", "reset", "hang"],
)
def test_no_error_contains_a_secret(operation: str, reaction: Reaction, once: None) -> None:
    """No error contains a secret, even if the server repeats it."""
    role = Role(ROLE.arn, external_id="external-id-canary") if operation == "AssumeRole" else ROLE
    error, _ = failure(reaction, PROOFS[operation], role)
    assert error.__cause__ is None
    assert error.__context__ is None
    secrets = *secrets_of(PROOFS[operation]), "external-id-canary"
    assert not any(tells(told(error), secret) for secret in secrets)


TEXTS = st.text(st.characters(codec="ascii", exclude_categories=["Cc"]))
TOKENS = st.text("abcdefghijklmnopqrstuvwxyz0123456789+/=-_.", min_size=4, max_size=400)


def answer_of(code: str, message: str, request_id: str) -> Exception:
    from botocore.exceptions import ClientError

    metadata = {"RequestId": request_id, "HTTPStatusCode": 400}
    response = {"Error": {"Code": code, "Message": message}, "ResponseMetadata": metadata}
    return ClientError(response, "AssumeRole")  # type: ignore[arg-type]


@given(TOKENS, TEXTS, TEXTS, st.sampled_from(["whole", "encoded"]))
@example("abcd", "", "", "whole")
def test_a_secret_is_removed_from_the_texts_of_a_server(secret: str, before: str, after: str, form: str) -> None:
    """A secret is removed from the code, the message and the request ID of a server."""
    quoted = f"{before} {quote_plus(secret) if form == 'encoded' and len(secret) > 200 else secret} {after}"
    call = CallDetails("AssumeRole", secrets=(Secret(secret),))
    error = translate(answer_of(quoted, quoted, quoted), call)
    assert isinstance(error, STSError)
    for text in (error.code or "", str(error).removesuffix(error.remedy), error.request_id or ""):
        assert secret not in text.removeprefix("AssumeRole: STS refused the request with ")


@given(st.integers(0, 300), st.integers(40, 300))
def test_a_part_of_a_secret_is_removed_too(start: int, length: int) -> None:
    """A part of a secret is removed too."""
    token = Secret("".join(f"{number:03x}" for number in range(200, 400)))
    call = CallDetails("AssumeRole", None, None, None, (token,))
    part = str(token)[start : start + length]
    error = translate(answer_of("X", f"token '{part}...' is bad", "r"), call)
    assert str(error).startswith("AssumeRole: STS refused the request with X: token '***' is bad.")


def test_the_longer_secret_is_removed_first() -> None:
    """If one secret contains another, the longer one is removed first."""
    call = CallDetails("AssumeRole", secrets=(Secret("abc"), Secret("12abc34"), Secret("abc34")))
    assert "X: *** and ***. " in str(translate(answer_of("X", "12abc34 and abc", "r"), call))


def test_arns_and_long_words_stay() -> None:
    """ARNs and other long words stay in a message."""
    message = "User: arn:aws:sts::123456789012:assumed-role/a-long-role-name-for-a-team/and-a-long-session is not known"
    call = CallDetails("AssumeRole", secrets=(Secret("t" * 400),))
    assert message in str(translate(answer_of("X", message, "0123456789abcdef-0123-4567-89ab"), call))


BODIES = st.recursive(
    st.text("ab&;", max_size=5),
    lambda inner: st.lists(
        st.builds(
            lambda tag, body: f"<{tag}>{body}</{tag}>",
            st.sampled_from(["ErrorResponse", "Error", "Errors", "Code", "Message", "RequestId", "ResponseMetadata"]),
            inner,
        ),
        max_size=3,
    ).map("".join),
    max_leaves=8,
)


@pytest.fixture(scope="module")
def changing() -> Iterator[Callable[[Answer], BotocoreSTS]]:
    """An STS whose response can be changed."""
    answers: list[Answer] = []
    with fake_server(lambda _: answers[-1]) as server:

        def answering(answer: Answer) -> BotocoreSTS:
            answers.append(answer)
            return BotocoreSTS(endpoint_url=server.url)

        yield answering


@settings(max_examples=60)
@given(BODIES, st.sampled_from([200, 304, 400, 403]))
@example("<ErrorResponse><Error><Code/><Message><b/></Message></Error><RequestId><a/></RequestId></ErrorResponse>", 400)
@example("<ErrorResponse><ResponseMetadata>x</ResponseMetadata></ErrorResponse>", 400)
def test_any_xml_is_credentials_or_an_error_of_stskit(
    changing: Callable[[Answer], BotocoreSTS], body: str, status: int
) -> None:
    """Any XML of a server results in credentials or an error of stskit."""
    with pytest.raises((STSError, STSUnavailable)) as caught:
        changing(Answer(body, status)).exchange(BASE, ROLE)
    assert caught.value.__context__ is None


def test_a_message_of_a_megabyte_is_shortened() -> None:
    """A message of a megabyte is shortened."""
    token = "aB" * 40_000
    message = ("aBaBaBaBaBaBaBaBx " * 60_000)[:900_000]
    with fake_server(refused("Whatever", message, status=400)) as server, pytest.raises(STSError) as caught:
        BotocoreSTS(endpoint_url=server.url).exchange(WebIdentityToken(token), ROLE)
    assert len(str(caught.value)) < 30_000
