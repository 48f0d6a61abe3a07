"""A credential_process of your own, which provides credentials to the AWS CLI, every SDK and Terraform.

In ~/.aws/config:

    [profile deploy]
    credential_process = python credential_process.py arn:aws:iam::123456789012:role/Deploy /run/secrets/oidc-token

It prints only the document. If it fails, it prints nothing to standard output, and the reason to standard error.
"""

import os
import sys

from stskit import StskitError, assume
from stskit.sinks import CredentialProcess
from stskit.sources import OIDCTokenFile


def main(role: str, token_file: str) -> int:
    try:
        document = assume(role, source=OIDCTokenFile(token_file)).to(CredentialProcess())
        os.write(sys.stdout.fileno(), document.encode() + b"\n")  # writes at once, so that an error is raised here
    except (StskitError, OSError) as error:
        print(f"stskit: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
