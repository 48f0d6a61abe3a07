"""What is behind `stskit doctor`: looks at all that decides whether a role can be assumed, and assumes none.

No program is run, nobody is signed in, and no secret is told. Of STS it asks the time alone.
"""

from __future__ import annotations

from collections.abc import Iterator

from stskit._cli.doctor.credentials import is_missing, of_credentials
from stskit._cli.doctor.files import of_cache, of_shared_file, shared_file
from stskit._cli.doctor.findings import Finding, of_message
from stskit._cli.doctor.proofs import of_keys_file, of_saml_file, of_token_file
from stskit._cli.doctor.server import Server, of_clock, of_server, of_variables, server
from stskit._time import SystemClock
from stskit.errors import RoleError
from stskit.protocols import Clock
from stskit.sts import BotocoreSTS

__all__ = ["Finding", "examine"]


def examine(
    *,
    saml_file: str | None = None,
    oidc_token_file: str | None = None,
    json_field: str | None = None,
    profile: str | None = None,
    keys_file: str | None = None,
    region: str | None = None,
    endpoint_url: str | None = None,
    use_fips: bool = False,
    offline: bool = False,
    clock: Clock = SystemClock(),
) -> Iterator[Finding]:
    """What is so and what is wrong, one after the other as it is found out: versions, the source of proof that is named
    or the ambient one, the server, its clock, the files.

    *json_field*: of the OIDC token file. *offline*: no request at all. Nothing that is wrong raises.
    """
    yield _versions()
    credentials, config = shared_file("credentials"), shared_file("config")
    partition: str | None = None
    for finding in () if saml_file is None else of_saml_file(saml_file, clock):
        partition = partition or str(finding.facts.get("partition", "")) or None
        yield finding
    if oidc_token_file is not None:
        yield from of_token_file(oidc_token_file, clock, json_field)
    if keys_file is not None:
        yield from of_keys_file(keys_file, clock)
    if saml_file is oidc_token_file is keys_file is None:
        yield from of_credentials(profile, credentials, config, clock)
    signed = saml_file is oidc_token_file is None
    if signed and (credentials.fault or config.fault):
        yield Finding("region", "note", "The region and the endpoint cannot be told before the files are in order")
    elif signed and profile and is_missing(profile):
        yield Finding("region", "note", "The region and the endpoint cannot be told before the profile is there")
    else:
        asked = _asked(region, endpoint_url, use_fips, partition, signed=signed)
        yield from _of_server(asked, offline=offline, clock=clock)
    for file in (config, credentials):
        yield from of_shared_file(file, clock)
    yield from of_cache()


def _of_server(asked: Server | Finding, *, offline: bool, clock: Clock) -> Iterator[Finding]:
    yield from of_variables()
    if isinstance(asked, Finding):
        yield asked
        return
    yield from of_server(asked)
    if offline:
        yield Finding(
            "clock", "note", "Nothing was asked of STS (offline), so neither the network nor the clock is judged"
        )
    else:
        yield of_clock(asked, clock)


def _asked(
    region: str | None, endpoint_url: str | None, use_fips: bool, partition: str | None, *, signed: bool
) -> Server | Finding:
    try:
        sts = BotocoreSTS(region, endpoint_url=endpoint_url, use_fips=use_fips)
    except RoleError as error:
        return of_message("endpoint", "wrong", error)
    return server(sts, partition, signed=signed)


def _versions() -> Finding:
    from importlib.metadata import PackageNotFoundError, version
    from platform import python_version

    facts: dict[str, str | int] = {"stskit": version("stskit"), "Python": python_version()}
    facts["botocore"] = version("botocore")
    without = ""
    try:
        facts["boto3"] = version("boto3")
    except PackageNotFoundError:
        without = ", and no boto3, which only its sessions need"
    return Finding("versions", "ok", ", ".join(f"{name} {of}" for name, of in facts.items()) + without, facts=facts)
