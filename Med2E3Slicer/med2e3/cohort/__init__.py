"""A cohort overnight: many studies through one model, on one machine or a cluster, with Ray Data.

In the order in which a study meets them:

===================  =======================================================================
``studies``          which studies there are: a manifest, or a folder
``settings``         what all studies of a run have in common, and what makes two runs one
``run``              the whole story: what is left to do, the pipeline, the summary
``med2e3.cluster``   Ray: an own one on this machine, quiet and closed, or a cluster's
``pipeline``         the three steps as a Ray Data stream
``reading``          step one, on any processor: from a study to what the model sees
``answering``        step two, the one with a model: a study's report and its answers
``writing``          step three, on any processor: a study's files, all of them or none
``tries``            a study that ends its process is begun twice, and no third time
``outcomes``         what became of a study, and the table of all: ``manifest.parquet``
``results``          the results' folder: what is in it is whole, and is never done again
===================  =======================================================================
"""

from __future__ import annotations

from med2e3.errors import check_installed

_NEEDED = {"ray": "ray[data]", "pyarrow": "pyarrow", "yaml": "PyYAML", "filelock": "filelock"}


def check_packages() -> None:
    """Raise :class:`~med2e3.errors.Med2E3Error` where a package is missing that only cohorts
    need."""
    check_installed(_NEEDED, "Cohorts need", "cohort")
