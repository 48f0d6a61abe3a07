"""What `stskit doctor` says about the region in which STS would be asked."""

from __future__ import annotations

from stskit._cli.doctor.findings import Finding

__all__ = ["of_region"]


def of_region(region: str, named_by: str, wanted: str, *, is_at_aws: bool) -> Finding:
    """*region*, where STS would be asked; *wanted* is the one that *named_by* names, both "" where nothing does.

    *is_at_aws*: whether that is AWS's STS, whose regions are known.
    """
    if wanted != region:
        facts = {"region": region, "from": "default"}
        why = f"{named_by} names {wanted}, which is not where the role is" if wanted else "No region is named"
        text = f"{why}, so STS would be asked in {region}"
        return Finding("region", "note", text, "set AWS_REGION, or give --region, for an endpoint near you", facts)
    facts = {"region": region, "from": named_by}
    text = f"STS would be asked in {region}, as {named_by} says"
    remedy = _if_unknown(region) if is_at_aws else ""
    if remedy:
        return Finding("region", "note", f"{text}, and botocore knows no region of that name", remedy, facts)
    return Finding("region", "ok", text, facts=facts)


def _if_unknown(region: str) -> str:
    """What to do about a name that is in no list, for a slip of the pen or for being new; "" for one that is in it."""
    from difflib import get_close_matches

    from stskit.sts.loader import regions

    known = regions()
    if region in known:
        return ""
    near = get_close_matches(region, known, 1)
    return f"correct it, if {near[0]} is meant" if near else "correct it, or get a newer botocore"
