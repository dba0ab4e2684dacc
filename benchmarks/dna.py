"""Speed of operations on DNA, beside other packages: encoding, convolution, training, logos and Tomtom.

Everything runs in one process and on one thread. A round runs each implementation once, alternately, so that other load
on the machine affects all of them; times are CPU seconds. The tables give the median over the rounds, and the median
and range of the ratios within a round: the time of an implementation relative to the first of its table, which is ours.

Other packages are optional. Those that conflict with the project's environment are read from a separate one:

    python -m venv peers && peers/bin/pip install seqpro
    python benchmarks/dna.py --peers peers/lib/python3.11/site-packages
"""

import os

os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = "1"  # libraries read them when imported
os.environ["NUMBA_NUM_THREADS"] = "1"

import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from functools import partial
from importlib.metadata import distributions
from io import BytesIO
from pathlib import Path
from random import Random
from statistics import median
from typing import Any
from unittest.mock import patch

import lightning.pytorch as pl
import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from _common import parser, peer, smoke
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from zoo.checkpoints import recorders
from zoo.data import Data
from zoo.data.simulated.motif import motif_simulation
from zoo.encode.dna import TRANSLATE, dna_codes
from zoo.encode.one_hot import one_hot
from zoo.explain import jaspar, logos, match
from zoo.figure import Figure
from zoo.models.predict.cnn1d import Exponential, FirstConvolution
from zoo.parsing import CLI
from zoo.report.history import TensorBoard
from zoo.runs import quieten

SEQUENCES, LENGTH, BATCH = 100_000, 200, 1024  # of the encoding
SETTINGS = [(200, 64, 8_000), (50, 32, 20_000)]  # bases, batch and samples of the training
REPEATS = 200  # of a convolution
WARM, EPOCHS = 1, 3  # of each training: not counted, and counted
VALIDATION = 256  # batch in which the plain loop validates fastest
LIBRARIES = ["torch", "lightning", "numpy", "seqpro", "tangermeme", "grelu", "biopython", "logomaker", "memelite"]
NVML = "PYTORCH_NVML_BASED_CUDA_CHECK"  # `import lightning` sets it; without a GPU it slows down each step of Adam


def compare(runs: dict[str, Callable[[], float]], rounds: int, unit: str, show: Callable[[float], str]) -> None:
    """Let all run in turn, each telling its CPU seconds, and print a table; one more round warms up."""
    taken = [{name: run() for name, run in runs.items()} for _ in range(rounds + 1)][1:]
    print(f"{'':<28} {unit:>9} {'it/ours':>8}   range of {rounds} rounds")
    for name in runs:
        ratios = [seconds[name] / seconds[next(iter(runs))] for seconds in taken]
        spread = f"{median(ratios):>8.2f}   {min(ratios):.2f} to {max(ratios):.2f}" if name != next(iter(runs)) else ""
        print(f"{name:<28} {show(median(seconds[name] for seconds in taken)):>9} {spread}".rstrip(), flush=True)


def cpu(work: Callable[..., Any], *arguments: Any, repeats: int = 1) -> float:
    """CPU seconds of one repeat."""
    begin = time.process_time()
    for _ in range(repeats):
        work(*arguments)
    return (time.process_time() - begin) / repeats


def tutorial(sequence: Any) -> np.ndarray:
    """One-hot as most tutorials write it."""
    array, index = np.zeros((len(sequence), 4), np.float32), {"A": 0, "C": 1, "G": 2, "T": 3}
    for position, letter in enumerate(sequence):
        if letter in index:
            array[position, index[letter]] = 1
    return array


def encoding(rounds: int) -> None:
    """Batches of strings to codes or one-hot, as training takes them."""
    print(f"\nEncoding {SEQUENCES:,} x {LENGTH} bases, lists of {BATCH} strings at a time: MB of bases a CPU second")
    # What encodes a batch of strings; for the slow ones, how many batches are enough to time them.
    tables: list[dict[str, tuple[Callable[[list[str]], Any], int]]] = [
        {"ours: codes": (dna_codes, 98), "bytes.translate": (lambda x: "".join(x).encode().translate(TRANSLATE), 98)},
        {"ours: uint8 one-hot": (lambda x: one_hot(dna_codes(x), torch.uint8), 98)},
        {"ours: float32 one-hot": (lambda x: one_hot(dna_codes(x)), 98)},
    ]
    if seqpro := peer("seqpro"):
        tables[1]["seqpro: uint8"] = (lambda x: seqpro.ohe(x, seqpro.DNA), 98)
    if tangermeme := peer("tangermeme.utils"):
        tables[1]["tangermeme: int8"] = (lambda x: [tangermeme.one_hot_encode(s) for s in x], 98)
    if grelu := peer("grelu.sequence.format"):
        tables[2]["gReLU: float32"] = (grelu.strings_to_one_hot, 10)
    if biopython := peer("Bio.Seq"):
        tables[2]["Bio.Seq and a loop: float32"] = (lambda x: [tutorial(biopython.Seq(s)) for s in x], 1)
    random = Random(0)
    sequences = ["".join(random.choices("ACGT", k=LENGTH)) for _ in range(SEQUENCES)]
    batches = [sequences[start : start + BATCH] for start in range(0, SEQUENCES, BATCH)]
    truth = one_hot(dna_codes(batches[0])).numpy()

    def second(encode: Callable[[list[str]], Any], number: int) -> float:
        """CPU seconds of a million bases; what was made is not kept."""
        taken = cpu(lambda: [None for some in batches[:number] if encode(some) is None])
        return taken / sum(map(len, batches[:number])) / LENGTH * 1e6

    for table in tables:
        for name, (encode, _) in table.items():
            if table is not tables[0]:  # all must make the same, in either order of the axes
                made = np.stack([np.asarray(x) for x in encode(batches[0])])
                assert np.array_equal(truth, made if made.shape == truth.shape else made.swapaxes(1, 2)), name
        runs = {name: partial(second, *how) for name, how in table.items()}
        compare(runs, rounds, "MB/s", lambda s: f"{1 / s:.1f}")
    codes = dna_codes(sequences)
    print(f"memory of all: codes {codes.nbytes / 1e6:.0f} MB, float32 one-hot {one_hot(codes).nbytes / 1e6:.0f} MB")


def convolution(rounds: int) -> None:
    """The first convolution as a matrix product against torch's own.

    Alone, and with the rest of the recipe's network: its output lies otherwise in memory, which what follows feels.
    """

    def step(network: nn.Sequential, x: Tensor, above: Tensor) -> list[Tensor]:
        output = network(x)
        return [output, *torch.autograd.grad(output, list(network[0].parameters()), above)]

    for length, batch, _ in SETTINGS:
        print(f"\nFirst convolution, 32 filters of 16, forward and backward: batch of {batch} x {length} bases")
        pl.seed_everything(0, verbose=False)
        x = one_hot(torch.randint(4, (batch, length), dtype=torch.uint8))
        ours, theirs = FirstConvolution(4, 32, 16), nn.Conv1d(4, 32, 16)
        theirs.load_state_dict(ours.state_dict())
        above = torch.randn(batch, 32, length - 15) / batch  # gradient that comes from above, as of a mean loss
        pair = zip(*(step(nn.Sequential(layer), x, above) for layer in (ours, theirs)), strict=True)
        gaps = [f"{(a - b).abs().max():.0e} of {b.abs().max():.2g}" for a, b in pair]
        print("largest difference: output {}, gradient of weight {}, of bias {}".format(*gaps))
        rest = [Exponential(), nn.AdaptiveMaxPool1d(1), nn.Flatten(), nn.Linear(32, 1)]
        for name, after, gradient in (("", [], above), (", network", rest, above[:, :1, 0])):
            runs = {}
            for layer, given in ((ours, x), (theirs, x.contiguous())):
                network = nn.Sequential(layer, *after)
                runs[type(layer).__name__ + name] = partial(cpu, step, network, given, gradient, repeats=REPEATS)
            compare(runs, rounds, "ms/batch", lambda s: f"{1000 * s:.3f}")


class Clock(pl.Callback):
    """CPU time at the start of each epoch, and at the end of the last."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.times.append(time.process_time())

    on_train_end = on_train_epoch_start


def fresh(cli: CLI, data: Data, conv1d: bool) -> Any:
    """The recipe's model, always with the same weights; `conv1d`: with torch's own first convolution."""
    pl.seed_everything(0, verbose=False)
    model: Any = cli.make_model(data)
    if conv1d:
        model.first_convolution.__class__ = nn.Conv1d  # only `forward` differs
    return model


def prepared(cli: CLI, data: Data) -> tuple[nn.Sequential, list[tuple[Tensor, Tensor]]]:
    """The recipe's network of torch's own layers; float one-hot and target of training and validation rows."""
    model = fresh(cli, data, conv1d=True)
    layers = [layer for layer in (*model.body, *model.head) if not isinstance(layer, nn.Dropout)]  # its share is zero
    x, y, rows = data.dataset.x, data.dataset.y.float(), map(data.dataset.rows, ("train", "validation"))
    return nn.Sequential(*layers), [(one_hot(x[r]).contiguous(), y[r]) for r in rows]


def fit(cli: CLI, data: Data, conv1d: bool) -> list[float]:
    """What `zoo fit` does (zoo/runs.py): logs, history, two checkpoints, early stopping."""
    clock, model = Clock(), fresh(cli, data, conv1d)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        callbacks, checkpoints = recorders(folder)
        logger = TensorBoard(folder, name="", version="log", default_hp_metric=False)
        options = {"logger": logger, "enable_progress_bar": False, "plugins": checkpoints}
        cli.make_trainer(*callbacks, clock, **options).fit(model, datamodule=data)
    return clock.times


@patch.dict(os.environ)
def plain(cli: CLI, data: Data) -> list[float]:
    """The fastest simple loop: float one-hot made before, whole batches, fused AdamW, nothing logged nor saved."""
    os.environ.pop(NVML, None)
    network, ((x, y), (x_valid, y_valid)) = prepared(cli, data)
    optimiser = torch.optim.AdamW(network.parameters(), cli.config.model.init_args.lr, fused=True)
    times, loss = [], F.binary_cross_entropy_with_logits
    for _ in range(WARM + EPOCHS):
        times.append(time.process_time())
        for rows in torch.randperm(len(x)).split(data.batch_size):
            optimiser.zero_grad()
            loss(network(x[rows]).squeeze(1), y[rows]).backward()
            optimiser.step()
        with torch.inference_mode():
            loss(torch.cat([network(part) for part in x_valid.split(VALIDATION)]).squeeze(1), y_valid).item()
    return [*times, time.process_time()]


class Typical(pl.LightningModule):
    """As most people write it."""

    def __init__(self, network: nn.Sequential, lr: float) -> None:
        super().__init__()
        self.network, self.lr = network, lr

    def training_step(self, batch: list[Tensor], index: int, name: str = "train_loss") -> Tensor:
        loss = F.binary_cross_entropy_with_logits(self.network(batch[0]).squeeze(1), batch[1])
        self.log(name, loss)
        return loss

    def validation_step(self, batch: list[Tensor], index: int) -> None:
        self.training_step(batch, index, "validation_loss")

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.AdamW(self.parameters(), self.lr)


@patch.dict(os.environ, {NVML: "1"})
def typical(cli: CLI, data: Data) -> list[float]:
    """Lightning with its defaults, logger and checkpoint too, less the bar and the summary."""
    network, (train, valid) = prepared(cli, data)
    loaders = [DataLoader(TensorDataset(*part), data.batch_size, shuffle=part is train) for part in (train, valid)]
    options: dict[str, Any] = {"enable_progress_bar": False, "enable_model_summary": False, "accelerator": "cpu"}
    with tempfile.TemporaryDirectory() as name:
        options |= {"max_epochs": WARM + EPOCHS, "callbacks": [clock := Clock()], "default_root_dir": name}
        pl.Trainer(**options).fit(Typical(network, cli.config.model.init_args.lr), *loaders)
    return clock.times


def training(rounds: int) -> None:
    """The shipped recipe with all of `zoo fit`, against loops that do less."""
    loops: dict[str, Callable[[CLI, Data], list[float]]] = {
        "ours: zoo fit": partial(fit, conv1d=False),
        "plain loop": plain,
        "ours with nn.Conv1d": partial(fit, conv1d=True),
        "typical Lightning": typical,
    }
    for length, batch, samples in SETTINGS:
        print(f"\nTraining cnn1d_motif: {samples:,} x {length} bases, batches of {batch}, {EPOCHS} epochs a round")
        with tempfile.NamedTemporaryFile(suffix=".csv") as file:
            motif_simulation(samples=samples, length=length).to_csv(file.name, index=False)
            options = {"data.path": file.name, "data.target": "bound", "data.batch_size": batch}
            options |= {"trainer.max_epochs": WARM + EPOCHS, "trainer.accelerator": "cpu"}
            cli = CLI(["--config", "cnn1d_motif", *(f"--{name}={value}" for name, value in options.items())])
            data = cli.make_data()
            data.setup("fit")

        def epoch(loop: Callable[[CLI, Data], list[float]], cli: CLI, data: Data) -> float:
            times = loop(cli, data)
            return (times[-1] - times[WARM]) / EPOCHS

        runs = {name: partial(epoch, loop, cli, data) for name, loop in loops.items()}
        compare(runs, rounds, "ms/epoch", lambda s: f"{1000 * s:.1f}")


def drawing(rounds: int) -> None:
    """32 logos in one figure, as PNG."""
    motifs = sorted(jaspar(), key=lambda motif: abs(motif.counts.shape[1] - 19))[:32]
    frames = [pd.DataFrame(motif.heights, columns=list("ACGT")) for motif in motifs]
    widths, panel = [len(frame) for frame in frames], logos(motifs, "")
    print(f"\nLogos of {len(motifs)} motifs of JASPAR, {min(widths)} to {max(widths)} wide, in one PNG: CPU seconds")

    def theirs(logomaker: Any) -> None:
        figure = Figure(figsize=panel.get_size_inches(), dpi=panel.get_dpi())
        for axes, frame in zip(figure.subplots(8, 4).flat, frames, strict=True):
            logomaker.Logo(frame, ax=axes)
        figure.savefig(BytesIO(), format="png")

    runs = {"ours": partial(cpu, lambda: logos(motifs, "motifs").savefig(BytesIO(), format="png"))}
    if logomaker := peer("logomaker"):
        runs["logomaker"] = partial(cpu, theirs, logomaker)
    compare(runs, rounds, "seconds", "{:.2f}".format)


def tomtom(rounds: int) -> None:
    """64 motifs, taken evenly from JASPAR, against all of it."""
    queries = jaspar()[:: len(jaspar()) // 64][:64]
    print(f"\nTomtom of {len(queries)} motifs against {len(jaspar())} of JASPAR: CPU seconds")
    compare({"ours: match": partial(cpu, match, queries)}, rounds, "seconds", "{:.3f}".format)


def main() -> None:
    """Print all tables, or those asked for."""
    small = {"SEQUENCES": 2048, "SETTINGS": [(50, 32, 300)], "REPEATS": 2, "EPOCHS": 1}
    smoke(globals(), "--rounds=1", short=False, **small)
    sections = {work.__name__: work for work in (encoding, convolution, training, drawing, tomtom)}
    command = parser(__doc__)
    command.add_argument("sections", nargs="*", default=list(sections), help=f"some of {', '.join(sections)}")
    command.add_argument("--peers", nargs="*", default=[], help="site-packages of other environments, looked in last")
    command.add_argument("--rounds", type=int, default=7, help="counted rounds")
    options = command.parse_args()
    sys.path += options.peers
    torch.set_num_threads(1)
    quieten()
    warnings.filterwarnings("ignore")
    versions = {found.name.lower(): found.version for found in reversed(list(distributions()))}
    print(", ".join(f"{name} {versions.get(name, 'not installed')}" for name in LIBRARIES))
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    for name in options.sections:
        sections[name](options.rounds)


if __name__ == "__main__":
    main()
