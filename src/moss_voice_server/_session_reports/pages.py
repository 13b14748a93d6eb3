"""Pages: one request for a page of session reports, with the retries and deadlines of the credentials."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta, timezone
from typing import NamedTuple

from .._credentials.config import Config
from .._credentials.fetch import MOSS, failed, get, limits
from .._http.flow import Flow, Timing, with_retries
from .._http.model import LARGE_BODY, Failure, Response
from .._json import InvalidJSON, decode
from .._validation import label
from ..credentials import RefreshPolicy, seconds
from ..errors import CredentialsInvalid, CredentialsUnavailable, InvalidArgument
from .models import SessionReport, report

LIMIT = 100  # reports in a page
_MAX_DEPTH = 64  # levels of arrays and objects in a page
_DAY = timedelta(days=1)


class Query(NamedTuple):
    """Which reports: `since` is included, `until` is not."""

    since: datetime
    until: datetime
    room_name: str | None


def query(since: object, until: object, room_name: object, now: float) -> Query:
    """Checks the arguments of `session_reports`."""
    start = _aware("since", since)
    # Not before `since`, which may be a time by Moss's clock.
    end = max(start, datetime.fromtimestamp(now, timezone.utc)) if until is None else _aware("until", until)
    if end < start:
        raise InvalidArgument("until is before since", field="until", remedy="swap them")
    if isinstance(room_name, str) and not room_name.strip():
        raise InvalidArgument("room_name is empty", field="room_name", remedy="pass None for all rooms")
    return Query(start, end, None if room_name is None else label("room_name", room_name))


def _aware(argument: str, value: object) -> datetime:
    if not isinstance(value, datetime) or value.utcoffset() is None:
        raise InvalidArgument(
            f"{argument} must be a datetime with a time zone", field=argument, remedy="write datetime.now(timezone.utc)"
        )
    try:
        return value.astimezone(timezone.utc)
    except OverflowError:  # less than a day from the first or the last datetime, where the zone does not matter
        return value.replace(tzinfo=timezone.utc)


def page(
    config: Config, wanted: Query, number: int, policy: RefreshPolicy, timing: Timing
) -> Flow[list[dict[str, object]] | Failure]:
    """One page, or why there is none."""
    base, _, agent = config.url.rpartition("/get-voice-agent?")
    # The API filters by whole days: a day more on each side, so that its time zone does not matter.
    start, end = _day(wanted.since, -_DAY), _day(wanted.until, _DAY)
    url = f"{base}/session-reports?{agent}&start={start}&end={end}&limit={LIMIT}&page={number}"
    tries = limits(policy, policy.attempts, seconds(policy.total_timeout))

    def classify(response: Response) -> tuple[list[dict[str, object]] | Failure, bool]:
        return _reports(response) if response.is_success else failed(response, config, url)

    return with_retries(get(config, url, max_body=LARGE_BODY), classify, CredentialsUnavailable, tries, timing)


def selected(listed: list[dict[str, object]], wanted: Query, seen: set[str]) -> Iterator[SessionReport]:
    """The reports of a page that were requested and have not been seen: pages move while reports are stored."""
    for fields in listed:
        found = report(fields)
        if found.id and found.id in seen:
            continue
        seen.add(found.id)
        in_time = found.created_at is None or wanted.since <= found.created_at < wanted.until
        if in_time and wanted.room_name in (None, found.room_name):
            yield found


def _day(moment: datetime, offset: timedelta) -> date:
    try:
        return (moment + offset).date()
    except OverflowError:  # `datetime.min` and `datetime.max` mean all reports
        return moment.date()


def _reports(response: Response) -> tuple[list[dict[str, object]] | Failure, bool]:
    if response.is_compressed or response.is_truncated:
        reason = "is compressed" if response.is_compressed else f"is longer than {LARGE_BODY} bytes"
        return _invalid(reason), False
    try:
        listing = decode(response.body.reveal(), max_depth=_MAX_DEPTH)
    except InvalidJSON:
        return _invalid("is not JSON"), True
    listed = listing.get("reports") if isinstance(listing, dict) else None
    if not isinstance(listed, list):
        return _invalid('has no list "reports"'), False
    return [each if isinstance(each, dict) else {} for each in listed], False


def _invalid(reason: str) -> Failure:
    message = f"the Moss API's list of session reports {reason}"
    return Failure(CredentialsInvalid, message, f"check that {MOSS.setting} is the URL of the Moss API")
