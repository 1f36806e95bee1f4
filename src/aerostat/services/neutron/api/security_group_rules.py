"""/security-group-rules: list, show, create, update, delete."""

from aerostat.services.neutron.api.resources import crud
from aerostat.services.neutron.domain import nouns
from aerostat.services.neutron.schemas.nouns import RULE

routes = crud("/security-group-rules", RULE, nouns.RULES)
