"""A shared server: the wire's messages over HTTP, for a department with one graphics card.

In the order in which a request meets them:

===================  =======================================================================
``settings``         what the server was started with: model, replicas, limits
``run``              the whole story: Ray, the replicas, the front door, and their end
``app``              the front door: the routes, who may pass, and how answers are written
``tokens``           who somebody is: tokens from a file or the environment
``limits``           how much is too much: requests a minute, requests at once
``upload``           voxels from the network: into a private file, and prepared for the model
``volumes``          the volumes that are held: whose they are, and when they expire
``replicas``         the way to the replica that holds a volume, and what comes back
``replica``          a process with the model, as Ray Serve keeps it
``events``           what is told of a request while it is answered, and how it travels
``metrics``          what Prometheus is told
===================  =======================================================================
"""

from __future__ import annotations

from med2e3.errors import check_installed

_NEEDED = {
    "ray": "ray[serve]",
    "fastapi": "fastapi",
    "uvicorn": "uvicorn",
    "fastapi_offline": "fastapi-offline",
    "prometheus_client": "prometheus-client",
}


def check_packages() -> None:
    """Raise :class:`~med2e3.errors.Med2E3Error` where a package is missing that only the server
    needs."""
    check_installed(_NEEDED, "The server needs", "server")
