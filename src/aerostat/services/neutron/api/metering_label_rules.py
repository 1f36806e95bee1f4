"""/metering/metering-label-rules: list, show, create, delete."""

from aerostat.services.neutron.api.resources import crud
from aerostat.services.neutron.domain import nouns
from aerostat.services.neutron.schemas.nouns import METERING_RULE

routes = crud("/metering/metering-label-rules", METERING_RULE, nouns.METERING_RULES)
