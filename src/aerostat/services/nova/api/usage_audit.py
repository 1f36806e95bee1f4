"""/os-instance_usage_audit_log: which hosts have told what they ran in a period.

Hosts tell if `instance_usage_audit` is set upstream, which by default it is not; here they never
do: what servers used is told by /os-simple-tenant-usage.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from aerostat.kit.errors import BadRequest
from aerostat.kit.http.route import Request, Routes
from aerostat.services.nova import policies
from aerostat.services.nova.domain import hosts
from aerostat.services.nova.runtime import Nova

routes: Routes[Nova] = Routes("usage_audit")
URL = "/os-instance_usage_audit_log"
FORMATS = ("%Y-%m-%d %H:%M:%S.%f", "%Y-%m-%d %H:%M:%S")


@routes.get(URL, policy=policies.USAGE_AUDIT["list"])
async def index(nova: Nova, _req: Request[None]) -> dict[str, Any]:
    """Tell about the last whole month."""
    before = datetime.fromtimestamp(nova.clock.now(), UTC)
    return {"instance_usage_audit_logs": await _told(nova, before)}


@routes.get(URL + "/{before}", policy=policies.USAGE_AUDIT["show"])
async def show(nova: Nova, req: Request[None]) -> dict[str, Any]:
    """Tell about the last whole month before a moment."""
    return {"instance_usage_audit_log": await _told(nova, _moment(req.path["before"]))}


def _moment(text: str) -> datetime:
    for form in FORMATS:
        try:
            return datetime.strptime(text, form).replace(tzinfo=UTC)
        except ValueError:
            continue
    raise BadRequest(f"Invalid timestamp for date {text}", field="before_timestamp")


def month_before(moment: datetime) -> tuple[datetime, datetime]:
    """Return the beginning and the end of the last month that was over at `moment`."""
    end = moment.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return (end - timedelta(days=1)).replace(day=1), end


async def _told(nova: Nova, before: datetime) -> dict[str, Any]:
    services = await hosts.services(nova)
    silent = sorted(s.host for s, _zone in services if s.binary == "nova-compute")
    begin, end = (f"{at:%Y-%m-%d %H:%M:%S}" for at in month_before(before))
    done = f"0 of {len(silent)}" if silent else "ALL"
    return {
        "period_beginning": begin,
        "period_ending": end,
        "num_hosts": len(silent),
        "num_hosts_done": 0,
        "num_hosts_running": 0,
        "num_hosts_not_run": len(silent),
        "hosts_not_run": silent,
        "total_instances": 0,
        "total_errors": 0,
        "overall_status": f"{done} hosts done. 0 errors.",
        "log": {},
    }
