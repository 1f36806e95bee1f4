"""Placement's policy rules with upstream's names and defaults.

Source: placement documentation, "Placement Policies".
"""

from aerostat.kit.http.policy import Rule

ADMIN_OR_SERVICE = "role:admin or role:service"


def _rules(noun: str, *verbs: str) -> dict[str, Rule]:
    return {verb: Rule(f"placement:{noun}:{verb}", ADMIN_OR_SERVICE) for verb in verbs}


PROVIDERS = _rules("resource_providers", "list", "create", "show", "update", "delete")
INVENTORIES = _rules("resource_providers:inventories", "list", "create", "show", "update", "delete")
AGGREGATES = _rules("resource_providers:aggregates", "list", "update")
PROVIDER_TRAITS = _rules("resource_providers:traits", "list", "update", "delete")
PROVIDER_USAGES = _rules("resource_providers", "usages")
PROVIDER_ALLOCATIONS = Rule("placement:resource_providers:allocations:list", ADMIN_OR_SERVICE)
TRAITS = _rules("traits", "list", "show", "update", "delete")
CLASSES = _rules("resource_classes", "list", "create", "show", "update", "delete")
ALLOCATIONS = _rules("allocations", "list", "manage", "update", "delete")
CANDIDATES = Rule("placement:allocation_candidates:list", ADMIN_OR_SERVICE)
RESHAPE = Rule("placement:reshaper:reshape", "role:service or role:admin")
USAGES = Rule(
    "placement:usages",
    f"{ADMIN_OR_SERVICE} or (role:reader and project_id:%(project_id)s)",
)

RULES = [
    *(
        rule
        for group in (
            PROVIDERS,
            INVENTORIES,
            AGGREGATES,
            PROVIDER_TRAITS,
            PROVIDER_USAGES,
            TRAITS,
            CLASSES,
            ALLOCATIONS,
        )
        for rule in group.values()
    ),
    PROVIDER_ALLOCATIONS,
    CANDIDATES,
    RESHAPE,
    USAGES,
]
