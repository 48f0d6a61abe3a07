"""Examine everything that decides whether a role can be assumed, without assuming one.

Without `run`, no program is started and the only request goes to STS, for its time. No secret is shown.
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
    """Yield findings about versions, the source of the proof, STS and the files. Problems do not raise.

    *offline* makes no request. *run* fetches the credentials, even if that starts a program or calls a server.
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
        about = "credential chain" if profile is None else f"profile {profile}"
        text = "The credentials are unknown, because the config file or the credentials file has an error"
        yield Finding(about, "note", text, "Correct the errors below.")
    else:
        yield from of_profile(profile, clock, run=run)
    signed = saml_file is oidc_token_file is None
    if signed and are_files_wrong:
        text = "The region and the endpoint are unknown, because a file has an error"
        yield Finding("region", "note", text, "Correct the errors below.")
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
    without = "" if "boto3" in facts else ", without boto3 (only boto3 sessions need it)"
    return Finding("versions", "ok", ", ".join(f"{name} {of}" for name, of in facts.items()) + without, facts=facts)


def _version_of(package: str) -> str | None:
    """Return the version of a package, or None. A bundled package may have no metadata."""
    from importlib.metadata import PackageNotFoundError, version
    from importlib.util import find_spec

    try:
        return version(package)
    except PackageNotFoundError:
        return "(unknown version)" if find_spec(package) else None
