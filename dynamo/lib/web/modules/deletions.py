"""Files that were deleted."""

from __future__ import annotations

from dynamo.web.modules._volumes import Activity, History


class DeletionHistory(History):
    """`history`: deleted volume by site over the last `hours`."""

    is_deletion = True
    title = "Dynamo Deletions (volume)"
    label = "Deleted Volume [GB]"


class DeletionActivity(Activity):
    """The same as a page."""

    is_deletion = True
    page_title = "Dynamo deletions"


export_data = {"history": DeletionHistory}
export_web = {"activity": DeletionActivity}
