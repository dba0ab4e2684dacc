"""Several models of one recipe, which differ in their random start alone."""

from lightning.pytorch import seed_everything

from ..data import Data
from ..errors import check_range
from ..models import Model
from ..parsing import CLI
from ..runs import fit_data, quieten


def ensemble(name: str, data: Data, *options: str, n: int = 8) -> list[Model]:
    """Train models of one recipe on the same data, each with a seed of its own; nothing is written.

    Args:
        name: Name of a recipe, path of a config, or a run folder: its model and its training are taken.
        data: What to train on, such as ``TableData("drugs_simulated")``, in place of the recipe's own; its batch size
            and its split count too.
        *options: As on the command line, such as ``"--model.latent=32"`` or ``"--seed_everything=100"``.
        n: Number of models; their seeds follow that of the recipe.

    Returns:
        The models of the best epochs, in evaluation mode.

    Raises:
        InputError: Anything wrong with the options or the data.

    Example:
        >>> models = ensemble("vae_drugs", TableData("drugs_simulated", batch_size=256), n=3)  # doctest: +SKIP
    """
    check_range("n", n, 1)
    quieten()
    cli = CLI(["--config", name, *options])
    models = []
    for number in range(n):
        seed_everything(cli.config.seed_everything + number, workers=True, verbose=False)
        models.append(fit_data(cli, data).eval())
    return models
