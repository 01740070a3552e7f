"""Steps in the history of a server's workflow: quick ones are markers of local activities there."""

import json

from temporalio.api.history.v1 import HistoryEvent

from kitsune import names

#: The SDK's name for the marker that a local activity leaves, with a JSON object under `data`.
_MARKER = "core_local_activity"


def local_step(event: HistoryEvent) -> str | None:
    """Return the activity type of a step that an event says has run as a local activity, or None for other events."""
    marker = event.marker_recorded_event_attributes
    if marker.marker_name != _MARKER or not marker.details["data"].payloads:
        return None
    kind = json.loads(marker.details["data"].payloads[0].data).get("activity_type")
    return kind if kind in (names.EXECUTE_STEP, names.ROLLBACK_STEP) else None


def summary_of(event: HistoryEvent) -> str:
    """Return what an event's summary calls its step, as in `2/5 write (file_write)`."""
    return event.user_metadata.summary.data.decode(errors="replace").strip('"') or "a step"
