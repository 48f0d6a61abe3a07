"""Requests to STS, checked against what each operation accepts, and the values in its responses."""

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
    """What an operation of STS takes: the options by the names in `PARAMETERS`, and the parameters of the proof."""

    options: tuple[str, ...] = ()
    proof: tuple[str, ...] = ()


_LONGEST: Final = timedelta(days=20 * 365)  # STS gives 36 hours, other servers up to a year
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
    """The operation that fits *proof*, and its parameters. Raises `RoleError` and `ProofInvalid`."""
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
                f"the source gave {type(proof).__name__}",
                remedy="STS takes SAMLAssertion, WebIdentityToken or Credentials",
                option="source",
            )
    sent = {name: value for name, value in zip(OPERATIONS[operation].proof, values, strict=True) if value is not None}
    return operation, sent | options(operation, OPERATIONS[operation], role)


def check_rules_of_aws(proof: Proof, role: Role | None, endpoint: str) -> None:
    """Check what STS of AWS always refuses, if *endpoint* is AWS's; other servers have rules of their own.

    Raises what `SAMLAssertion.check_for_aws` raises.
    """
    if isinstance(proof, SAMLAssertion) and role is not None and is_aws_endpoint(endpoint):
        proof.check_for_aws(role.duration)


def is_aws_endpoint(url: str) -> bool:
    """Return whether *url* is an endpoint of STS at AWS, in any partition; VPC endpoints are."""
    from urllib.parse import urlsplit

    host = (urlsplit(url).hostname or "").removesuffix(".")
    suffix = next((each for each in _SUFFIXES if host.endswith(f".{each}")), None)
    labels = host.removesuffix(f".{suffix}").split(".")
    return suffix is not None and len(labels) <= 4 and bool({"sts", "sts-fips"} & set(labels[:2]))


def check_known(model: ServiceModel, operation: str, sent: Mapping[str, object]) -> None:
    """A parameter that is newer than the botocore at hand ends here, and not in an error that shows all the others."""
    shape: Any = model.operation_model(operation).input_shape
    if unknown := [name for name in sent if name not in shape.members]:
        raise RoleError(
            f"this botocore does not know the parameter {unknown[0]} of {operation}",
            remedy="install a newer one",
            option=next((option for option, names in PARAMETERS.items() if unknown[0] in names), "extra"),
        )


def options(name: str, operation: Operation, role: Role) -> dict[str, object]:
    """What *role* asks for, as parameters of the operation called *name*.

    Raises `RoleError` where it asks for what *operation* does not take.
    """
    accepted = operation.options
    given = {option: getattr(role, option) for option in PARAMETERS}
    given = {option: value for option, value in given.items() if value is not None and value != () and value != {}}
    if refused := [option for option in given if option not in accepted]:
        raise RoleError(
            f"{name} does not take {refused[0]}: the identity provider sets it, or AssumeRole alone has it",
            remedy="leave it out",
            option=refused[0],
        )
    if "session_name" in accepted and "session_name" not in given:
        given["session_name"] = default_session_name()
    if role.policy is not None and name != "AssumeRole":
        check_size("policy for SAML or web identity", len(role.policy))
    return dict(role.extra) | in_sts_terms(given)


def in_sts_terms(given: Mapping[str, Any]) -> dict[str, object]:
    """The options that were *given*, as STS has them, but for None; in the place of an MFA code what asks for it."""
    sent: dict[str, object] = {}
    for option, value in given.items():
        if value is None:
            continue
        sent.update(zip(PARAMETERS[option], _on_the_wire(option, value), strict=True))
    return sent


def with_code(sent: Mapping[str, object]) -> dict[str, object]:
    """What is *sent*, with an MFA code where one is needed. It is the last thing before the call: none is wasted."""
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
    """What no error may tell of a call: all that is secret in the proof and in what is sent."""
    values = [getattr(proof, each.name) for each in fields(type(proof))]
    contexts: Any = sent.get("ProvidedContexts", ())
    values += [*sent.values(), *(each["ContextAssertion"] for each in contexts)]
    return tuple(value for value in values if isinstance(value, Secret))


def credentials_in(answer: Mapping[str, Any], now: datetime | None = None) -> Credentials:
    """What STS has given. Raises `ProofInvalid` where that is of no use, by the system's clock or at that time."""
    credentials = Credentials.from_dict(answer)
    if credentials.session_token is None or credentials.expiration is None:
        raise ProofInvalid("it has no session token or no expiration")
    if credentials.is_expired(now=now):
        raise ProofInvalid("its credentials have expired already", remedy="check the clock of this machine")
    if (credentials.expires_in(now=now) or _LONGEST) >= _LONGEST:
        raise ProofInvalid("its credentials would never expire")
    return credentials


def identity_in(answer: Mapping[str, Any]) -> CallerIdentity:
    """Whose credentials STS says they are. Raises `ProofInvalid` where it does not."""
    account, arn, user_id = (answer.get(name) for name in ("Account", "Arn", "UserId"))
    if not (account and arn and user_id):
        raise ProofInvalid("it does not name account, ARN and user id")
    return CallerIdentity(account=account, arn=arn, user_id=user_id)
