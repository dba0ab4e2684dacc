"""A training step of adversarial networks beside a plain PyTorch loop of the same networks, losses and optimisers.

Wasserstein loss with gradient penalty, three steps of the discriminator for each of the generator, moving average:
`tabulargan_pima` on the Pima training rows. Ours runs under Lightning as `zoo fit` does, without validation; the plain
loop also encodes each batch, and does nothing else. Both run alternately in one process; medians over rounds are shown.
"""

import statistics
import time

import lightning as L
import torch
from _common import parser, smoke
from lightning.pytorch import Trainer

from zoo import runs
from zoo.models import TabularGAN
from zoo.parsing import CLI
from zoo.training.adversarial_losses import discriminator_loss, generator_loss, gradient_penalty

QUIET = {
    "logger": False,
    "enable_checkpointing": False,
    "enable_progress_bar": False,
    "enable_model_summary": False,
    "limit_val_batches": 0,
    "accelerator": "cpu",
}


def plain(model: TabularGAN, batches: list[dict[str, torch.Tensor]], epochs: int) -> None:
    """A plain training loop."""
    judge = model.discriminator
    generator = torch.optim.Adam(model.parameter_groups(), 0.003, (0.5, 0.999), fused=True)
    discriminator = torch.optim.Adam(model.discriminator.parameters(), 0.004, (0.5, 0.999), fused=True)
    step = 0
    for _ in range(epochs):
        for batch in batches:
            step += 1
            real = model.encode(batch["x"])
            with torch.no_grad():
                made = model.generator(torch.randn(len(real), model.noise), batch["y"])
            loss = discriminator_loss("wasserstein", judge(real, batch["y"]), judge(made, batch["y"]))
            loss = loss + 10 * gradient_penalty(lambda x, y=batch["y"]: [judge(x, y)], real, made)
            discriminator.zero_grad()
            loss.backward()
            discriminator.step()
            if step % 3 == 0:
                made = model.generator(torch.randn(len(real), model.noise), batch["y"])
                generator.zero_grad()
                generator_loss("wasserstein", judge(made, batch["y"])).backward()
                generator.step()
                model.averaged.update_parameters(model.generator)


def main() -> None:
    """Print milliseconds a batch, and the ratio."""
    smoke(globals(), "--rounds=1", "--epochs=1", short=False)
    command = parser(__doc__)
    command.add_argument("--rounds", type=int, default=5)
    command.add_argument("--epochs", type=int, default=40)
    options = command.parse_args()
    runs.quieten()
    torch.set_num_threads(1)
    cli = CLI(["--config", "tabulargan_pima"])
    times: dict[str, list[float]] = {"ours": [], "plain": []}
    for _ in range(options.rounds):
        for name, found in times.items():
            L.seed_everything(0, verbose=False)
            data = cli.make_data()
            model = cli.make_model(data)
            assert isinstance(model, TabularGAN)
            model.fit_encoders(data.training_inputs(), data.training_targets())
            batches = list(data.train_dataloader())
            start = time.perf_counter()
            if name == "ours":
                Trainer(max_epochs=options.epochs, **QUIET).fit(model, data)
            else:
                plain(model, batches, options.epochs)
            found.append(1000 * (time.perf_counter() - start) / (options.epochs * len(batches)))
    ratios = sorted(ours / other for ours, other in zip(*times.values(), strict=True))
    for name, found in times.items():
        print(f"{name:6} {statistics.median(found):6.2f} ms a batch of {data.batch_size}")
    low, high = ratios[0], ratios[-1]
    print(f"ratio  {statistics.median(ratios):6.2f} (range of {options.rounds} rounds {low:.2f} to {high:.2f})")


if __name__ == "__main__":
    main()
