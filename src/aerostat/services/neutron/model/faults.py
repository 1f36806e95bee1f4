"""Neutron's faults by upstream's names, which clients match on. Source: networking api-ref."""

from aerostat.kit.errors import BadRequest, Conflict, Fault, NotFound, QuotaExceeded

__all__ = [
    "BadRequest",
    "Conflict",
    "Fault",
    "NotFound",
    "QuotaExceeded",
    "bad",
    "conflict",
    "invalid",
    "not_found",
    "over_quota",
]

NOT_FOUND = {
    "network": "NetworkNotFound",
    "subnet": "SubnetNotFound",
    "port": "PortNotFound",
    "security_group": "SecurityGroupNotFound",
    "security_group_rule": "SecurityGroupRuleNotFound",
    "router": "RouterNotFound",
    "floatingip": "FloatingIPNotFound",
    "subnetpool": "SubnetPoolNotFound",
    "address_scope": "AddressScopeNotFound",
    "agent": "AgentNotFound",
    "metering_label": "MeteringLabelNotFound",
    "rbac_policy": "RbacPolicyNotFound",
    "metering_label_rule": "MeteringLabelRuleNotFound",
}
_WORDS = {
    "security_group": "Security group",
    "security_group_rule": "Security group rule",
    "floatingip": "Floating IP",
    "subnetpool": "Subnet pool",
    "address_scope": "Address scope",
    "rbac_policy": "RBAC policy",
}


def not_found(noun: str, key: str) -> NotFound:
    """Return the fault for an unknown or unseen resource."""
    word = _WORDS.get(noun, noun.capitalize())
    tail = "does not exist" if noun.startswith("security_group") else "could not be found"
    return NotFound(f"{word} {key} {tail}.", code=NOT_FOUND.get(noun, "NotFound"))


def invalid(message: str, field: str = "") -> BadRequest:
    """Return the fault for a request that contradicts itself or the world."""
    return BadRequest(f"Invalid input for operation: {message}.", code="InvalidInput", field=field)


def bad(code: str, message: str) -> BadRequest:
    return BadRequest(message, code=code)


def conflict(code: str, message: str) -> Conflict:
    return Conflict(message, code=code)


def over_quota(resources: list[str]) -> Fault:
    return QuotaExceeded(f"Quota exceeded for resources: {resources}.", code="OverQuota")
