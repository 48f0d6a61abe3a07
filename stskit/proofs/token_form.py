"""Recognise texts that are not a web identity token, which broken scripts write into token files.

STS refuses all of them, and some are other secrets, so they are found before anything is sent. Opaque tokens, such as
those of Login with Amazon and of Facebook, are not among them.

https://www.rfc-editor.org/rfc/rfc7519
https://www.rfc-editor.org/rfc/rfc7516
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from attrs import frozen

__all__ = ["Mistake", "mistake_in"]

_JWT: Final = re.compile(r"eyJ[A-Za-z0-9_-]*\.[A-Za-z0-9_-]+\.(?:[A-Za-z0-9_-]+)?")
_ENCRYPTED: Final = re.compile(r"eyJ[A-Za-z0-9_-]*(?:\.[A-Za-z0-9_-]*){4}")
_ASSIGNMENT: Final = re.compile(r"(?:export\s+|set\s+)?(?!eyJ)[A-Za-z_]\w*\s*(?:=\s*[^=\s]|:\s*[\"']?eyJ)", re.ASCII)
_VARIABLE: Final = re.compile(r"[$#@]\{.*|\$.*|%\w+%|\{\{.*", re.ASCII | re.DOTALL)
_PLACEHOLDER: Final = re.compile(r"<[\w -]{1,60}>", re.ASCII)
_NOTHING: Final = frozenset(
    {
        *("null", "undefined", "none", "nil", "nan", "true", "false", "(null)", "(none)", "[object object]"),
        *("redacted", "masked", "[redacted]", "[masked]", "unauthorized", "forbidden", "changeme", "your-token-here"),
    }
)


@frozen
class Mistake:
    """What a text is instead of a token, and what to do. It contains nothing of the text."""

    what: str
    remedy: str
    cli_remedy: str = ""


def mistake_in(text: str) -> Mistake | None:
    """Return what *text* is if it is certainly not a token; None for a signed or an opaque token."""
    if _JWT.fullmatch(text):
        return None
    if text.lower() in _NOTHING:
        return Mistake(f"the word {text.lower()!r}", "Check the program that writes it: it found no token.")
    for is_it, mistake in _MISTAKES:
        if is_it(text):
            return mistake
    return None


def _is_saml(text: str) -> bool:
    from base64 import b64decode

    with suppress(ValueError):
        return bool(re.match(rb"<(\?xml\s|[A-Za-z][\w.-]*[:\s>])", b64decode(text[:64], validate=True)))
    return False


def _is_saml_xml(text: str) -> bool:
    return bool(re.match(r"<(?:\?xml\s|(?:[A-Za-z][\w.-]*:)?Response[\s>])", text))


def _is_encoded_token(text: str) -> bool:
    from base64 import b64decode

    with suppress(ValueError):
        return bool(_JWT.fullmatch(b64decode(text + "=" * (-len(text) % 4), validate=True).decode().strip()))
    return False


_MISTAKES: Final[tuple[tuple[Callable[[str], object], Mistake], ...]] = (
    (
        lambda text: text[:1] in ("'", '"', "`") or text[:2] == '\\"',
        Mistake("a text in quotes", "Save the token without the quotes, for example with jq -r."),
    ),
    (
        _VARIABLE.fullmatch,
        Mistake("the name of a variable", "Check the program that writes it: the variable was not replaced."),
    ),
    (lambda text: text[:1] in ("{", "["), Mistake("JSON", "Save only the token, as text.")),
    (_PLACEHOLDER.fullmatch, Mistake("a placeholder", "Replace it by the token.")),
    (
        _is_saml,
        Mistake("a SAML response", "Use SAMLFile(path) for it.", "Use --saml-file for it."),
    ),
    (
        _is_saml_xml,
        Mistake("a SAML response or other XML", "Use SAMLFile(path) for it.", "Use --saml-file for it."),
    ),
    (
        lambda text: text.startswith("<"),
        Mistake("a web page", "Check the program that writes it: it got an error page or a sign-in page."),
    ),
    (
        lambda text: re.match(r"(?:authorization\s*:|bearer[\s:])", text, re.IGNORECASE),
        Mistake("an Authorization header", "Save only the part after Bearer."),
    ),
    (_ASSIGNMENT.match, Mistake("a line NAME=VALUE", "Save only the value.")),
    (
        lambda text: text.startswith("-----BEGIN"),
        Mistake("a key or a certificate", "Save the token that was signed with it."),
    ),
    (lambda text: re.match(r"\w+://", text), Mistake("a URL", "Save the token that it returns.")),
    (
        lambda text: re.fullmatch(r"A[KS]IA[A-Z0-9]{12,}", text),
        Mistake("an AWS access key ID", "Save the token of the identity provider."),
    ),
    (
        lambda text: re.search(r"%[0-9A-Fa-f]{2}", text),
        Mistake("a URL-encoded text", "Decode it, and save the token as it was issued."),
    ),
    (
        _ENCRYPTED.fullmatch,
        Mistake(
            "an encrypted token (JWE), which STS cannot decrypt",
            "Request a signed ID token from the provider.",
        ),
    ),
    (
        lambda text: text.startswith("eyJ") and text.count(".") != 2,
        Mistake("a part of a JSON Web Token, or JSON in base64", "Save the whole token, three parts with dots."),
    ),
    (
        lambda text: re.fullmatch(
            r"(?:~|\.{1,2})?(?:/[\w.-]+){1,20}/?|[A-Za-z]:\\[\w.\\-]+|[@#][\w./-]+", text, re.ASCII
        ),
        Mistake("a path or a comment", "Save the token itself, not the path of its file."),
    ),
    (
        lambda text: re.fullmatch(
            r"(?:gh[opsur]_|github_pat_|gl(?:pat|cbt|dt|rt|ptt)-|xox[a-z]-|hv[sb]\.)[\w.-]+", text, re.ASCII
        ),
        Mistake("a token of GitHub, GitLab, Slack or Vault that is not an OIDC token", "Save the ID token of the job."),
    ),
    (
        lambda text: text.startswith(("IQoJb3JpZ2lu", "FwoGZXIvYXdz", "FQoGZXIvYXdz")),
        Mistake("an AWS session token", "Save the token of the identity provider."),
    ),
    (
        re.compile(rf"(?<![A-Za-z0-9_-]){_JWT.pattern}").search,
        Mistake("a token with other characters around it", "Save only the token, as it was issued."),
    ),
    (_is_encoded_token, Mistake("the base64 of a token", "Decode it, and save the token as it was issued.")),
)
"""Texts that are not a token. The first that fits is reported."""
