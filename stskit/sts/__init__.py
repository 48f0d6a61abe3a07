"""The exchange: a proof and a role go to AWS STS, and credentials come back."""

from stskit.sts.botocore_sts import BotocoreSTS

__all__ = ["BotocoreSTS"]
