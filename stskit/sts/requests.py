"""Build requests to STS from a role and a proof, and read the responses."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from attrs import fields, frozen

from stskit.credentials import CallerIdentity, Credentials, Secret
from stskit.errors import ProofInvalid, RoleError
from stskit.limits import PARAMETERS, check_size
from stskit.proofs import Proof, SAMLAssertion, WebIdentityToken
from stskit.roles import Role, default_session_name

if TYPE_CHECKING:
    from botocore.model import ServiceModel

__all__ = [
    "OPERATIONS",
    "Operation",
    "check_known",
    "check_rules_of_aws",
    "credentials_in",
    "identity_in",
    "in_sts_terms",
    "is_aws_endpoint",
    "options",
    "request_for",
    "secrets",
    "with_code",
]


@frozen
class Operation:
    """An operation of STS: its options, by their names in `PARAMETERS`, and the parameters of its proof."""

    options: tuple[str, ...] = ()
    proof: tuple[str, ...] = ()


_LONGEST: Final = timedelta(days=20 * 365)  # STS allows 36 hours, and other servers up to a year
# The DNS suffixes of all partitions, of dual-stack endpoints too, as botocore lists them.
_SUFFIXES: Final = (
    *("amazonaws.com", "amazonaws.com.cn", "amazonaws.eu", "c2s.ic.gov", "sc2s.sgov.gov", "cloud.adc-e.uk"),
    *("csp.hci.ic.gov", "api.aws", "api.amazonwebservices.com.cn", "api.amazonwebservices.eu"),
    *("api.aws.ic.gov", "api.aws.scloud", "api.cloud-aws.adc-e.uk", "api.aws.hci.ic.gov"),
)
_ANY: Final = ("arn", "duration", "policy", "policy_arns", "minimum_session_token_size")
OPERATIONS: Final[Mapping[str, Operation]] = {
    "AssumeRole": Operation(
        (
            *_ANY,
            "session_name",
            "tags",
            "transitive_tag_keys",
            "external_id",
            "source_identity",
            "provided_contexts",
            "mfa",
        )
    ),
    "AssumeRoleWithSAML": Operation(_ANY, ("PrincipalArn", "SAMLAssertion")),
    "AssumeRoleWithWebIdentity": Operation((*_ANY, "session_name"), ("WebIdentityToken", "ProviderId")),
    "GetSessionToken": Operation(("duration", "minimum_session_token_size", "mfa")),
    "GetCallerIdentity": Operation(),
}


def request_for(proof: Proof, role: Role) -> tuple[str, dict[str, object]]:
    """Return the operation that fits a proof, and its parameters. Raises `RoleError` and `ProofInvalid`."""
    values: tuple[object, ...]
    match proof:
        case Credentials():
            return "AssumeRole", options("AssumeRole", OPERATIONS["AssumeRole"], role)
        case SAMLAssertion():
            operation, values = "AssumeRoleWithSAML", (proof.principal_for(role.arn), proof.value)
        case WebIdentityToken():
            operation, values = "AssumeRoleWithWebIdentity", (proof.value, proof.provider_id)
        case _:
            raise ProofInvalid(
                f"The source returned {type(proof).__name__}, which is not a proof.",
                remedy="Return a SAMLAssertion, a WebIdentityToken or Credentials from fetch().",
                option="source",
            )
    sent = {name: value for name, value in zip(OPERATIONS[operation].proof, values, strict=True) if value is not None}
    return operation, sent | options(operation, OPERATIONS[operation], role)


def check_rules_of_aws(proof: Proof, role: Role | None, endpoint: str) -> None:
    """Refuse a proof that AWS always refuses, if *endpoint* belongs to AWS. Other servers have their own rules.

    Raises what `SAMLAssertion.check_for_aws` raises.
    """
    if isinstance(proof, SAMLAssertion) and role is not None and is_aws_endpoint(endpoint):
        proof.check_for_aws(role.duration)


def is_aws_endpoint(url: str) -> bool:
    """Return whether *url* is an STS endpoint of AWS, in any partition. VPC endpoints are."""
    from urllib.parse import urlsplit

    host = (urlsplit(url).hostname or "").removesuffix(".")
    suffix = next((each for each in _SUFFIXES if host.endswith(f".{each}")), None)
    labels = host.removesuffix(f".{suffix}").split(".")
    return suffix is not None and len(labels) <= 4 and bool({"sts", "sts-fips"} & set(labels[:2]))


def check_known(model: ServiceModel, operation: str, sent: Mapping[str, object]) -> None:
    """Raise `RoleError` for a parameter that the installed botocore does not know, as botocore's error has values."""
    shape: Any = model.operation_model(operation).input_shape
    if unknown := [name for name in sent if name not in shape.members]:
        raise RoleError(
            f"The installed botocore does not know the parameter {unknown[0]} of {operation}.",
            remedy="Upgrade it: pip install --upgrade botocore",
            option=next((option for option, names in PARAMETERS.items() if unknown[0] in names), "extra"),
        )


def options(name: str, operation: Operation, role: Role) -> dict[str, object]:
    """Return the options of a role as parameters of the operation called *name*.

    Raises `RoleError` for an option that the operation does not have.
    """
    accepted = operation.options
    chosen = {option: getattr(role, option) for option in PARAMETERS}
    chosen = {option: value for option, value in chosen.items() if value is not None and value != () and value != {}}
    if refused := [option for option in chosen if option not in accepted]:
        raise RoleError(
            f"{refused[0]} cannot be used with {name}: the identity provider sets it, or only AssumeRole has it.",
            remedy="Omit it.",
            cli_message=f"cannot be used with {name}: the identity provider sets it, or only AssumeRole has it.",
            option=refused[0],
        )
    if "session_name" in accepted and "session_name" not in chosen:
        chosen["session_name"] = default_session_name()
    if role.policy is not None and name != "AssumeRole":
        check_size("policy for SAML or web identity", len(role.policy))
    return dict(role.extra) | in_sts_terms(chosen)


def in_sts_terms(options: Mapping[str, Any]) -> dict[str, object]:
    """Return options under STS's names, without those that are None. An MFA code is a function that asks for it."""
    sent: dict[str, object] = {}
    for option, value in options.items():
        if value is None:
            continue
        sent.update(zip(PARAMETERS[option], _on_the_wire(option, value), strict=True))
    return sent


def with_code(sent: Mapping[str, object]) -> dict[str, object]:
    """Return the parameters with an MFA code if one is needed. Call it last, so that no code is wasted."""
    ask: Any = sent.get("TokenCode")
    return dict(sent) if ask is None else {**sent, "TokenCode": ask()}


def _on_the_wire(option: str, value: Any) -> tuple[object, ...]:
    match option:
        case "tags":
            return ([{"Key": key, "Value": text} for key, text in value.items()],)
        case "policy_arns":
            return ([{"arn": arn} for arn in value],)
        case "provided_contexts":
            return ([{"ProviderArn": each.provider_arn, "ContextAssertion": each.context_assertion} for each in value],)
        case "transitive_tag_keys":
            return (list(value),)
        case "mfa":
            return value.serial, value.token_code
        case _:
            return (value,)


def secrets(proof: Proof, sent: Mapping[str, object]) -> tuple[Secret, ...]:
    """Return the secrets of a call, which no error may contain: those of the proof and of the parameters."""
    values = [getattr(proof, each.name) for each in fields(type(proof))]
    contexts: Any = sent.get("ProvidedContexts", ())
    values += [*sent.values(), *(each["ContextAssertion"] for each in contexts)]
    return tuple(value for value in values if isinstance(value, Secret))


def credentials_in(answer: Mapping[str, Any], now: datetime | None = None) -> Credentials:
    """Return the credentials of a response. Raises `ProofInvalid` if they cannot be used now."""
    credentials = Credentials.from_dict(answer)
    if credentials.session_token is None or credentials.expiration is None:
        raise ProofInvalid("the response has no session token or no expiration")
    if credentials.is_expired(now=now):
        raise ProofInvalid("the credentials of the response have expired. Check the clock of this machine")
    if (credentials.expires_in(now=now) or _LONGEST) >= _LONGEST:
        raise ProofInvalid("the credentials of the response would never expire")
    return credentials


def identity_in(answer: Mapping[str, Any]) -> CallerIdentity:
    """Return the identity of a response. Raises `ProofInvalid` if it has none."""
    account, arn, user_id = (answer.get(name) for name in ("Account", "Arn", "UserId"))
    if not (account and arn and user_id):
        raise ProofInvalid("the response does not contain account, ARN and user ID")
    return CallerIdentity(account=account, arn=arn, user_id=user_id)
