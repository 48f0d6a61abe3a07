"""Functions that build SAML responses for the tests."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from helpers import START

PROTOCOL = "urn:oasis:names:tc:SAML:2.0:protocol"
ASSERTION = "urn:oasis:names:tc:SAML:2.0:assertion"
AWS = "https://aws.amazon.com/SAML/Attributes/"
ROLE = "arn:aws:iam::123456789012:role/app"
OTHER = "arn:aws:iam::123456789012:role/other"
PROVIDER = "arn:aws:iam::123456789012:saml-provider/Example"
PAIR = f"{ROLE},{PROVIDER}"
NAMED = {"Role": [PAIR], "RoleSessionName": ["alice"]}


def stamp(moment: datetime) -> str:
    """Return *moment* in the date format of SAML."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def encoded(xml: str | bytes) -> str:
    return b64encode(xml.encode() if isinstance(xml, str) else xml).decode()


def response(
    attributes: Mapping[str, Sequence[str]] | None = None,
    *,
    start: datetime | None = START,
    end: datetime | None = START + timedelta(minutes=5),
    audiences: Sequence[str] = ("urn:amazon:webservices",),
    extra: str = "",
    status: str = "Success",
) -> str:
    """Return a response with these AWS *attributes*, valid from *start* to *end*. *extra* is added to its assertion."""
    listed = "".join(
        f'<a:Attribute Name="{AWS}{name}">'
        + "".join(f"<a:AttributeValue>{value}</a:AttributeValue>" for value in values)
        + "</a:Attribute>"
        for name, values in ({"Role": [PAIR]} if attributes is None else attributes).items()
    )
    bounds = (f' NotBefore="{stamp(start)}"' if start else "") + (f' NotOnOrAfter="{stamp(end)}"' if end else "")
    meant = "".join(f"<a:Audience>{audience}</a:Audience>" for audience in audiences)
    return (
        f'<p:Response xmlns:p="{PROTOCOL}" xmlns:a="{ASSERTION}"><p:Status>'
        f'<p:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:{status}"/></p:Status>'
        f'<a:Assertion IssueInstant="{stamp(start or START)}"><a:Issuer>https://idp.example</a:Issuer>'
        f"<a:Subject><a:NameID>alice</a:NameID></a:Subject>"
        f"<a:Conditions{bounds}><a:AudienceRestriction>{meant}</a:AudienceRestriction></a:Conditions>{extra}"
        f"<a:AttributeStatement>{listed}</a:AttributeStatement></a:Assertion></p:Response>"
    )
