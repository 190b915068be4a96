"""`pgaas template`."""

from __future__ import annotations

from pgaas.cli.options import DcOption, EnvOption, InsOption, RootOption, VerboseOption, root_folder
from pgaas.cli.output import out_lines


def template(
    ins: InsOption,
    env: EnvOption,
    dc: DcOption = None,
    root: RootOption = None,
    verbose: VerboseOption = False,
) -> None:
    """Print the Kubernetes objects that `create` would apply, as YAML. Asks no cluster.

    Writes the values file, as `generate` does, then renders charts/core with helmfile and helm.

    Examples:
      pgaas template --ins ic1 --env dev1
      pgaas template --ins ic1 --env prod --dc dc2 > objects.yaml
    """
    from pgaas.cli.progress import progress_for
    from pgaas.operations import template as operation

    out_lines(operation.template(root_folder(root), ins, env, dc, progress_for(verbose=verbose)))
