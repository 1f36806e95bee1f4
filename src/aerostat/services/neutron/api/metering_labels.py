"""/metering/metering-labels: list, show, create, delete."""

from aerostat.services.neutron.api.resources import crud
from aerostat.services.neutron.domain import nouns
from aerostat.services.neutron.schemas.nouns import METERING_LABEL

routes = crud("/metering/metering-labels", METERING_LABEL, nouns.METERING_LABELS)
