"""What is left of PKI tokens: OS-SIMPLE-CERT and the list of revoked ones, gone as upstream's."""

from aerostat.kit.errors import Fault
from aerostat.kit.http.route import Request, Routes
from aerostat.services.keystone import policies
from aerostat.services.keystone.runtime import Keystone

routes: Routes[Keystone] = Routes("pki")


class Gone(Fault):
    """What was here is gone for good."""

    code = "gone"


async def gone(_keystone: Keystone, _req: Request[None]) -> None:
    """Say that there are no PKI tokens any more."""
    raise Gone("This API is no longer available due to the removal of support for PKI tokens.")


routes.get("/OS-SIMPLE-CERT/ca", policy=None, public=True)(gone)
routes.get("/OS-SIMPLE-CERT/certificates", policy=None, public=True)(gone)
routes.get("/auth/tokens/OS-PKI/revoked", policy=policies.REVOCATION_LIST)(gone)
