"""Assertion contents that STS of AWS always refuses are reported before the call. Other servers have other rules."""

from __future__ import annotations

from pathlib import Path

import pytest
from fake_server import fake_server, granted
from helpers import START
from saml_samples import AWS, NAMED, OTHER, PAIR, PROVIDER, ROLE, encoded, response

from stskit import Role, SAMLAssertion, assume
from stskit._cli.doctor.examine import examine
from stskit.errors import ProofInvalid, RoleError, RoleNotOffered
from stskit.sources import Static
from stskit.sts import BotocoreSTS
from stskit.sts.requests import is_aws_endpoint
from stskit.testing import ManualClock

BAD = [
    (
        {"Role": [PAIR]},
        r"has no session name\. AWS reads the attribute .*/RoleSessionName, but the assertion has '.*/Role'",
    ),
    (NAMED | {"RoleSessionName": ["a b"]}, "RoleSessionName of the SAML assertion is 'a b', but STS allows"),
    (NAMED | {"RoleSessionName": ["x"]}, "RoleSessionName"),
    (NAMED | {"RoleSessionName": ["é" * 9]}, "RoleSessionName"),
    (NAMED | {"RoleSessionName": ["x" * 65]}, "RoleSessionName"),
    (NAMED | {"SourceIdentity": ["a/b"]}, "SourceIdentity of the SAML assertion is 'a/b'"),
    (NAMED | {"SourceIdentity": ["aws:alice"]}, "must not begin with aws:"),
]


def assertion(attributes: dict[str, list[str]], audience: str = "urn:amazon:webservices") -> SAMLAssertion:
    return SAMLAssertion.from_text(response(attributes, audiences=[audience]))


@pytest.mark.parametrize(("attributes", "message"), BAD)
def test_names_that_sts_always_refuses_are_reported_before_the_call(
    attributes: dict[str, list[str]], message: str
) -> None:
    """A name that AWS always refuses raises ProofInvalid before the call, with the attribute and its value."""
    with pytest.raises(ProofInvalid, match=message) as caught:
        assume(ROLE, source=Static(assertion(attributes)), sts=BotocoreSTS("us-east-1"))
    assert "identity provider" in caught.value.remedy


@pytest.mark.case("P28")
@pytest.mark.parametrize(("attributes", "message"), BAD)
def test_another_server_gets_what_it_may_accept(attributes: dict[str, list[str]], message: str) -> None:
    """A server other than AWS receives the assertion whatever its audience, duration and names are."""
    proof = assertion(attributes | {"SessionDuration": ["900"]}, audience="https://other.example")
    with fake_server(granted) as server:
        assume(Role(ROLE, duration=3600), source=Static(proof), sts=BotocoreSTS(endpoint_url=server.url))
    assert len(server.requests) == 1, message


def test_valid_names_are_not_refused() -> None:
    """Valid names pass with and without a source identity, and an encrypted assertion is left for AWS to check."""
    for attributes in (NAMED, NAMED | {"SourceIdentity": ["alice@example.com"]}):
        assertion(attributes).check_for_aws(900)
    SAMLAssertion(encoded(response().replace("a:Assertion", "a:EncryptedAssertion")), PROVIDER).check_for_aws()
    with pytest.raises(RoleError, match="allows 900"):
        assertion(NAMED | {"SessionDuration": ["900"]}).check_for_aws(901)


@pytest.mark.parametrize(
    ("name", "listed"),
    [
        (f"{AWS}/Role", "Attributes//Role'"),
        (f"{AWS}role", "Attributes/role'"),
        (AWS.replace("https:", "http:") + "Role", "'http://aws"),
        ("Role", "'Role'"),
        ("urn:x:Role", "'urn:x:Role'"),
        ("groups", "'groups', 'email'"),
    ],
)
def test_an_attribute_that_is_almost_right_is_named(name: str, listed: str, tmp_path: Path) -> None:
    """If an attribute name is almost right, the error lists the similar names, or all names if none is similar."""
    xml = response().replace(f'"{AWS}Role"', f'"{name}"')
    xml = xml.replace(
        "</a:AttributeStatement>",
        '<a:Attribute Name="email"><a:AttributeValue>x</a:AttributeValue></a:Attribute></a:AttributeStatement>',
    )
    proof = SAMLAssertion.from_text(xml)
    assert proof.attribute_names == (name, "email")
    with pytest.raises(RoleNotOffered, match="It offers no role\\. AWS reads the attribute") as caught:
        proof.principal_for(ROLE)
    assert listed in str(caught.value)
    assert ("email" in str(caught.value)) == (name == "groups")
    xml = xml.replace(
        "</a:AttributeStatement>",
        f'<a:Attribute Name="{AWS}RoleSessionName"><a:AttributeValue>al</a:AttributeValue></a:Attribute>'
        "</a:AttributeStatement>",
    )
    (tmp_path / "saml").write_text(xml)
    found = [each.text for each in examine(saml_file=str(tmp_path / "saml"), offline=True, clock=ManualClock(START))]
    assert any("offers no role. AWS reads the attribute" in text for text in found)


def test_an_assertion_without_attributes_says_so() -> None:
    """If an assertion has no attributes, the message says so and names the attribute that AWS reads."""
    with pytest.raises(RoleNotOffered, match=r"It has no attributes, but AWS reads https://aws.amazon.com/SAML/"):
        assertion({}).principal_for(ROLE)
    with pytest.raises(RoleNotOffered, match=r"It offers: arn:aws:iam::123456789012:role/app\."):
        assertion(NAMED).principal_for(OTHER)


@pytest.mark.parametrize("variable", ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_STS", None])
def test_doctor_reports_the_names_for_aws_only(
    variable: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The doctor checks the names in an assertion for AWS but not for another server."""
    (tmp_path / "saml").write_text(response(NAMED | {"RoleSessionName": ["a b"]}))
    if variable:
        monkeypatch.setenv(variable, "http://127.0.0.1:9")
    found = examine(saml_file=str(tmp_path / "saml"), offline=True, clock=ManualClock(START))
    about = [each for each in found if each.about == "SAML file"]
    assert [each.state for each in about][:1] == (["ok"] if variable else ["wrong"])


@pytest.mark.parametrize(
    ("url", "is_aws"),
    [
        ("https://sts.amazonaws.com", True),
        ("https://sts.eu-central-1.amazonaws.com", True),
        ("https://sts-fips.us-east-1.amazonaws.com/", True),
        ("https://sts.cn-north-1.amazonaws.com.cn", True),
        ("https://sts.us-east-1.api.aws", True),
        ("https://vpce-1a2b-3c.sts.us-east-1.vpce.amazonaws.com", True),
        ("https://sts.us-iso-east-1.c2s.ic.gov", True),
        ("https://minio.us-east-1.elb.amazonaws.com", False),
        ("https://sts.amazonaws.com.evil.test", False),
        ("https://sts.example.com", False),
        ("http://127.0.0.1:9000", False),
        ("nonsense", False),
    ],
)
def test_an_endpoint_of_aws_is_recognised_by_its_whole_host(url: str, is_aws: bool) -> None:
    """An endpoint belongs to AWS only if its whole host name does; a server on an EC2 machine does not."""
    assert is_aws_endpoint(url) is is_aws
