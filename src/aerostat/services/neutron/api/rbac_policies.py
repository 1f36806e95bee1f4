"""/rbac-policies."""

from aerostat.kit.http.route import Routes
from aerostat.services.neutron.api.resources import crud
from aerostat.services.neutron.domain import nouns
from aerostat.services.neutron.runtime import NeutronService
from aerostat.services.neutron.schemas.nouns import RBAC

routes: Routes[NeutronService] = crud("/rbac-policies", RBAC, nouns.RBACS)
