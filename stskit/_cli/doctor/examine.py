"""What is behind `stskit doctor`: it reports what decides whether a role can be assumed, and assumes none.

Without `run` no program runs, and no server is called but STS, for its time. Nobody signs in, and no secret is shown.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from stskit._cli.doctor.files import of_cache, of_shared_file, shared_file
from stskit._cli.doctor.findings import Finding, finding_from_error
from stskit._cli.doctor.server import of_server
from stskit._cli.doctor.sources import of_keys_file, of_profile, of_saml_file, of_token_file
from stskit._time import SystemClock
from stskit._version import __version__
from stskit.errors import RoleError
from stskit.protocols import Clock
from stskit.sts import BotocoreSTS
from stskit.sts.requests import is_aws_endpoint

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
    allow_http: bool = False,
    offline: bool = False,
    run: bool = False,
    clock: Clock = SystemClock(),
) -> Iterator[Finding]:
    """Yield what is found, in turn: versions, the source of proof that is named or the ambient one, STS, the files.

    *json_field*: of the OIDC token file. *offline*: no request at all. *run*: fetch the credentials, also where that
    runs a program or calls a server. Nothing that is wrong raises.
    """
    yield _versions()
    credentials, config = shared_file("credentials"), shared_file("config")
    are_files_wrong = bool(credentials.fault or config.fault)
    partition: str | None = None
    is_ambient = saml_file is oidc_token_file is keys_file is None
    if saml_file is not None:
        other = endpoint_url or os.environ.get("AWS_ENDPOINT_URL_STS") or os.environ.get("AWS_ENDPOINT_URL")
        for finding in of_saml_file(saml_file, clock, is_for_aws=not other or is_aws_endpoint(other)):
            partition = partition or str(finding.facts.get("partition", "")) or None
            yield finding
    elif oidc_token_file is not None:
        yield from of_token_file(oidc_token_file, clock, json_field)
    elif keys_file is not None:
        yield from of_keys_file(keys_file, clock)
    elif are_files_wrong:
        about = "ambient credentials" if profile is None else f"profile {profile}"
        text = "Which credentials would be used cannot be told before the files of profiles are in order"
        yield Finding(about, "note", text, "see what is said about them below")
    else:
        yield from of_profile(profile, clock, run=run)
    signed = saml_file is oidc_token_file is None
    if signed and are_files_wrong:
        yield Finding("region", "note", "The region and the endpoint cannot be told before the files are in order")
    else:
        try:
            sts = BotocoreSTS(region, endpoint_url=endpoint_url, use_fips=use_fips, allow_http=allow_http)
        except RoleError as error:
            yield finding_from_error("endpoint", error)
        else:
            yield from of_server(sts, partition, clock, signed=signed, offline=offline, is_ambient=is_ambient)
    for file in (config, credentials):
        yield from of_shared_file(file, clock)
    yield of_cache()


def _versions() -> Finding:
    from platform import python_version

    facts: dict[str, str | int] = {"stskit": __version__, "Python": python_version()}
    facts |= {name: found for name in ("botocore", "boto3") if (found := _version_of(name))}
    without = "" if "boto3" in facts else ", and no boto3, which only its sessions need"
    return Finding("versions", "ok", ", ".join(f"{name} {of}" for name, of in facts.items()) + without, facts=facts)


def _version_of(package: str) -> str | None:
    """Return the version of *package*; None where it is not there. A bundle may come without the metadata."""
    from importlib.metadata import PackageNotFoundError, version
    from importlib.util import find_spec

    try:
        return version(package)
    except PackageNotFoundError:
        return "of unknown version" if find_spec(package) else None
