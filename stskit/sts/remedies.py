"""What to do about a refusal: STS's codes, without the suffix ``Exception``, and the next step for each.

https://docs.aws.amazon.com/STS/latest/APIReference/CommonErrors.html and the error lists of the operations;
https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_saml.html
"""

from __future__ import annotations

import re
from typing import Final

from attrs import frozen

__all__ = ["ANY_5XX", "ANY_OTHER", "REMEDIES", "Remedy", "canonical_code", "remedy_for"]


@frozen
class Remedy:
    """The next step for one kind of refusal."""

    code: str
    text: str
    operation: str = ""
    """The one it is for; "" for all."""
    message_pattern: str = ""
    """A pattern that STS's message must contain, in any case; "" for any message."""
    context: str = ""
    """What else the error shows, where it is known: ``"proof"``, ``"clock"``, ``"both"`` or ``"policy"``."""
    retryable: bool = False
    """Whether the same call may succeed later without any change."""
    cli_text: str = ""
    """`text` for the command line, where that needs other words."""


_SAML: Final = "AssumeRoleWithSAML"
_WEB: Final = "AssumeRoleWithWebIdentity"

# The first that fits counts.
REMEDIES: Final[tuple[Remedy, ...]] = (
    Remedy(
        "AccessDenied",
        "Check that the role exists (case counts), and that its trust policy names the SAML provider and accepts the "
        "assertion's recipient as SAML:aud; roles whose names begin with AWSReservedSSO_ cannot be had this way.",
        _SAML,
        context="proof",
    ),
    Remedy(
        "AccessDenied",
        "Check that the role exists, and that its trust policy names the token's issuer and accepts its audience "
        "(aud) and subject (sub).",
        _WEB,
        context="proof",
    ),
    Remedy(
        "AccessDenied",
        "Use the keys of an IAM user: STS makes no session token for a role's session, and not with a wrong MFA code.",
        "GetSessionToken",
    ),
    Remedy(
        "AccessDenied",
        "The MFA code was wrong, or late: give the device's next one, and check that its serial is right.",
        message_pattern="MultiFactorAuthentication",
    ),
    Remedy(
        "AccessDenied",
        "Check that the role exists, that its trust policy names this caller, and that the caller's own policy allows "
        "sts:AssumeRole (sts:TagSession for tags); where they ask for an external id, a source identity, tags or MFA, "
        "pass it. A new role may need a minute: wait_for_new_role=.",
        context="proof",
        cli_text="Check that the role exists, that its trust policy names this caller, and that the caller's own "
        "policy allows sts:AssumeRole (sts:TagSession for tags); where they ask for an external id, a source "
        "identity, tags or MFA, pass it. A new role may need a minute: --wait-for-new-role 30s.",
    ),
    Remedy(
        "ExpiredToken",
        "The assertion is too old, for STS takes it for five minutes only: sign in again and save the new one.",
        _SAML,
        context="both",
    ),
    Remedy(
        "ExpiredToken",
        "The token has expired: get a new one, or see why nothing has renewed its file; and check the clock.",
        _WEB,
        context="both",
    ),
    Remedy(
        "ExpiredToken",
        "The credentials that the call was signed with have expired: renew them at their source (for a profile with "
        "SSO: aws sso login), and check the clock.",
        context="both",
    ),
    Remedy(
        "IDPCommunicationError",
        "STS could not reach the identity provider. Try again; if it lasts, check that the provider's discovery "
        "document and keys can be read from the internet.",
        context="proof",
        retryable=True,
    ),
    Remedy(
        "IDPRejectedClaim",
        "The identity provider refused, or the token was revoked. Sign in to it again, and check that the user may use "
        "this application.",
        context="both",
    ),
    Remedy(
        "InvalidClientTokenId",
        "STS does not know the access key id. Check that the key is active, that its session token came along, and "
        "that it belongs to the partition of the role; session tokens of the global endpoint do not count in regions "
        "that an account has to opt in to.",
        context="proof",
    ),
    Remedy(
        "InvalidIdentityToken",
        "STS could not fetch the identity provider's keys, as happens when many jobs start at once. Try again; if it "
        "lasts, check that the issuer's discovery document and keys can be read from the internet.",
        message_pattern="retrieve verification key",
        context="proof",
        retryable=True,
    ),
    Remedy(
        "InvalidIdentityToken",
        "Create an OpenID Connect provider for the token's issuer in the account of the role.",
        message_pattern="no openidconnect provider",
        context="proof",
    ),
    Remedy(
        "InvalidIdentityToken",
        "Ask the identity provider for an audience that is listed in IAM's provider (sts.amazonaws.com; in China "
        "sts.amazonaws.com.cn), or add the token's audience there.",
        message_pattern="audience",
        operation=_WEB,
        context="proof",
    ),
    Remedy(
        "InvalidIdentityToken",
        "Have the identity provider send the attribute RoleSessionName (and SourceIdentity, if at all) with 2 to 64 "
        "letters, digits or _+=,.@-.",
        message_pattern="RoleSessionName|session name|Source ?Identity",
        operation=_SAML,
        context="proof",
    ),
    Remedy(
        "InvalidIdentityToken",
        "STS takes an assertion for five minutes from when it was made: sign in again and save the new one; and check "
        "the clock of the identity provider.",
        message_pattern="five minutes|5 minutes|within .{0,50} of issue|expired|not yet valid",
        operation=_SAML,
        context="both",
    ),
    Remedy(
        "InvalidIdentityToken",
        "Check that the SAML provider exists in the account of the role, and upload the identity provider's current "
        "metadata there: its certificate, issuer or audience differs from that of the assertion.",
        operation=_SAML,
        context="both",
    ),
    Remedy(
        "InvalidIdentityToken",
        "Check that the identity provider is registered in the account of the role, that its keys are current, and "
        "that the token's audience is one that it lists.",
        context="both",
    ),
    Remedy(
        "MalformedPolicyDocument", "Correct the session policy: it must be an IAM policy in JSON.", context="policy"
    ),
    Remedy(
        "PackedPolicyTooLarge",
        "Pass a shorter policy, managed policy ARNs in its place, or fewer and shorter tags; transitive tags of the "
        "roles before this one count too.",
        context="policy",
    ),
    Remedy(
        "RegionDisabled",
        "Activate STS for this region in the account settings of IAM, or use another region of the partition: "
        "BotocoreSTS(region=...).",
        cli_text="Activate STS for this region in the account settings of IAM, or use another region of the "
        "partition: --region.",
    ),
    Remedy("RequestExpired", "Set the clock of this machine: requests are valid for 15 minutes.", context="clock"),
    Remedy(
        "SignatureDoesNotMatch",
        "Set the clock of this machine: signatures are valid for 15 minutes.",
        message_pattern="expired|not yet current",
        context="clock",
    ),
    Remedy(
        "SignatureDoesNotMatch",
        "Check the secret access key, and the clock of this machine. STS may remember a wrong secret for some seconds.",
        context="clock",
    ),
    Remedy(
        "MissingAuthenticationToken",
        "The call was not signed, or with empty keys; check where the credentials come from.",
    ),
    Remedy(
        "Throttling",
        "Too many calls at once. Keep credentials until they expire (Cached), and start fewer calls at a time.",
        cli_text="Too many calls at once. Keep credentials until they expire (--cache), and start fewer calls at a "
        "time.",
        retryable=True,
    ),
    Remedy(
        "ValidationError",
        "A role that is assumed from another role's session lasts an hour at most: ask for no more than 3600 seconds, "
        "or assume it from long-term keys, SAML or OIDC.",
        message_pattern="chaining|1 hour",
    ),
    Remedy(
        "ValidationError",
        "Ask for a shorter duration, or raise the maximum session duration of the role.",
        message_pattern="MaxSessionDuration|DurationSeconds exceeds",
    ),
    Remedy(
        "ValidationError",
        "Name the SAML provider that the assertion lists with this role: it must be of the same account.",
        message_pattern="principal exists outside",
        context="proof",
    ),
    Remedy(
        "ValidationError",
        "Correct the value that STS names. A duration must not be over the maximum of the role, and not over an "
        "hour when the caller's credentials are themselves temporary (role chaining).",
    ),
)
ANY_5XX: Final = Remedy(
    "a status of 5xx",
    "STS has a fault of its own. Try again; if it lasts, ask whoever runs the server.",
    retryable=True,
)
ANY_OTHER: Final = Remedy(
    "anything else", "Look the code up in the STS API reference; AWS support can trace the request id."
)
# What servers that are not AWS's call the same, and what AWS itself calls so elsewhere.
_OTHER_NAMES: Final = {
    "InvalidAccessKeyId": "InvalidClientTokenId",
    "UnrecognizedClient": "InvalidClientTokenId",
    "InvalidParameterValue": "ValidationError",
    "TooManyRequests": "Throttling",
    "RequestLimitExceeded": "Throttling",
    "RequestTimeTooSkewed": "RequestExpired",
}
_BY_STATUS: Final = {400: "ValidationError", 403: "AccessDenied", 429: "Throttling"}  # some servers send no code


def canonical_code(code: str, status: int) -> str:
    """Return the code that AWS's STS has for this error.

    *code* is "" where the server sent none; then the HTTP *status* decides.
    """
    return _OTHER_NAMES.get(code, code) or _BY_STATUS.get(status, "")


def remedy_for(code: str, operation: str, message: str, status: int) -> Remedy:
    """The row for a refusal; *code* and *status* as in `canonical_code`."""
    cause = canonical_code(code, status)
    fits = (
        row
        for row in REMEDIES
        if row.code == cause
        and row.operation in ("", operation)
        and (not row.message_pattern or re.search(row.message_pattern, message, re.IGNORECASE))
    )
    return next(fits, ANY_5XX if status >= 500 else ANY_OTHER)
