"""Write tables from the code as Markdown, when the documentation is built."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

from attrs import evolve

from stskit.limits import LIMITS, PARAMETERS, Limit
from stskit.sts.remedies import ANY_5XX, ANY_OTHER, REMEDIES, Remedy
from stskit.sts.requests import OPERATIONS

__all__ = ["conformance", "errors", "limits", "missing", "uncovered"]

# Parameters that come from the proof: the attribute, and the check.
_OF_THE_PROOF = {
    "PrincipalArn": (
        "`principal_arn` of {class}`~stskit.SAMLAssertion`, else the provider that the assertion lists for the role",
        "not checked",
    ),
    "SAMLAssertion": (
        "{class}`~stskit.SAMLAssertion`",
        "4 to 100,000 characters of base64, by `from_text` and {class}`~stskit.sources.SAMLFile`",
    ),
    "WebIdentityToken": (
        "{class}`~stskit.WebIdentityToken`",
        "4 to 20,000 visible characters of ASCII, by {class}`~stskit.sources.OIDCTokenFile`",
    ),
    "ProviderId": ("`provider_id` of {class}`~stskit.WebIdentityToken`", "not checked"),
}
# Options whose entries have limits, and the names of these in the table of limits.
_ENTRIES = {
    "policy_arns": ("policy ARN",),
    "tags": ("tag key", "tag value"),
    "transitive_tag_keys": ("tag key",),
    "provided_contexts": ("provider ARN", "context assertion"),
}
_HOW_OFFERED = {
    "AssumeRole": "{func}`stskit.assume` and {class}`stskit.AssumedRole`, with AWS credentials as the proof",
    "AssumeRoleWithSAML": "the same functions with a {class}`stskit.SAMLAssertion`; the call is not signed",
    "AssumeRoleWithWebIdentity": "the same functions with a {class}`stskit.WebIdentityToken`; the call is not signed",
    "GetSessionToken": "{class}`stskit.sources.SessionToken`",
    "GetCallerIdentity": "{func}`stskit.caller_identity`",
}


# STS errors ----------------------------------------------------------------------------------------------------------


def errors() -> str:
    """Return a section for each error code of STS that stskit knows, with the remedies."""
    rows: dict[str, list[Remedy]] = {}
    for row in (*REMEDIES, ANY_5XX, ANY_OTHER):
        rows.setdefault(row.code, []).append(row)
    return "\n\n".join(f"## {_title(code)}\n\n{_remedies(rows[code])}" for code in sorted(rows, key=_last_if_general))


def _last_if_general(code: str) -> tuple[bool, bool, str]:
    return " " in code, code == ANY_OTHER.code, code


def _title(code: str) -> str:
    return code[0].upper() + code[1:]


def _remedies(rows: Sequence[Remedy]) -> str:
    return "\n".join(f"- {_when(row)}{_plain(row.text)}{_also(row)}" for row in rows)


def _when(row: Remedy) -> str:
    pattern = f"message `{row.message_pattern}`" if row.message_pattern else ""
    when = [row.operation or "", pattern]
    said = ", ".join(filter(None, when))
    return f"*{said[0].upper()}{said[1:]}*: " if said else ""


def _also(row: Remedy) -> str:
    shows = {
        "proof": "The remedy includes the content of the proof.",
        "clock": "The remedy includes the difference of the clocks.",
        "both": "The remedy includes the content of the proof and the difference of the clocks.",
        "policy": "The remedy includes the used part of the limit, or the position of the error in the policy.",
        "": "",
    }
    again = "`retryable` is true." if row.retryable else ""
    said = " ".join(filter(None, (shows[row.context], again)))
    return f" <small>{said}</small>" if said else ""


def _plain(text: str) -> str:
    return text.replace("*", "\\*").replace("_", "\\_")


# Conformance ---------------------------------------------------------------------------------------------------------


def conformance() -> str:
    """Return each operation and parameter of the installed service model of STS, with the option of stskit."""
    from botocore import __version__
    from botocore.session import Session

    model = Session().get_service_model("sts")
    offered = [f"\n## {name}\n\n{_operation(model.operation_model(name))}" for name in OPERATIONS]
    others = [f"- {name}: {_first_sentence_of_aws(model.operation_model(name))}" for name in missing(model)]
    head = f"From the service model of STS {model.api_version} in botocore {__version__}.\n"
    return "\n".join([head, *offered, "\n## Other operations\n\nstskit does not call these operations:\n", *others])


def missing(model: Any) -> list[str]:
    """Return the operations of *model* that stskit does not call."""
    return [name for name in model.operation_names if name not in OPERATIONS]


def uncovered(model: Any) -> list[str]:
    """Return the parameters of the operations that stskit calls, but that its table does not have."""
    return [
        f"{operation}.{name}"
        for operation in OPERATIONS
        for name in _members(model.operation_model(operation))
        if _option(operation, name) is None and name not in OPERATIONS[operation].proof
    ]


def _members(operation: Any) -> Mapping[str, Any]:
    members: Mapping[str, Any] = operation.input_shape.members if operation.input_shape else {}
    return members


def _option(operation: str, parameter: str) -> str | None:
    """Return the option of stskit for *parameter*, or None."""
    found = (option for option in OPERATIONS[operation].options if parameter in PARAMETERS[option])
    return next(found, None)


def _operation(operation: Any) -> str:
    members = _members(operation)
    if not members:
        return f"Use {_HOW_OFFERED[operation.name]}. It has no parameters."
    required = operation.input_shape.required_members
    rows = [
        (_called(operation.name, name, name in required), *_compared(operation.name, name, members[name]))
        for name in members
    ]
    head = ("parameter and option", "limits of the model", "limits of stskit")
    return f"Use {_HOW_OFFERED[operation.name]}.\n\n{_table(head, rows)}"


def _called(operation: str, name: str, required: bool) -> str:
    option = _option(operation, name)
    ours = _OF_THE_PROOF[name][0] if option is None else f"`{option}`"
    return f"`{name}`{' (required)' if required else ''}<br>{ours}"


def _compared(operation: str, name: str, shape: Any) -> tuple[str, str]:
    option = _option(operation, name)
    if option is None:
        return _stated(shape), _OF_THE_PROOF[name][1]
    return _stated(shape), "; ".join(_limits_of(operation, option, name))


def _limits_of(operation: str, option: str, parameter: str) -> Iterator[str]:
    if option == "mfa":
        yield _limit(LIMITS["MFA serial" if parameter == "SerialNumber" else "MFA code"])
    elif option == "arn":
        yield "role ARN, up to 2,048 characters"
    elif option == "duration" and operation == "GetSessionToken":
        yield _limit(LIMITS["duration of a session token"])
    elif option == "policy" and operation != "AssumeRole":
        yield _limit(evolve(LIMITS[option], most=LIMITS["policy for SAML or web identity"].most))
    else:
        yield _limit(LIMITS[option])
    yield from (f"{entry}: {_limit(LIMITS[entry])}" for entry in _ENTRIES.get(option, ()))


def _stated(shape: Any) -> str:
    stated, kind = shape.metadata, shape.type_name
    unit = {"string": "characters", "list": "entries"}.get(kind, "")
    least, most = stated.get("min"), stated.get("max")
    size = f"{_range(least, most)} {unit}".strip() if least is not None or most is not None else ""
    pattern = f'<code class="pattern">{_plain(escape(_cell(stated["pattern"])))}</code>' if "pattern" in stated else ""
    return "; ".join(filter(None, (kind, size, pattern)))


def limits() -> str:
    """Return a table of all limits that are checked before a call."""
    return _table(("option", "limits of STS"), [(f"`{name}`", _limit(limit)) for name, limit in LIMITS.items()])


def _limit(limit: Limit) -> str:
    size = f"{_range(limit.least, limit.most)} {limit.unit}"
    return f"{size}: {_plain(_cell(limit.characters))}" if limit.characters else size


def _range(least: int | None, most: int | None) -> str:
    if most is None:
        return f"{least:,} or more"
    return f"{most:,}" if least == most else f"{least or 0:,} to {most:,}"


def _first_sentence_of_aws(operation: Any) -> str:
    text = re.sub(r"<[^>]+>", "", operation.documentation)
    return _plain(" ".join(text.split()).partition(". ")[0].rstrip(".") + ".")


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
