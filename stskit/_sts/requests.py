"""What goes out: the options of a `Role`, checked against what an operation takes, under the names that STS has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import fields, frozen

from stskit._secret import Secret
from stskit._sts.limits import PARAMETERS, check_size
from stskit.errors import RoleError
from stskit.identity import Proof
from stskit.roles import Role, default_session_name

__all__ = ["Operation", "in_sts_terms", "options", "secrets", "with_code"]


@frozen
class Operation:
    """What an operation of STS takes: the options by the names in `PARAMETERS`, and the parameters of the proof."""

    options: tuple[str, ...] = ()
    proof: tuple[str, ...] = ()


def options(name: str, operation: Operation, role: Role) -> dict[str, object]:
    """What *role* asks for, as parameters of the operation called *name*.

    Raises `RoleError` where it asks for what *operation* does not take.
    """
    accepted = operation.options
    given = {option: getattr(role, option) for option in PARAMETERS}
    given = {option: value for option, value in given.items() if value is not None and value != () and value != {}}
    if refused := [option for option in given if option not in accepted]:
        raise RoleError(
            f"{name} does not take {refused[0]}: the identity provider sets it, or AssumeRole alone has it; "
            "leave it out"
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
