"""`pgaas template-infra`."""

from __future__ import annotations

from pgaas.cli.options import OptionalEnvOption, OptionalInsOption, RootOption, VerboseOption, root_folder
from pgaas.cli.output import out_lines


def template_infra(
    ins: OptionalInsOption = None,
    env: OptionalEnvOption = None,
    root: RootOption = None,
    verbose: VerboseOption = False,
) -> None:
    """Print the Kubernetes objects of the local infrastructure (S3, LDAP, observability). Asks no cluster.

    There is one for all clients of the environment local: --ins and --env may be given, and change nothing.
    What `pgaas infra install` takes from upstream's repositories is not printed.

    Writes the three values files below confs/_generated/local-infra, as `generate` does for the environment
    local.

    Examples:
      pgaas template-infra
      pgaas template-infra --verbose > infra.yaml
    """
    from pgaas.cli.progress import progress_for
    from pgaas.operations import template_infra as operation

    folder = root_folder(root)
    operation.check_target(folder, ins, env)
    out_lines(operation.template_infra(folder, progress_for(verbose=verbose)))
