"""The next step for each error code of STS. Codes have no suffix ``Exception``.

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
    """The next step for one kind of error.

    Args:
        code: Error code of STS.
        text: The next step, in sentences.
        operation: STS operation that it applies to. Defaults to all.
        message_pattern: Regular expression that must be found in STS's message, in any case. Defaults to any message.
        context: What else the error shows if it is known: ``"proof"``, ``"clock"``, ``"both"`` or ``"policy"``.
        retryable: Whether the same call may succeed later without a change.
        cli_text: The next step for the command line, if it needs other words.
    """

    code: str
    text: str
    operation: str = ""
    message_pattern: str = ""
    context: str = ""
    retryable: bool = False
    cli_text: str = ""


_SAML: Final = "AssumeRoleWithSAML"
_WEB: Final = "AssumeRoleWithWebIdentity"

# The first row that fits is used.
REMEDIES: Final[tuple[Remedy, ...]] = (
    Remedy(
        "AccessDenied",
        "Check that the role exists: a role ARN is case-sensitive. Check that the trust policy of the role names the "
        "SAML provider, allows sts:AssumeRoleWithSAML (and sts:TagSession if the assertion has session tags), and "
        "allows the assertion's recipient as SAML:aud. Roles whose names begin with AWSReservedSSO_ cannot be assumed "
        "with SAML.",
        _SAML,
        context="proof",
    ),
    Remedy(
        "AccessDenied",
        "Check that the role exists: a role ARN is case-sensitive. Check that the trust policy of the role names the "
        "token's issuer, allows sts:AssumeRoleWithWebIdentity, and allows the token's audience (aud) and "
        "subject (sub).",
        _WEB,
        context="proof",
    ),
    Remedy(
        "AccessDenied",
        "Use the long-term keys of an IAM user: temporary credentials cannot call GetSessionToken. If you passed an "
        "MFA code, check that it is correct.",
        "GetSessionToken",
    ),
    Remedy(
        "AccessDenied",
        "Enter the next code of the MFA device: this MFA code is wrong or has expired. Check the serial number of the "
        "device.",
        message_pattern="MultiFactorAuthentication",
    ),
    Remedy(
        "AccessDenied",
        "Check that the role exists, that its trust policy names this caller, and that the caller's own policy allows "
        "sts:AssumeRole (and sts:TagSession for tags). If the trust policy requires an external ID, a source identity, "
        "tags or MFA, pass it. If the role is new, pass wait_for_new_role=timedelta(seconds=30), because STS can deny "
        "access to a new role for up to a minute.",
        context="proof",
        cli_text="Check that the role exists, that its trust policy names this caller, and that the caller's own "
        "policy allows sts:AssumeRole (and sts:TagSession for tags). If the trust policy requires an external ID, a "
        "source identity, tags or MFA, pass it. If the role is new, add --wait-for-new-role 30s, because STS can deny "
        "access to a new role for up to a minute.",
    ),
    Remedy(
        "ExpiredToken",
        "Sign in again and save the new response. The assertion has expired: STS accepts it for five minutes.",
        _SAML,
        context="both",
    ),
    Remedy(
        "ExpiredToken",
        "Get a new token, because this one has expired. If a program renews the token file, check that it is running. "
        "Check the clock of this machine.",
        _WEB,
        context="both",
    ),
    Remedy(
        "ExpiredToken",
        "Renew the credentials where they come from: the credentials that signed the call have expired. For a profile "
        "with SSO, run aws sso login. Check the clock of this machine.",
        context="both",
    ),
    Remedy(
        "IDPCommunicationError",
        "Try again: STS could not reach the identity provider. If the error remains, check that the discovery document "
        "and the keys of the provider can be read from the internet.",
        context="proof",
        retryable=True,
    ),
    Remedy(
        "IDPRejectedClaim",
        "Sign in again, and check that the user may use this application: the identity provider rejected the token, or "
        "the token was revoked.",
        context="both",
    ),
    Remedy(
        "InvalidClientTokenId",
        "Check that the key is active, that its session token was sent with it, and that it belongs to the partition "
        "of the role: STS does not know the access key ID. Opt-in regions do not accept session tokens from the global "
        "endpoint.",
        context="proof",
    ),
    Remedy(
        "InvalidIdentityToken",
        "Try again: STS could not fetch the keys of the identity provider. This can happen if many jobs start at once. "
        "If the error remains, check that the discovery document and the keys of the issuer can be read from the "
        "internet.",
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
        "Request the token with an audience that the OpenID Connect provider in IAM lists (sts.amazonaws.com; in China "
        "sts.amazonaws.com.cn), or add the token's audience to the provider.",
        message_pattern="audience",
        operation=_WEB,
        context="proof",
    ),
    Remedy(
        "InvalidIdentityToken",
        "Configure the identity provider to send the attribute RoleSessionName (and SourceIdentity, if it is sent) "
        "with 2 to 64 letters, digits or _+=,.@-.",
        message_pattern="RoleSessionName|session name|Source ?Identity",
        operation=_SAML,
        context="proof",
    ),
    Remedy(
        "InvalidIdentityToken",
        "Sign in again and save the new response: STS accepts an assertion for five minutes after it was issued. "
        "Check the clock of the identity provider.",
        message_pattern="five minutes|5 minutes|within .{0,50} of issue|expired|not yet valid",
        operation=_SAML,
        context="both",
    ),
    Remedy(
        "InvalidIdentityToken",
        "Check that the SAML provider exists in the account of the role. Upload the current metadata of the identity "
        "provider there, because its certificate, issuer or audience differs from the assertion's.",
        operation=_SAML,
        context="both",
    ),
    Remedy(
        "InvalidIdentityToken",
        "Check that the identity provider is registered in the account of the role, that its keys are current, and "
        "that it lists the token's audience.",
        context="both",
    ),
    Remedy(
        "MalformedPolicyDocument", "Correct the session policy: it must be an IAM policy in JSON.", context="policy"
    ),
    Remedy(
        "PackedPolicyTooLarge",
        "Pass a shorter policy, use managed policy ARNs instead of it, or pass fewer and shorter tags. Transitive tags "
        "of earlier roles in the chain use space too.",
        context="policy",
    ),
    Remedy(
        "RegionDisabled",
        "Activate STS for this region in the account settings of IAM, or use another region of the partition: "
        "BotocoreSTS(region=...).",
        cli_text="Activate STS for this region in the account settings of IAM, or use another region of the "
        "partition: --sts-region.",
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
        "Check the secret access key and the clock of this machine. If you have just corrected the secret access key, "
        "try again after some seconds.",
        context="clock",
    ),
    Remedy(
        "MissingAuthenticationToken",
        "Check the source of the credentials: the call was not signed, or was signed with empty keys.",
    ),
    Remedy(
        "Throttling",
        "Reuse credentials until they expire (Cached), and start fewer calls at a time. Too many calls reached STS at "
        "once.",
        cli_text="Reuse credentials until they expire (--cache), and start fewer calls at a time. Too many calls "
        "reached STS at once.",
        retryable=True,
    ),
    Remedy(
        "ValidationError",
        "Pass a duration of up to 3600 seconds: a role that is assumed from another role lasts at most one hour. For a "
        "longer session, assume the role directly with long-term keys, SAML or OIDC.",
        message_pattern="chaining|1 hour",
    ),
    Remedy(
        "ValidationError",
        "Pass a shorter duration, or raise the maximum session duration of the role.",
        message_pattern="MaxSessionDuration|DurationSeconds exceeds",
    ),
    Remedy(
        "ValidationError",
        "Pass the SAML provider that the assertion lists with this role: both must be in the same account.",
        message_pattern="principal exists outside",
        context="proof",
    ),
    Remedy(
        "ValidationError",
        "Correct the value that STS names. A duration must not exceed the maximum session duration of the role, and "
        "must not exceed one hour if the caller's credentials are temporary (role chaining).",
    ),
)
ANY_5XX: Final = Remedy(
    "a status of 5xx",
    "Try again: this is an error inside STS. If the error remains, ask the operator of the server.",
    retryable=True,
)
ANY_OTHER: Final = Remedy(
    "any other code", "Look up the code in the STS API reference. AWS Support can find the call by its request ID."
)
# Names that other servers, or other services of AWS, have for the same error.
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
    """Return STS's own code for an error.

    *code* is "" if the server sent none. The HTTP *status* then decides.
    """
    return _OTHER_NAMES.get(code, code) or _BY_STATUS.get(status, "")


def remedy_for(code: str, operation: str, message: str, status: int) -> Remedy:
    """Return the first row that fits an error. *code* and *status* are those of `canonical_code`."""
    cause = canonical_code(code, status)
    fits = (
        row
        for row in REMEDIES
        if row.code == cause
        and row.operation in ("", operation)
        and (not row.message_pattern or re.search(row.message_pattern, message, re.IGNORECASE))
    )
    return next(fits, ANY_5XX if status >= 500 else ANY_OTHER)
