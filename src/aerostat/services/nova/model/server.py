"""A server, its states and the moves between them; pure.

Source: compute api-guide, "Server Concepts"; states as upstream names them.
"""

from enum import StrEnum
from typing import Any

from msgspec import Struct

from aerostat.services.nova.model.guest import PowerState


class VmState(StrEnum):
    """What a server is, when nothing is being done to it."""

    BUILDING = "building"
    ACTIVE = "active"
    STOPPED = "stopped"
    PAUSED = "paused"
    SUSPENDED = "suspended"
    RESIZED = "resized"
    RESCUED = "rescued"
    SHELVED = "shelved"
    SHELVED_OFFLOADED = "shelved_offloaded"
    ERROR = "error"
    DELETED = "deleted"


class TaskState(StrEnum):
    """What is being done to a server right now."""

    SCHEDULING = "scheduling"
    NETWORKING = "networking"
    BLOCK_DEVICE_MAPPING = "block_device_mapping"
    SPAWNING = "spawning"
    REBOOTING = "rebooting"
    REBOOTING_HARD = "rebooting_hard"
    POWERING_ON = "powering-on"
    POWERING_OFF = "powering-off"
    PAUSING = "pausing"
    UNPAUSING = "unpausing"
    SUSPENDING = "suspending"
    RESUMING = "resuming"
    REBUILDING = "rebuilding"
    RESIZE_PREP = "resize_prep"
    RESIZE_MIGRATING = "resize_migrating"
    RESIZE_MIGRATED = "resize_migrated"
    RESIZE_FINISH = "resize_finish"
    RESIZE_REVERTING = "resize_reverting"
    MIGRATING = "migrating"
    RESCUING = "rescuing"
    UNRESCUING = "unrescuing"
    IMAGE_SNAPSHOT = "image_snapshot"
    IMAGE_BACKUP = "image_backup"
    SHELVING = "shelving"
    SHELVING_OFFLOADING = "shelving_offloading"
    UNSHELVING = "unshelving"
    DELETING = "deleting"


POWER_NUMBERS: dict[str, int] = {
    PowerState.NOSTATE: 0,
    PowerState.RUNNING: 1,
    PowerState.PAUSED: 3,
    PowerState.SHUTDOWN: 4,
    PowerState.CRASHED: 6,
    PowerState.SUSPENDED: 7,
}
"""Source: compute api-ref, OS-EXT-STS:power_state."""

STATE_OF_POWER: dict[PowerState, VmState] = {
    PowerState.RUNNING: VmState.ACTIVE,
    PowerState.PAUSED: VmState.PAUSED,
    PowerState.SHUTDOWN: VmState.STOPPED,
    PowerState.CRASHED: VmState.STOPPED,
    PowerState.SUSPENDED: VmState.SUSPENDED,
}
"""The resting state that a power state means."""

STATUS: dict[str, str] = {
    VmState.BUILDING: "BUILD",
    VmState.ACTIVE: "ACTIVE",
    VmState.STOPPED: "SHUTOFF",
    VmState.PAUSED: "PAUSED",
    VmState.SUSPENDED: "SUSPENDED",
    VmState.RESIZED: "VERIFY_RESIZE",
    VmState.RESCUED: "RESCUE",
    VmState.SHELVED: "SHELVED",
    VmState.SHELVED_OFFLOADED: "SHELVED_OFFLOADED",
    VmState.ERROR: "ERROR",
    VmState.DELETED: "DELETED",
}

_RESIZING = (
    TaskState.RESIZE_PREP,
    TaskState.RESIZE_MIGRATING,
    TaskState.RESIZE_MIGRATED,
    TaskState.RESIZE_FINISH,
)

_BUSY: dict[tuple[str, str | None], str] = {
    **{(vm, task): "RESIZE" for vm in (VmState.ACTIVE, VmState.STOPPED) for task in _RESIZING},
    (VmState.RESIZED, TaskState.RESIZE_REVERTING): "REVERT_RESIZE",
    (VmState.ACTIVE, TaskState.MIGRATING): "MIGRATING",
    (VmState.PAUSED, TaskState.MIGRATING): "MIGRATING",
    (VmState.ACTIVE, TaskState.REBUILDING): "REBUILD",
    (VmState.STOPPED, TaskState.REBUILDING): "REBUILD",
    (VmState.ERROR, TaskState.REBUILDING): "REBUILD",
    (VmState.ACTIVE, TaskState.REBOOTING): "REBOOT",
    (VmState.STOPPED, TaskState.REBOOTING): "REBOOT",
    (VmState.ACTIVE, TaskState.REBOOTING_HARD): "HARD_REBOOT",
    (VmState.STOPPED, TaskState.REBOOTING_HARD): "HARD_REBOOT",
    (VmState.PAUSED, TaskState.REBOOTING_HARD): "HARD_REBOOT",
    (VmState.SUSPENDED, TaskState.REBOOTING_HARD): "HARD_REBOOT",
    (VmState.ERROR, TaskState.REBOOTING_HARD): "HARD_REBOOT",
}


def status(vm_state: str, task_state: str | None) -> str:
    """Return the status that the API shows."""
    return _BUSY.get((vm_state, task_state)) or STATUS.get(vm_state, "UNKNOWN")


def states_of(wanted: str) -> list[str]:
    """Return the vm_states behind an API status; none for a status nobody knows."""
    name = wanted.upper()
    busy = {vm_state for (vm_state, _), shown in _BUSY.items() if shown == name}
    return [state for state, shown in STATUS.items() if shown == name or state in busy]


class Action(Struct, frozen=True):
    """A power action: where it may start, the task it shows, where it ends."""

    name: str
    allowed: frozenset[VmState]
    task: TaskState
    becomes: VmState
    power: PowerState


ACTIONS: dict[str, Action] = {
    action.name: action
    for action in (
        Action(
            "start",
            frozenset({VmState.STOPPED}),
            TaskState.POWERING_ON,
            VmState.ACTIVE,
            PowerState.RUNNING,
        ),
        Action(
            "stop",
            frozenset({VmState.ACTIVE, VmState.ERROR}),
            TaskState.POWERING_OFF,
            VmState.STOPPED,
            PowerState.SHUTDOWN,
        ),
        Action(
            "reboot",
            frozenset({VmState.ACTIVE}),
            TaskState.REBOOTING,
            VmState.ACTIVE,
            PowerState.RUNNING,
        ),
        Action(
            "reboot_hard",
            frozenset(
                {
                    VmState.ACTIVE,
                    VmState.STOPPED,
                    VmState.PAUSED,
                    VmState.SUSPENDED,
                    VmState.ERROR,
                }
            ),
            TaskState.REBOOTING_HARD,
            VmState.ACTIVE,
            PowerState.RUNNING,
        ),
        Action(
            "pause",
            frozenset({VmState.ACTIVE}),
            TaskState.PAUSING,
            VmState.PAUSED,
            PowerState.PAUSED,
        ),
        Action(
            "unpause",
            frozenset({VmState.PAUSED}),
            TaskState.UNPAUSING,
            VmState.ACTIVE,
            PowerState.RUNNING,
        ),
        Action(
            "suspend",
            frozenset({VmState.ACTIVE}),
            TaskState.SUSPENDING,
            VmState.SUSPENDED,
            PowerState.SHUTDOWN,
        ),
        Action(
            "resume",
            frozenset({VmState.SUSPENDED}),
            TaskState.RESUMING,
            VmState.ACTIVE,
            PowerState.RUNNING,
        ),
    )
}


class Server(Struct, frozen=True):
    """A server as its row has it. Times: seconds since the epoch.

    `flavor` and `image` are what they were when the server was made. `requested` holds what only
    building needs: networks, security groups, personality, scheduler hints, zone.
    """

    id: int
    uuid: str
    project_id: str
    user_id: str
    name: str
    description: str | None
    hostname: str
    vm_state: str
    task_state: str | None
    power_state: str
    host: str | None
    availability_zone: str | None
    flavor_id: str
    vcpus: int
    ram_mib: int
    flavor: dict[str, Any]
    image_id: str | None
    image: dict[str, Any] | None
    key_name: str | None
    key_data: str | None
    user_data: str | None
    config_drive: bool
    metadata: dict[str, str]
    tags: list[str]
    locked: bool
    locked_reason: str | None
    requested: dict[str, Any]
    fault: dict[str, Any] | None
    access_ip_v4: str | None
    access_ip_v6: str | None
    reservation_id: str
    launch_index: int
    group_id: str | None
    created_at: float
    updated_at: float
    launched_at: float | None
    terminated_at: float | None
    deleted: int
    """0 while it is there; then its id, so that names and uuids stay unique."""
    system_metadata: dict[str, Any] | None = None
    """What upstream keeps beside a server: the shelved image and the like."""

    @property
    def status(self) -> str:
        """The status that the API shows."""
        return status(self.vm_state, self.task_state)


def hostname_of(name: str, fallback: str) -> str:
    """Return `name` as a host name: letters, digits and hyphens, 63 at most (RFC 952, 1123)."""
    kept = "".join(c if c.isascii() and c.isalnum() else "-" if c in " _-." else "" for c in name)
    return kept.strip("-").lower()[:63].strip("-") or fallback
