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
        "Check that the role exists (upper and lower case differ), and that its trust policy names the SAML provider "
        "and allows the assertion's recipient as SAML:aud. Roles whose name begins with AWSReservedSSO_ cannot be "
        "assumed with SAML.",
        _SAML,
        context="proof",
    ),
    Remedy(
        "AccessDenied",
        "Check that the role exists, and that its trust policy names the token's issuer and allows its audience (aud) "
        "and subject (sub).",
        _WEB,
        context="proof",
    ),
    Remedy(
        "AccessDenied",
        "Use the long-term keys of an IAM user: STS returns no session token for the session of a role. Check that the "
        "MFA code is correct.",
        "GetSessionToken",
    ),
    Remedy(
        "AccessDenied",
        "The MFA code is wrong or too old. Enter the next code of the device, and check the serial of the device.",
        message_pattern="MultiFactorAuthentication",
    ),
    Remedy(
        "AccessDenied",
        "Check that the role exists, that its trust policy names this caller, and that the caller's own policy allows "
        "sts:AssumeRole (and sts:TagSession for tags). If the trust policy requires an external ID, a source identity, "
        "tags or MFA, pass it. A new role may need a minute: pass wait_for_new_role=timedelta(seconds=30).",
        context="proof",
        cli_text="Check that the role exists, that its trust policy names this caller, and that the caller's own "
        "policy allows sts:AssumeRole (and sts:TagSession for tags). If the trust policy requires an external ID, a "
        "source identity, tags or MFA, pass it. A new role may need a minute: add --wait-for-new-role 30s.",
    ),
    Remedy(
        "ExpiredToken",
        "The assertion has expired: STS accepts it for five minutes. Sign in again and save the new response.",
        _SAML,
        context="both",
    ),
    Remedy(
        "ExpiredToken",
        "The token has expired. Get a new one, or check the program that renews the token file. Check the clock.",
        _WEB,
        context="both",
    ),
    Remedy(
        "ExpiredToken",
        "The credentials that signed the call have expired. Renew them where they come from (for a profile with SSO: "
        "aws sso login), and check the clock.",
        context="both",
    ),
    Remedy(
        "IDPCommunicationError",
        "STS could not reach the identity provider. Try again. If the error stays, check that the discovery document "
        "and the keys of the provider can be read from the internet.",
        context="proof",
        retryable=True,
    ),
    Remedy(
        "IDPRejectedClaim",
        "The identity provider rejected the token, or the token was revoked. Sign in again, and check that the user "
        "may use this application.",
        context="both",
    ),
    Remedy(
        "InvalidClientTokenId",
        "STS does not know the access key ID. Check that the key is active, that its session token was sent with it, "
        "and that it belongs to the partition of the role. Regions that an account must opt in to do not accept "
        "session tokens of the global endpoint.",
        context="proof",
    ),
    Remedy(
        "InvalidIdentityToken",
        "STS could not fetch the keys of the identity provider. This happens if many jobs start at once. Try again. If "
        "the error stays, check that the discovery document and the keys of the issuer can be read from the internet.",
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
        "STS accepts an assertion for five minutes after it was issued. Sign in again and save the new response. Check "
        "the clock of the identity provider.",
        message_pattern="five minutes|5 minutes|within .{0,50} of issue|expired|not yet valid",
        operation=_SAML,
        context="both",
    ),
    Remedy(
        "InvalidIdentityToken",
        "Check that the SAML provider exists in the account of the role, and upload the current metadata of the "
        "identity provider there: its certificate, issuer or audience differs from the assertion's.",
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
        "Check the secret access key and the clock of this machine. After a correction, STS may need some seconds.",
        context="clock",
    ),
    Remedy(
        "MissingAuthenticationToken",
        "The call was not signed, or was signed with empty keys. Check where the credentials come from.",
    ),
    Remedy(
        "Throttling",
        "Too many calls at once. Reuse credentials until they expire (Cached), and start fewer calls at a time.",
        cli_text="Too many calls at once. Reuse credentials until they expire (--cache), and start fewer calls at a "
        "time.",
        retryable=True,
    ),
    Remedy(
        "ValidationError",
        "A role that is assumed from another role lasts at most one hour. Pass a duration of up to 3600 seconds, or "
        "assume the role directly with long-term keys, SAML or OIDC.",
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
    "This is an error inside STS. Try again. If the error stays, ask the operator of the server.",
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
