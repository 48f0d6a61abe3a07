"""Draw the refresh policy as two vertical timelines, from the real `RefreshPolicy`."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from xml.sax.saxutils import escape

from stskit import RefreshPolicy

__all__ = ["failures", "picture"]

LIFETIME = timedelta(hours=1)
_MINUTE = timedelta(minutes=1)
_FIRST = timedelta(minutes=38)  # the time before it is shortened
_LAST = timedelta(minutes=62)
_TOP, _SCALE = 84, 17.0  # position of _FIRST, and units for a minute
_LEFT, _RIGHT, _WIDE = 64, 240, 40  # the two bars


def picture(policy: RefreshPolicy = RefreshPolicy()) -> str:
    """Return an SVG in Markdown, for credentials of one hour: refreshes, and attempts after failures."""
    height = _y(_LAST) + 10
    inside = "\n".join((*_axis(), *_all_is_well(policy), *_failing(policy)))
    said = "Timeline of credentials of one hour, with the same content as the table above"
    return (
        f'<div class="timeline">\n<svg viewBox="0 0 400 {height:.0f}" role="img" aria-label="{said}">\n'
        f"{inside}\n</svg>\n</div>\n\n{_legend(policy)}\n"
    )


def failures(policy: RefreshPolicy) -> list[timedelta]:
    """Return the times of attempts of a source that always fails, with pauses in the middle of their range."""
    advisory, _ = policy.windows(LIFETIME, 0.5)
    least, most = policy.pause(1, valid=True)
    tries, moment = [], LIFETIME - advisory
    while moment < LIFETIME:
        tries.append(moment)
        moment += timedelta(seconds=(least + most) / 2)
    return tries


def _y(moment: timedelta) -> float:
    return _TOP + (moment - _FIRST) / _MINUTE * _SCALE


def _text(x: float, y: float, text: str, kind: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}">{escape(text)}</text>'


def _bar(x: int, begin: float, end: float, kind: str) -> str:
    return f'<rect x="{x}" y="{begin:.1f}" width="{_WIDE}" height="{end - begin:.1f}" class="{kind}"/>'


def _axis() -> Iterator[str]:
    yield _text(_LEFT, 14, "STS available", "head")
    yield _text(_RIGHT, 14, "STS unavailable", "head")
    yield _text(0, 36, "0:00")
    for minute in (45, 50, 55, 60):
        moment = timedelta(minutes=minute)
        yield _text(0, _y(moment) + 4, f"{minute // 60}:{minute % 60:02}")


def _all_is_well(policy: RefreshPolicy) -> Iterator[str]:
    latest, mandatory = policy.windows(LIFETIME, 0)
    earliest, _ = policy.windows(LIFETIME, 1)
    yield from _fresh(_LEFT, LIFETIME - earliest)
    stretches = (
        ("jitter", earliest, latest, ("random start", "(jitter)")),
        ("advisory", latest, mandatory, ("advisory window:", "one caller fetches,", "others continue")),
        ("mandatory", mandatory, timedelta(0), ("mandatory:", "others wait")),
    )
    for kind, begin, end, words in stretches:
        top, bottom = _y(LIFETIME - begin), _y(LIFETIME - end)
        yield _bar(_LEFT, top, bottom, kind)
        first = bottom - 2 if kind == "mandatory" else (top + bottom) / 2 - 7 * (len(words) - 1) + 4
        yield from (_text(_LEFT + _WIDE + 8, first + 15 * line, word) for line, word in enumerate(words))


def _failing(policy: RefreshPolicy) -> Iterator[str]:
    tries = failures(policy)
    yield from _fresh(_RIGHT, tries[0])
    yield _bar(_RIGHT, _y(tries[0]), _y(LIFETIME), "advisory")
    yield _bar(_RIGHT, _y(LIFETIME), _y(_LAST), "expired")
    for number, moment in enumerate(tries):
        yield f'<circle cx="{_RIGHT + _WIDE / 2:.0f}" cy="{_y(moment):.1f}" r="5" class="try"/>'
        yield _text(_RIGHT + _WIDE + 8, _y(moment) + 4, "an attempt fails" if number == 0 else "next attempt")
    for line, word in enumerate(("expired: more", "frequent attempts")):
        yield _text(_RIGHT + _WIDE + 8, _y(LIFETIME) + 14 + 15 * line, word)


def _fresh(x: int, end: timedelta) -> Iterator[str]:
    yield _bar(x, 26, _y(end), "fresh")
    yield f'<path d="M{x - 3} 58 l{_WIDE + 6} -6 m0 8 l-{_WIDE + 6} 6" class="break"/>'
    yield _text(x + _WIDE + 8, 46, "fresh: no call")


def _legend(policy: RefreshPolicy) -> str:
    latest, mandatory = policy.windows(LIFETIME, 0)
    earliest, _ = policy.windows(LIFETIME, 1)
    shortest, longest = policy.pause(1, valid=True)
    minutes = f"{shortest / 60:g} to {longest / 60:g} minutes"
    first, *_, last = (policy.pause(failures, valid=False)[0] for failures in range(2, 10))
    seconds = f"at once, and then after {first:g} to {last:g} seconds"
    return (
        f"The advisory window starts {earliest / _MINUTE:g} to {latest / _MINUTE:g} minutes before the expiration, and "
        f"the mandatory window {mandatory / _MINUTE:g} minute before it. After a failure, the next attempt "
        "follows at the first use after "
        f"{minutes}. When the credentials have expired, it follows {seconds}. The picture shows the middle of "
        "each range."
    )
